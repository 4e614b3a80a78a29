/** Sessions of ONNX Runtime: opened when needed, the last few stay open. */

import {InputError} from './errors.js';

const WEIGHTS = 'weights.bin';

/**
 * @typedef {object} OpenSession
 * @property {object} session ONNX Runtime's
 * @property {number} uses how many hold it: requests that run in it, and what
 *     has it active
 */

/** The sessions of a device bank. */
export class Sessions {
  /** By graph, the last one used last. @type {Map<string, OpenSession>} */
  #open = new Map();
  /** Those that are being opened. @type {Map<string, Promise>} */
  #opening = new Map();

  /**
   * @param {import('./device_bank.js').DeviceBank} bank
   * @param {object} ort the module of onnxruntime-web
   * @param {number} keep how many sessions stay open
   */
  constructor(bank, ort, keep) {
    this.bank = bank;
    this.ort = ort;
    this.keep = keep;
  }

  /**
   * Takes a graph's session; let go of it when it is not needed any more.
   * @param {string} file the graph's name
   * @returns {Promise<OpenSession>}
   */
  async take(file) {
    if (!this.#open.has(file) && !this.#opening.has(file)) {
      this.#opening.set(file, this.#create(file)
        .finally(() => this.#opening.delete(file)));
    }
    const open = this.#open.get(file) ?? await this.#opening.get(file);
    open.uses++;
    this.#open.delete(file);
    this.#open.set(file, open);
    for (const [name, oldest] of this.#open) {
      if (this.#open.size <= this.keep) break;
      this.#open.delete(name);
      this.#releaseIfUnused(oldest);
    }
    return open;
  }

  /**
   * Lets go of a session. It is released if nothing else holds it and it is not
   * one of the last few.
   * @param {OpenSession} open
   */
  letGo(open) {
    open.uses--;
    this.#releaseIfUnused(open);
  }

  #releaseIfUnused(open) {
    if (open.uses === 0 && ![...this.#open.values()].includes(open)) {
      open.session.release();
    }
  }

  async #create(file) {
    const {folder, files} = this.bank;
    try {
      const session = await this.ort.InferenceSession.create(files.get(file), {
        executionProviders: ['wasm'],
        externalData: files.has(WEIGHTS) ?
          [{path: WEIGHTS, data: files.get(WEIGHTS)}] : [],
        logSeverityLevel: 3, // errors
      });
      return {session, uses: 0};
    } catch (error) {
      throw new InputError(`${folder}/${file}: onnxruntime-web cannot run it ` +
        `(${error?.message ?? error})`);
    }
  }
}
