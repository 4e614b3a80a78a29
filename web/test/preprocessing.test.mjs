import assert from 'node:assert/strict';
import test from 'node:test';

import {fromImageData} from '../src/image_files.js';
import {Preprocessing} from '../src/preprocessing.js';
import {bytesOf, outcome, vectors} from './vectors.mjs';

const given = vectors('preprocessing');
const images = given.images.map(
  (image) => ({...image, data: bytesOf(image.data)}));

// Oracle: the Python runtime, byte for byte.
for (const {steps, image, sides, pixels} of given.cases) {
  const what = steps.map((step) => Object.values(step).join(' ')).join(', ');
  test(`steps: image ${image}, ${what}`, () => {
    const {channels} = images[image];
    const found = new Preprocessing({steps}, [channels, ...sides])
      .steps(images[image], 'image');
    assert.deepEqual([found.height, found.width], sides);
    assert.deepEqual(Array.from(found.data), Array.from(bytesOf(pixels)));
  });
}

// Oracle: the Python runtime, bit for bit.
test('normalises as Python does', () => {
  for (const {config, input_shape: shape, image, batch} of given.batches) {
    const found = new Preprocessing(config, shape).batch([images[image]]);
    assert.deepEqual(Array.from(new Uint8Array(found.buffer)),
      Array.from(bytesOf(batch)));
  }
});

test('refuses what Python refuses', async () => {
  for (const {config, shape, ...wanted} of given.errors) {
    const [height, width, channels] = shape;
    const image = {height, width, channels,
      data: new Uint8Array(height * width * channels), name: 'images'};
    assert.deepEqual(await outcome(
      () => new Preprocessing(config, [3, 4, 4]).batch([image])), wanted);
  }
});

// Oracle: by hand: halves to the even number; the value is in the message.
test('takes other numbers than bytes', () => {
  const config = {steps: [], to_rgb: false, mean: [0], std: [1]};
  const batch = (data, more) => new Preprocessing(config, [1, 1, 3])
    .batch([{height: 1, width: 3, data, ...more}]);
  assert.deepEqual([...batch([0.5, 1.5, 254.6])], [0, 2, 255]);
  for (const [data, words] of [
    [[0, 1, 256], /images\[0\]: values from 0 to 256; expected 0 to 255/],
    [[0, 1, NaN], /values from/],
    [[0, 1], /shape \(1, 3, 1\)/],
    [null, /images\[0\]: not an image; expected a file/],
  ]) {
    assert.throws(() => batch(data), words);
  }
  assert.throws(() => batch([0, 1, 2], {height: 1.5}), /not an image/);
});

// Oracle: by hand; Pillow's factors for brightness.
test('pixels of a canvas', () => {
  const image = {width: 2, height: 1,
    data: new Uint8ClampedArray([10, 20, 30, 255, 200, 100, 0, 0])};
  assert.deepEqual([...fromImageData(image, false).data],
    [30, 20, 10, 0, 100, 200]);
  assert.deepEqual([...fromImageData(image, true).data], [18, 118]);
});
