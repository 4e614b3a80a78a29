import assert from 'node:assert/strict';
import test from 'node:test';

import {Stream} from '../src/stream.js';
import {TestImages} from '../src/test_images.js';

globalThis.requestAnimationFrame = (show) => setTimeout(show);

// Oracle: by hand: one request after the other, each once, however often the
// stream is paused and started.
test('a stream pauses and goes on', async () => {
  const seen = [];
  let current = 0;
  const stream = new Stream(async (i) => {
    assert.equal(++current, 1);
    await new Promise((resume) => setTimeout(resume, 1));
    current--;
    return i;
  }, (i) => {
    seen.push(i);
    if (i === 3) {
      stream.pause();
      stream.start();
    }
    if (i === 5) stream.pause();
  });
  const loop = stream.start();
  assert.equal(stream.start(), loop);
  await loop;
  assert.equal(stream.isRunning, false);
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(stream.rows, seen);
});

// Oracle: the error, after which the stream can start again.
test('a request that fails ends a stream', async () => {
  let isBroken = true;
  const stream = new Stream(async () => {
    if (isBroken) throw new Error('broken');
  }, () => stream.pause());
  await assert.rejects(stream.start(), /broken/);
  assert.equal(stream.isRunning, false);
  isBroken = false;
  await stream.start();
});

// Oracle: by hand.
test('test images', () => {
  const images = new TestImages(
    {shapes: [[1, 2, 1], [1, 1, 3], [2, 1, 1]], labels: [5, 6, 7],
      batch_size: 2}, Uint8Array.from([1, 2, 3, 4, 5, 6, 7]));
  assert.equal(images.length, 3);
  assert.deepEqual([0, 1, 2].map((i) => [...images.image(i).data]),
    [[1, 2], [3, 4, 5], [6, 7]]);
  assert.equal(images.image(1).channels, 3);
  assert.deepEqual([0, 1, 2].map((i) => images.request(i)),
    [[0, 1], [2, 0], [1, 2]]);
});
