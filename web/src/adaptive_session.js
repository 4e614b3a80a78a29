/** A classifier in onnxruntime-web that switches between subnets. */

import {readDeviceBank} from './device_bank.js';
import {InputError, general, integer, number, quoted} from './errors.js';
import {readImage} from './image_files.js';
import {LatencyFollower} from './latency_follower.js';
import {Preprocessing} from './preprocessing.js';
import {BankSelection} from './selection.js';
import {Sessions} from './sessions.js';
import {median} from './statistics.js';

const MEASURED = 'latency_ms'; // the resource that measure() adds
const SHORTEST = 1e-3; // milliseconds, where the clock is coarse

/**
 * @typedef {import('./device_bank.js').KeptSubnet} KeptSubnet
 * @typedef {import('./preprocessing.js').Pixels} Pixels
 *
 * @typedef {object} Prediction
 * @property {Float64Array} pred_scores
 * @property {number} pred_label
 * @property {number} pred_score
 * @property {string} [pred_class] if the bank has class names
 *
 * @typedef {object} Running all that a request needs of a subnet
 * @property {KeptSubnet} kept
 * @property {import('./sessions.js').OpenSession} open
 */

/**
 * One classifier at many sizes.
 *
 *     const net = await AdaptiveSession.open('device_bank', {ort});
 *     await net.switch({flops: 60}); // the most accurate within 60 MFLOPs
 *     await net.predict(file);
 *
 * A subnet's session is opened when it is first switched to, and the last few
 * stay open. A request ends with the subnet it began with, whatever is switched
 * meanwhile.
 */
export class AdaptiveSession extends BankSelection {
  /** @type {Running} */
  #active;
  /** What chooses subnets, and from which. */
  #following = null;
  #turn = 0; // of the latest call that makes a subnet active

  /**
   * Opens a device bank; the most accurate subnet is active at first.
   *
   * Throws an InputError for a device bank that cannot be read, see
   * readDeviceBank(), or that ONNX Runtime cannot run.
   * @param {string} folder the device bank's address
   * @param {object} options
   * @param {object} options.ort the module of onnxruntime-web
   * @param {number} [options.keep] how many sessions stay open
   * @param {import('./device_bank.js').ReadFile} [options.read]
   * @returns {Promise<AdaptiveSession>}
   */
  static async open(folder, {ort, keep = 4, read}) {
    integer('keep', keep);
    const net = new AdaptiveSession(
      await readDeviceBank(folder, read), ort, keep);
    await net.switch();
    return net;
  }

  /** For open(), which also activates a subnet. */
  constructor(bank, ort, keep) {
    super(bank);
    this.bank = bank;
    this.inputShape = bank.input_shape;
    this.ort = ort;
    this.sessions = new Sessions(bank, ort, keep);
    this.preprocessing = new Preprocessing(bank.preprocessing,
      bank.input_shape);
  }

  /**
   * The subnet that the next request runs; at first the most accurate. switch()
   * and follow() change it. Switching also ends following.
   * @type {KeptSubnet}
   */
  get active() {
    return this.#active.kept;
  }

  /** What chooses the subnets; null unless a latency is followed. */
  get follower() {
    return this.#following?.follower ?? null;
  }

  async _activate(kept) {
    await this.#change(kept, null, () => true);
  }

