/** From pixels to the input of networks. */

import {InputError, general} from './errors.js';
import {resizeOpenCV, resizePillow, roundHalfEven} from './resizing.js';

/**
 * @typedef {object} Pixels an image
 * @property {number} height
 * @property {number} width
 * @property {number} [channels] 1, or as many as the network's input has; in
 *     the order BGR, as in OpenCV; 1 by default
 * @property {ArrayLike<number>} data values from 0 to 255, row by row, the
 *     channels of a pixel side by side
 * @property {string} [name] for messages
 */

const LARGEST_IMAGE = 2 ** 27; // pixels, as they are or resized

/** A device bank's preprocessing, the same as its supernet's. */
export class Preprocessing {
  /**
   * @param {{steps: object[], to_rgb: boolean, mean: number[], std: number[]}}
   *     config the steps, Resize, ResizeEdge and CenterCrop with all of
   *     mmpretrain's arguments; and the normalisation
   * @param {number[]} inputShape channels, height and width after it
   */
  constructor(config, inputShape) {
    this.config = config;
    this.inputShape = inputShape;
  }

  /**
   * A normalised batch (N, C, H, W).
   *
   * Throws an InputError for what is not an image, and for an image of another
   * shape.
   * @param {Pixels[]} images
   * @returns {Float32Array}
   */
  batch(images) {
    const [channels, height, width] = this.inputShape;
    const area = height * width;
    const {to_rgb: toRgb} = this.config;
    const [mean, std] = ['mean', 'std'].map(
      (key) => Float32Array.from(this.config[key]));
    const batch = new Float32Array(images.length * channels * area);
    images.forEach((image, i) => {
      const pixels = this.steps(image, image?.name ?? `images[${i}]`);
      for (let c = 0; c < channels; c++) {
        const from = toRgb ? channels - 1 - c : c;
        const source = pixels.channels === 1 ? 0 : from;
        const start = (i * channels + c) * area;
        for (let j = 0; j < area; j++) {
          const value = pixels.data[j * pixels.channels + source];
          batch[start + j] = Math.fround(value - mean[c]) / std[c];
        }
      }
    });
    return batch;
  }

  /**
   * One image after the steps.
   * @param {Pixels} image
   * @param {string} name for messages
   * @returns {Pixels}
   */
  steps(image, name) {
    const [channels, ...wanted] = this.inputShape;
    let pixels = checked(image, name, channels);
    let sides = [pixels.height, pixels.width];
    for (const step of this.config.steps) {
      sides = sidesAfter(step, pixels.height, pixels.width);
      const area = sides[0] * sides[1];
      if (!(area >= 1 && area <= LARGEST_IMAGE)) break;
      pixels = step.type === 'CenterCrop' ? crop(pixels, sides) :
        resize(pixels, sides, step);
    }
    if (sides[0] !== wanted[0] || sides[1] !== wanted[1]) {
      throw new InputError(`${name}: ${image.height} x ${image.width} pixels ` +
        `(height x width) become ${sides.join(' x ')} in preprocessing; ` +
        `expected ${wanted.join(' x ')}`);
    }
    return pixels;
  }
}

/** An image as bytes. */
function checked(image, name, wanted) {
  const {height, width, channels = 1, data} = image ?? {};
  if (![height, width, channels].every(Number.isInteger) ||
      !(ArrayBuffer.isView(data) || Array.isArray(data))) {
    throw new InputError(`${name}: not an image; expected a file, or numbers ` +
      'as {height, width, channels, data}');
  }
  if (channels !== 1 && channels !== wanted || data.length === 0 ||
      data.length !== height * width * channels) {
    throw new InputError(`${name}: shape (${height}, ${width}, ${channels}) ` +
      `(height, width, channels); expected ${wanted} channels, or grey`);
  }
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) {
    return {height, width, channels, data};
  }
  const [least, most] = data.reduce(
    ([a, b], value) => [Math.min(a, value), Math.max(b, value)],
    [Infinity, -Infinity]);
  if (!(least >= 0 && most <= 255)) {
    throw new InputError(`${name}: values from ${general(least)} to ` +
      `${general(most)}; expected 0 to 255, as in image files`);
  }
  return {height, width, channels, data: Uint8Array.from(data, roundHalfEven)};
}

/**
 * Height and width of an image after a step.
 * @returns {[number, number]}
 */
function sidesAfter(step, height, width) {
  if (step.type === 'CenterCrop') {
    const [across, down] = step.crop_size;
    return [Math.min(height, down), Math.min(width, across)];
  }
  const {scale, edge} = step;
  if (step.type === 'ResizeEdge') {
    const isWidth = edge === 'width' || edge === 'short' && width < height ||
      edge === 'long' && width > height;
    return isWidth ? [Math.trunc(scale * height / width), scale] :
      [scale, Math.trunc(scale * width / height)];
  }
  if (!step.keep_ratio) return [scale[1], scale[0]];
  const factor = Math.min(
    Math.max(...scale) / Math.max(height, width),
    Math.min(...scale) / Math.min(height, width));
  return [height, width].map((side) => Math.trunc(side * factor + 0.5));
}

function crop({height, width, channels, data}, sides) {
  const top = roundHalfEven((height - sides[0]) / 2);
  const left = roundHalfEven((width - sides[1]) / 2);
  const length = sides[1] * channels;
  const cropped = new Uint8Array(sides[0] * length);
  for (let row = 0; row < sides[0]; row++) {
    const start = ((top + row) * width + left) * channels;
    cropped.set(data.subarray(start, start + length), row * length);
  }
  return {height: sides[0], width: sides[1], channels, data: cropped};
}

function resize(pixels, sides, step) {
  return step.backend === 'cv2' ? resizeOpenCV(pixels, ...sides) :
    resizePillow(pixels, ...sides, step.interpolation);
}
