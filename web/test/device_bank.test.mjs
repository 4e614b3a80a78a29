import assert from 'node:assert/strict';
import test from 'node:test';

import {readDeviceBank} from '../src/device_bank.js';
import {outcome, vectors} from './vectors.mjs';

// Oracle: the Python runtime; its error's beginning, up to the system's or the
// parser's own words.
for (const {name, files, ...wanted} of vectors('device_banks')) {
  test(`reads as Python does: ${name}`, async () => {
    const read = async (path) => {
      const content = files[path.replace('bank/', '')];
      if (typeof content !== 'string') throw new Error('not found');
      return new TextEncoder().encode(content);
    };
    const found = await outcome(
      async () => (await readDeviceBank('bank', read)).kept[0].name);
    if ('error' in wanted) found.error &&= found.error.slice(
      0, wanted.error.endsWith('(') ? wanted.error.length : undefined);
    assert.deepEqual(found, wanted);
  });
}

// Oracle: the file's own fields.
test('fields of a device bank', async () => {
  const {files} = vectors('device_banks')[0];
  const bank = await readDeviceBank('bank', async (path) =>
    new TextEncoder().encode(files[path.replace('bank/', '')]));
  assert.deepEqual(bank.classes, ['Käfer', 'Fisch']);
  assert.deepEqual(bank.input_shape, [3, 8, 8]);
  assert.equal(bank.kept[0].standard_error, 0.5);
  assert.deepEqual([...bank.files.keys()], ['weights.bin', 'largest.onnx']);
});
