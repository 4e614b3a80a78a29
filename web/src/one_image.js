/** Fitting an image to the network, and showing what becomes of it. */

import {element, find} from './page.js';
import {Preprocessing} from './preprocessing.js';

/** @typedef {import('./preprocessing.js').Pixels} Pixels */

const BEST = 5; // classes that are shown

/**
 * An image cut and resized to the network's input, if its preprocessing does
 * not resize; else the image itself.
 * @param {Pixels} image
 * @param {import('./adaptive_session.js').AdaptiveSession} net
 * @returns {Pixels}
 */
export function fitted(image, net) {
  const [, height, width] = net.inputShape;
  const {steps} = net.bank.preprocessing;
  if (steps.some(({type}) => type !== 'CenterCrop') ||
      image.height === height && image.width === width) {
    return image;
  }
  const factor = Math.max(height / image.height, width / image.width);
  const scale = [image.width, image.height].map(
    (side) => Math.max(Math.round(side * factor), 1));
  const fit = [
    {type: 'Resize', backend: 'pillow', interpolation: 'bilinear', scale,
      keep_ratio: false},
    {type: 'CenterCrop', crop_size: [width, height]},
  ];
  return new Preprocessing({steps: fit}, net.inputShape)
    .steps(image, image.name ?? 'image');
}

/**
 * Shows what the network sees.
 * @param {Pixels} pixels
 */
export function showPixels({height, width, channels, data}) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = data[channels * i + (channels === 1 ? 0 : 2 - c)];
    }
    image.data[4 * i + 3] = 255;
  }
  const canvas = find('preview');
  Object.assign(canvas, {width, height});
  canvas.getContext('2d').putImageData(image, 0, 0);
  canvas.setAttribute('aria-label', `An image of ${width} by ${height} pixels`);
}

/**
 * Shows a prediction, and whether it is the label's.
 * @param {import('./adaptive_session.js').Prediction} prediction
 * @param {?string[]} classes
 * @param {?number} label null if it is not known
 */
export function showResult(prediction, classes, label) {
  const {pred_scores: scores, pred_label: found} = prediction;
  const name = (i) => classes?.[i] ?? `class ${i}`;
  const best = [...scores.keys()].sort((a, b) => scores[b] - scores[a])
    .slice(0, BEST);
  find('result-text').textContent = name(found) + (label === null ? '' :
    label === found ? ', as it is labelled' : `; labelled ${name(label)}`);
  find('bars').replaceChildren(...best.map((i) => {
    const bar = element('span', '', 'bar');
    bar.style.setProperty('--share', scores[i]);
    const item = document.createElement('li');
    item.append(element('span', name(i), 'name'),
      element('span', `${(100 * scores[i]).toFixed(1)} %`), bar);
    return item;
  }));
}
