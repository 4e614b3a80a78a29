/** Meeting a latency target while the load varies. */

import {InputError, integer, number, shown} from './errors.js';
import {median, normalQuantile} from './statistics.js';

const JUMP = 3; // requests that moves are decided by
const STEADY = 5;
const CALM = 6;
const KEPT = 32; // that the noise is estimated from
const NOISE = 0.03; // until there are enough
const RELIEF = 4; // fall of the level, in units of its noise, that ends a hold
const LONGEST = 16; // most that the patience grows to, times `patience`

/**
 * Chooses the subnet that meets a latency target under the current load.
 *
 * It is LatencyFollower of runtime/pss_runtime/latency_follower.py, line by
 * line; the rules are explained there.
 */
export class LatencyFollower {
  /** Latest logarithms of slowdowns, oldest first. */
  #slowdowns = [];
  #seen = 0;
  #moved = 0; // how many requests had been seen at the last move
  /** By position: a subnet that was too slow, and is not tried again yet. */
  #holds = new Map();
  #quantile;
  /** How far the logarithm of the slowdown may rise, for each subnet. */
  #rooms;

  /**
   * Throws an InputError for a value that is not a number in its range, and
   * unless there are as many accuracies as latencies, and at least one.
   * @param {number} targetMs the latency to stay within, in milliseconds
   * @param {number[]} typicalMs latency of each subnet on the unloaded device
   * @param {number[]} accuracies accuracy of each subnet
   * @param {{share?: number, patience?: number}} [options] share of the
   *     requests that should stay within the target; requests before a subnet
   *     that was too slow is tried again under the same load
   */
  constructor(targetMs, typicalMs, accuracies, options = {}) {
    const {share = 0.95, patience = 40} = options;
    this.targetMs = number('target_ms', targetMs, {above: 0});
    this.typicalMs = typicalMs.map(
      (value, i) => number(`typical_ms[${i}]`, value, {above: 0}));
    this.accuracies = accuracies.map(
      (value, i) => number(`accuracies[${i}]`, value));
    if (accuracies.length === 0 || accuracies.length !== typicalMs.length) {
      throw new InputError(`accuracies=${shown(accuracies)}: expected at ` +
        'least one, and as many as typical_ms has ' +
        `(${typicalMs.length})`);
    }
    this.share = number('share', share, {least: 0.5, below: 1});
    this.patience = integer('patience', patience);
    this.#quantile = normalQuantile(share);
    this.#rooms = typicalMs.map((typical) => Math.log(targetMs / typical));
    /** How often the position has changed. */
    this.moves = 0;
    /** Index of the subnet to use now. */
    this.position = this.#best(0);
  }

  /**
   * Records a request.
   * @param {number} position index of the subnet that answered it
   * @param {number} latencyMs how long it took, in milliseconds
   * @returns {number} the index of the subnet to use from now on
   */
  observe(position, latencyMs) {
    this.#slowdowns.push(Math.log(latencyMs / this.typicalMs[position]));
    if (this.#slowdowns.length > KEPT) this.#slowdowns.shift();
    this.#seen++;
    if (this.#slowdowns.length >= JUMP && !this.#moveDown()) this.#moveUp();
    return this.position;
  }

  /** Moves to a faster subnet if requests are late, or about to be. */
  #moveDown() {
    const seen = this.#slowdowns;
    const room = this.#rooms[this.position];
    const reserve = this.#quantile * noiseOf(seen);
    const jump = median(seen.slice(-JUMP));
    let level = median(seen.slice(-STEADY));
    if (jump > room) {
      level = Math.max(level, jump);
    } else if (level + reserve / 2 <= room ||
        this.#seen - this.#moved < STEADY) {
      return false;
    }
    const faster = this.#best(level + reserve);
    if (this.#rooms[faster] <= room) return false;
    const held = this.#holds.get(this.position);
    const wait = held === undefined ? this.patience :
      Math.min(2 * held.wait, LONGEST * this.patience);
    this.#holds.set(this.position, {level, until: this.#seen + wait, wait});
    this.#move(faster);
    return true;
  }

  /** Moves to a more accurate subnet if recent requests would have been in
   * time with it. */
  #moveUp() {
    const recent = this.#slowdowns.slice(-CALM);
    if (recent.length < CALM || this.#seen - this.#moved < CALM - 1) return;
    const noise = noiseOf(this.#slowdowns);
    const level = median(recent);
    const secondHighest = recent.sort((a, b) => a - b).at(-2);
    const needed = Math.max(secondHighest, level + this.#quantile * noise);
    const better = this.#positions().filter((i) =>
      this.#rooms[i] >= needed &&
      this.accuracies[i] > this.accuracies[this.position] &&
      !this.#isHeld(i, level, noise));
    if (better.length > 0) this.#move(this.#mostAccurate(better));
  }

  #isHeld(position, level, noise) {
    const held = this.#holds.get(position);
    return held !== undefined && this.#seen < held.until &&
      level > held.level - RELIEF * Math.max(noise, 0.01);
  }

  #move(position) {
    this.position = position;
    this.moves++;
    this.#moved = this.#seen;
  }

  /** The most accurate subnet that is in time if the logarithm of the slowdown
   * is `level`; else the fastest. */
  #best(level) {
    const all = this.#positions();
    const within = all.filter((i) => this.#rooms[i] >= level);
    return within.length > 0 ? this.#mostAccurate(within) : all.reduce(
      (best, i) => this.#rooms[i] > this.#rooms[best] ? i : best);
  }

  /** Of equally accurate ones, the fastest. */
  #mostAccurate(positions) {
    const [accuracies, rooms] = [this.accuracies, this.#rooms];
    return positions.reduce((best, i) =>
      accuracies[i] > accuracies[best] ||
      accuracies[i] === accuracies[best] && rooms[i] > rooms[best] ? i : best);
  }

  #positions() {
    return [...this.#rooms.keys()];
  }
}

/** The standard deviation of slowdowns' logarithms while the load is steady:
 * from the median of successive differences, which jumps of the load hardly
 * change. */
function noiseOf(seen) {
  const steps = seen.slice(1).map((value, i) => Math.abs(value - seen[i]));
  // the median of |a - b| is 0.6745 * sqrt(2) standard deviations
  return steps.length < JUMP + 1 ? NOISE :
    median(steps) / (0.6745 * Math.sqrt(2));
}
