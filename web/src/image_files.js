/** Reading image files in the browser. */

import {InputError} from './errors.js';

const LARGEST_IMAGE = 2 ** 27; // pixels

/**
 * The pixels of an image file, turned upright, BGR or grey.
 *
 * Colour profiles are ignored, and so is transparency, as in Python.
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
    image = await createImageBitmap(file,
      {colorSpaceConversion: 'none', premultiplyAlpha: 'none'});
    const {width, height} = image;
    if (width * height > LARGEST_IMAGE) {
      throw new Error(`${width} x ${height} pixels; expected at most ` +
        LARGEST_IMAGE);
    }
    return fromImageData(pixelsOf(image), isGrey);
  } catch (error) {
    throw new InputError(
      `${name}: cannot be read as an image (${error.message})`);
  } finally {
    image?.close();
  }
}

/** @returns {ImageData} */
function pixelsOf(image) {
  const {width, height} = image;
  const context = new OffscreenCanvas(width, height)
    .getContext('2d', {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, width, height);
  const isOpaque = pixels.data.every(
    (value, i) => i % 4 !== 3 || value === 255);
  return isOpaque ? pixels : transparentPixels(image) ?? pixels;
}

/**
 * The pixels of an image with the colours of its transparent parts, which a
 * canvas does not keep; null without WebGL, or for an image that is too large
 * for it.
 * @returns {?ImageData}
 */
function transparentPixels(image) {
  const {width, height} = image;
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) {
    return null;
  }
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.texImage2D(
    gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(
    gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  const data = new Uint8Array(4 * width * height);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data);
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  return {width, height, data};
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
