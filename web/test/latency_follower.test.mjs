import assert from 'node:assert/strict';
import test from 'node:test';

import {LatencyFollower} from '../src/latency_follower.js';
import {median, normalQuantile} from '../src/statistics.js';
import {assertClose, outcome, vectors} from './vectors.mjs';

const given = vectors('follower');

// Oracle: the positions of the Python runtime after each request.
for (const {name, options, latencies, positions, moves} of given.cases) {
  test(`follows as Python does: ${name}`, () => {
    const follower = new LatencyFollower(
      given.target_ms, given.typical_ms, given.accuracies, options);
    assert.deepEqual(latencies.map(
      (latency) => follower.observe(follower.position, latency)), positions);
    assert.equal(follower.moves, moves);
  });
}

// Oracle: the Python runtime.
test('starts where Python does', () => {
  for (const {target_ms, typical_ms, accuracies, position} of given.starts) {
    assert.equal(new LatencyFollower(
      target_ms, typical_ms, accuracies).position, position);
  }
});

test('refuses what Python refuses', async () => {
  for (const {arguments: values, ...wanted} of given.bad) {
    const {target_ms, typical_ms, accuracies, ...options} = values;
    assert.deepEqual(await outcome(() => new LatencyFollower(
      target_ms, typical_ms, accuracies, options)), wanted);
  }
});

// Oracle: Python's statistics module, and by hand.
test('quantiles and medians', () => {
  for (const [share, quantile] of given.quantiles) {
    assertClose(normalQuantile(share), quantile, share);
  }
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 10, 2]), 3);
});
