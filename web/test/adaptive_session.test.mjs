import assert from 'node:assert/strict';
import test from 'node:test';

import {AdaptiveSession} from '../src/adaptive_session.js';
import {assertClose} from './vectors.mjs';

const NAMES = ['a', 'b', 'c', 'd'];

/** A device bank, as readDeviceBank() gives it, whose subnets answer their own
 * number; they take 1, 2, 3 and 4 ms times the load. */
function bank(more = {}) {
  return {
    folder: 'bank', task: 'classification', scores: 'softmax',
    classes: NAMES, input_shape: [1, 2, 2], resources: {flops: 'MFLOPs'},
    preprocessing: {steps: [], to_rgb: false, mean: [0], std: [1]},
    kept: NAMES.map((name, i) => ({name, resolution: 2, widths: [i],
      costs: {flops: i + 1}, held_out_accuracy: 60 + i, file: `${name}.onnx`})),
    files: new Map(NAMES.map((name, i) => [`${name}.onnx`, [i]])),
    ...more,
  };
}

/** Stands for onnxruntime-web, with a clock of its own. */
class FakeRuntime {
  opened = [];
  released = [];
  load = 1;
  now = 0;
  logits = (i) => NAMES.map((_, j) => i === j ? 5 : 0);
  wait = async () => {};

  Tensor = class {
    constructor(type, data, dims) {
      Object.assign(this, {type, data, dims});
    }
  };

  InferenceSession = {
    create: async ([i]) => {
      this.opened.push(NAMES[i]);
      await null;
      if (this.broken === i) throw new Error('out of memory');
      let isReleased = false;
      return {
        run: async ({images}) => {
          await this.wait(i);
          assert.ok(!isReleased, 'a released session runs');
          this.now += (i + 1) * this.load;
          const [num] = images.dims;
          const data = Float32Array.from(
            Array.from({length: num}, () => this.logits(i)).flat());
          return {logits: {data, dims: [num, NAMES.length]}};
        },
        release: () => {
          isReleased = true;
          this.released.push(NAMES[i]);
        },
      };
    },
  };
}

const IMAGE = {height: 2, width: 2, data: new Uint8Array(4)};

async function opened(t, {keep = 4, ...more} = {}) {
  const ort = new FakeRuntime();
  t.mock.method(performance, 'now', () => ort.now);
  const net = new AdaptiveSession(bank(more), ort, keep);
  await net.switch();
  return {net, ort};
}

// Oracle: by hand; the softmax of 5, 0, 0, 0.
test('predicts', async (t) => {
  const {net, ort} = await opened(t);
  assert.equal(net.active.name, 'd');
  const [found] = await net.predict(IMAGE);
  assert.equal(found.pred_class, 'd');
  assertClose(found.pred_score, Math.exp(5) / (Math.exp(5) + 3));
  await net.switch({flops: 2});
  assert.deepEqual((await net.predict([IMAGE, IMAGE, IMAGE], 2))
    .map((result) => result.pred_label), [1, 1, 1]);
  assert.deepEqual(await net.predict([]), []);
  assert.deepEqual(ort.opened, ['d', 'b']);
  await assert.rejects(net.predict(IMAGE, 0), /batch_size=0: expected an/);
  await assert.rejects(net.predict('a.png'), /images: not an image/);
  await assert.rejects(net.predict([IMAGE, null]), /images\[1\]: not an image/);
  ort.logits = () => [0, 0, NaN, 0];
  await assert.rejects(net.predict(IMAGE), /not finite/);
});

// Oracle: by hand.
test('sigmoid scores, no classes, and detectors', async (t) => {
  const {net} = await opened(t, {scores: 'sigmoid', classes: null});
  const [found] = await net.predict(IMAGE);
  assert.equal(found.pred_scores[0], 0.5);
  assert.ok(!('pred_class' in found));
  const {net: detector} = await opened(t, {task: 'features'});
  await assert.rejects(detector.predict(IMAGE), /task='features': predict\(\)/);
  const outputs = await detector.outputs({dims: [1, 1, 2, 2]});
  assert.deepEqual(outputs.logits.dims, [1, 4]);
});

// Oracle: the last two stay open, and no request runs in a released session.
test('a request ends with the subnet it began with', async (t) => {
  const {net, ort} = await opened(t, {keep: 2});
  await net.switch('a');
  let goOn;
  ort.wait = (i) => i === 0 ? new Promise((done) => (goOn = done)) : null;
  const request = net.predict(IMAGE);
  while (!goOn) await null;
  for (const name of ['b', 'c', 'd']) await net.switch(name);
  assert.deepEqual(ort.released, ['d', 'b']);
  goOn();
  assert.equal((await request)[0].pred_class, 'a');
  assert.deepEqual(ort.released, ['d', 'b', 'a']);
  assert.equal((await net.predict(IMAGE))[0].pred_class, 'd');
  await net.switch('a');
  assert.deepEqual(ort.opened, ['d', 'a', 'b', 'c', 'd', 'a']);
});

// Oracle: the last call.
test('of several switches at once, the last one counts', async (t) => {
  const {net} = await opened(t);
  await Promise.all(['a', 'b', 'c'].map((name) => net.switch(name)));
  assert.equal(net.active.name, 'c');
});

// Oracle: the latencies of the clock.
test('measures', async (t) => {
  const {net} = await opened(t);
  assert.deepEqual(await net.measure(IMAGE), {a: 1, b: 2, c: 3, d: 4});
  assert.deepEqual(net.resources, {flops: 'MFLOPs', latency_ms: 'ms'});
  assert.equal((await net.switch({latency_ms: 2.5})).name, 'b');
  await assert.rejects(net.measure(IMAGE, 0), /rounds=0/);
});

// Oracle: the subnets that meet 4.5 ms: d without load, b at a load of two.
test('follows', async (t) => {
  const {net, ort} = await opened(t);
  const follower = await net.follow(4.5, IMAGE);
  const stream = async (load) => {
    ort.load = load;
    for (let i = 0; i < 20; i++) await net.predict(IMAGE);
    return net.active.name;
  };
  assert.equal(await stream(1), 'd');
  assert.equal(await stream(2), 'b');
  assert.equal(await stream(1), 'd');
  assert.equal(follower.moves, 2);
  assert.equal(net.follower, follower);
  await net.switch('a');
  assert.equal(net.follower, null);
  assert.equal(await stream(1), 'a');
});

// Oracle: one error each, and an earlier following goes on.
test('what cannot be followed', async (t) => {
  const {net} = await opened(t);
  const follower = await net.follow(4.5);
  for (const [latency, options, words] of [
    [0.5, {}, /latency_ms=0.5: no subnet meets it; the nearest is 'a', which/],
    [-1, {}, /latency_ms=-1: expected a finite number above 0/],
    ['5', {}, /latency_ms='5'/],
    [5, {share: 2}, /share=2/],
    [5, {margin: 1}, /follow: unknown key 'margin'; expected one of 'patience'/],
  ]) {
    await assert.rejects(net.follow(latency, IMAGE, options), words);
  }
  assert.equal(net.follower, follower);
  assert.equal(await net.follow(null), null);
  assert.equal(net.follower, null);
});

// Oracle: one error that names the graph; the subnet before stays active.
test('a graph that cannot run', async (t) => {
  const {net, ort} = await opened(t);
  ort.broken = 1;
  await assert.rejects(net.switch('b'),
    /bank\/b.onnx: onnxruntime-web cannot run it \(out of memory\)/);
  assert.equal(net.active.name, 'd');
  ort.broken = null;
  assert.equal((await net.switch('b')).name, 'b');
});
