/** The test vectors that the Python runtime wrote. */

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';

import {InputError} from '../src/errors.js';

// browsers have it, and Node since 20
globalThis.crypto ??= (await import('node:crypto')).webcrypto;

/** The vectors of a file. */
export function vectors(name) {
  const file = `../../tests/runtime/vectors/${name}.json`;
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'));
}

/** What a function returns, or the message of its error. */
export async function outcome(work) {
  try {
    return {result: await work()};
  } catch (error) {
    assert.ok(error instanceof InputError, error.stack);
    return {error: error.message};
  }
}

/** Checks that two numbers are the same to nine digits. */
export function assertClose(found, wanted, what) {
  assert.ok(Math.abs(found - wanted) <= 1e-9 * Math.abs(wanted),
    `${what}: ${found} instead of ${wanted}`);
}

/** The bytes of a text in base64. */
export function bytesOf(text) {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
