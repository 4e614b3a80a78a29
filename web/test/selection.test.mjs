import assert from 'node:assert/strict';
import test from 'node:test';

import {BankSelection} from '../src/selection.js';
import {outcome, vectors} from './vectors.mjs';

class Selection extends BankSelection {
  async _activate(kept) {
    this.active = kept;
  }
}

const {resources, subnets, select, switch: switches} = vectors('selection');
const net = () => new Selection({kept: subnets, resources, classes: null});

// Oracle: the Python runtime, messages included.
test('selects as Python does', async () => {
  for (const {limits, ...wanted} of select) {
    assert.deepEqual(await outcome(() => net().select(limits).name), wanted);
  }
});

test('switches as Python does', async () => {
  for (const {subnet, limits, ...wanted} of switches) {
    assert.deepEqual(await outcome(
      async () => (await net().switch(subnet, limits)).name), wanted);
  }
});

// Oracle: what select() gives; an error changes nothing.
test('switches by limits', async () => {
  const chooser = net();
  assert.equal(await chooser.switch({flops: 9.5}),
    chooser.select({flops: 9.5}));
  const before = chooser.active;
  await assert.rejects(chooser.switch({flops: 1e-3}), /the nearest is/);
  assert.equal(chooser.active, before);
  assert.equal(await chooser.switch(subnets[3]), subnets[3]);
});