  /** Makes a subnet active, unless a later call has done so meanwhile, or it is
   * not wanted any more. */
  async #change(kept, following, isWanted) {
    const turn = ++this.#turn;
    const open = await this.sessions.take(kept.file);
    if (turn !== this.#turn || !isWanted()) {
      this.sessions.letGo(open);
      return;
    }
    const before = this.#active;
    this.#active = {kept, open};
    this.#following = following;
    if (before) this.sessions.letGo(before.open);
  }

  /**
   * Labels and scores, in the form of mmpretrain's inferencer. The subnet that
   * is active at the beginning answers all images.
   *
   * Throws an InputError for a file that is not an image, and for an image of
   * another shape.
   * @param {Blob|Pixels|(Blob|Pixels)[]} images one or several
   * @param {number} [batchSize] how many images run at once
   * @returns {Promise<Prediction[]>}
   */
  async predict(images, batchSize = 32) {
    integer('batch_size', batchSize);
    const [running, following] = [this.#active, this.#following];
    const start = performance.now();
    const results = await this.#using(running.open,
      (session) => this.#answer(session, images, batchSize));
    const latency = Math.max(performance.now() - start, SHORTEST);
    if (following === null || results.length === 0) return results;
    const {follower, choices} = following;
    const position = choices.findIndex(
      ({name}) => name === running.kept.name);
    if (position < 0) return results;
    const next = choices[follower.observe(position, latency)];
    if (next.name !== running.kept.name && this.#following === following) {
      await this.#change(next, following,
        () => this.#following === following);
    }
    return results;
  }

  /** Holds a session while something runs in it. */
  async #using(open, work) {
    open.uses++;
    try {
      return await work(open.session);
    } finally {
      this.sessions.letGo(open);
    }
  }

  /**
   * Measures how long a request takes each subnet on this device. From then on
   * "latency_ms" is one of the resources to choose by.
   * @param {Blob|Pixels|(Blob|Pixels)[]} [images] a typical request; one blank
   *     image by default
   * @param {number} [rounds] so many requests are timed, twice, after one to
   *     warm up
   * @returns {Promise<Object<string, number>>} the median latency by the
   *     subnet's name, in milliseconds; the lower of two, since another load
   *     may have come in between
   */
  async measure(images = this.#blank(), rounds = 5) {
    integer('rounds', rounds);
    const found = {};
    for (const kept of [...this.subnets, ...[...this.subnets].reverse()]) {
      const open = await this.sessions.take(kept.file);
      const times = [];
      try {
        for (let i = 0; i <= rounds; i++) {
          const start = performance.now();
          await this.#answer(open.session, images, 2 ** 30);
          times.push(Math.max(performance.now() - start, SHORTEST));
        }
      } finally {
        this.sessions.letGo(open);
      }
      found[kept.name] = Math.min(
        median(times.slice(1)), found[kept.name] ?? Infinity);
      await new Promise((resume) => setTimeout(resume)); // the page may redraw
    }
    this.resources = {...this.resources, [MEASURED]: 'ms'};
    this.subnets = this.subnets.map((kept) => ({
      ...kept, costs: {...kept.costs, [MEASURED]: found[kept.name]},
    }));
    return found;
  }

  /**
   * Switches between subnets by itself, to stay within a latency.
   *
   * First it measures how long each subnet takes now. From then on every
   * predict() is timed, and how much slower the recent ones were decides on the
   * subnet for the next one. Requests should be of similar size. switch() ends
   * it.
   *
   * Throws an InputError for a latency that is not a finite number above 0, for
   * one that no subnet meets even now (it names the fastest), and for an option
   * that is unknown or out of its range. An earlier following then goes on.
   * @param {?number} latencyMs the most that predict() should take; null ends
   *     the following
   * @param {Blob|Pixels|(Blob|Pixels)[]} [images] a typical request; one blank
   *     image by default
   * @param {{share?: number, patience?: number}} [options] of LatencyFollower
   * @returns {Promise<?LatencyFollower>} what chooses the subnets; null after
   *     the end
   */
  async follow(latencyMs, images = this.#blank(), options = {}) {
    if (latencyMs === null) {
      this.#following = null;
      return null;
    }
    number('latency_ms', latencyMs, {above: 0});
    for (const key of Object.keys(options)) {
      if (key !== 'share' && key !== 'patience') {
        throw new InputError(`follow: unknown key ${quoted(key)}; expected ` +
          "one of 'patience', 'share'");
      }
    }
    const typical = await this.measure(images);
    // a subnet may have several names
    const choices = [...new Map(this.subnets.map((kept) =>
      [`${kept.resolution}: ${kept.widths}`, kept])).values()];
    const times = choices.map(({name}) => typical[name]);
    const fastest = Math.min(...times);
    if (fastest > latencyMs) {
      throw new InputError(
        `latency_ms=${general(latencyMs)}: no subnet meets it; the nearest ` +
        `is ${quoted(choices[times.indexOf(fastest)].name)}, ` +
        `which needs ${general(fastest, 3)} ms for such a request`);
    }
    const follower = new LatencyFollower(latencyMs, times,
      choices.map((kept) => kept.held_out_accuracy), options);
    await this.#change(choices[follower.position], {follower, choices},
      () => true);
    return follower;
  }

  /**
   * All outputs of the active subnet, by name: "logits", or a detector's
   * feature maps.
   * @param {object} inputs preprocessed images, a tensor (N, C, H, W)
   * @returns {Promise<Object<string, object>>} tensors
   */
  async outputs(inputs) {
    return this.#using(this.#active.open,
      (session) => session.run({images: inputs}));
  }

  #blank() {
    const [channels, height, width] = this.inputShape;
    return {height, width, channels,
      data: new Uint8Array(height * width * channels)};
  }

  async #answer(session, images, batchSize) {
    const {task, folder} = this.bank;
    if (task !== 'classification') {
      throw new InputError(`${folder}: task=${quoted(task)}: predict() ` +
        'expects classification; outputs() gives the feature maps');
    }
    const loaded = await this.#load(images);
    const results = [];
    for (let first = 0; first < loaded.length; first += batchSize) {
      const batch = loaded.slice(first, first + batchSize);
      const inputs = new this.ort.Tensor('float32',
        this.preprocessing.batch(batch), [batch.length, ...this.inputShape]);
      const {logits} = await session.run({images: inputs});
      const num = logits.dims[1];
      for (let i = 0; i < batch.length; i++) {
        results.push(this.#prediction(
          logits.data.subarray(i * num, (i + 1) * num)));
      }
    }
    return results;
  }

  /** Images as pixels, each with a name for messages. */
  async #load(images) {
    const isList = Array.isArray(images);
    return Promise.all((isList ? images : [images]).map(async (image, i) => {
      const name = image?.name ?? (isList ? `images[${i}]` : 'images');
      return image instanceof Blob ?
        {...await readImage(image, name, this.inputShape[0] === 1), name} :
        {...image, name};
    }));
  }

  /** @returns {Prediction} */
  #prediction(logits) {
    if (!logits.every(Number.isFinite)) {
      throw new InputError('the scores of the network are not finite: ' +
        'expected weights and images of ordinary size');
    }
    const scores = this.bank.scores === 'sigmoid' ?
      Float64Array.from(logits, (x) => 1 / (1 + Math.exp(-x))) :
      softmax(logits);
    const label = scores.indexOf(Math.max(...scores));
    return {
      pred_scores: scores,
      pred_label: label,
      pred_score: scores[label],
      ...this.classes && {pred_class: this.classes[label]},
    };
  }
}

function softmax(logits) {
  const highest = Math.max(...logits);
  const powers = Float64Array.from(logits, (x) => Math.exp(x - highest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
