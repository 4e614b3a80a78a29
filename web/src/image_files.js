/** Reading image files in the browser. */

import {InputError} from './errors.js';

const LARGEST_IMAGE = 2 ** 27; // pixels

/**
 * The pixels of an image file, turned upright, BGR or grey.
 *
 * Colour profiles are ignored, as in Python. Transparent parts become black.
 *
 * Throws an InputError for a file that is not an image.
 * @param {Blob} file
 * @param {string} name for messages
 * @param {boolean} isGrey
 * @returns {Promise<import('./preprocessing.js').Pixels>}
 */
export async function readImage(file, name, isGrey) {
  let image;
  try {
    image = await createImageBitmap(file, {colorSpaceConversion: 'none'});
    const {width, height} = image;
    if (width * height > LARGEST_IMAGE) {
      throw new Error(`${width} x ${height} pixels; expected at most ` +
        LARGEST_IMAGE);
    }
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d', {willReadFrequently: true});
    context.drawImage(image, 0, 0);
    return fromImageData(context.getImageData(0, 0, width, height), isGrey);
  } catch (error) {
    throw new InputError(
      `${name}: cannot be read as an image (${error.message})`);
  } finally {
    image?.close();
  }
}

/**
 * The pixels of a canvas, BGR or grey.
 * @param {ImageData} image
 * @param {boolean} isGrey
 * @returns {import('./preprocessing.js').Pixels}
 */
export function fromImageData({width, height, data: rgba}, isGrey) {
  const channels = isGrey ? 1 : 3;
  const data = new Uint8Array(width * height * channels);
  for (let i = 0, j = 0; j < rgba.length; j += 4) {
    const [red, green, blue] = [rgba[j], rgba[j + 1], rgba[j + 2]];
    if (isGrey) {
      // Pillow's factors for brightness, in units of 2 ** -16
      data[i++] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    } else {
      data[i++] = blue;
      data[i++] = green;
      data[i++] = red;
    }
  }
  return {width, height, channels, data};
}
