/** Choosing a kept subnet by limits on its costs. */

import {closeMatch} from './close_match.js';
import {InputError, general, quoted, shown} from './errors.js';

/**
 * @typedef {import('./device_bank.js').DeviceBank} DeviceBank
 * @typedef {import('./device_bank.js').KeptSubnet} KeptSubnet
 * @typedef {Object<string, number>} Limits the most that a subnet may cost, by
 *     resource and in its unit: {flops: 150, latency_cpu: 20_000}
 */

/** Base class of what runs one subnet of a bank at a time. */
export class BankSelection {
  /** @param {DeviceBank} bank */
  constructor(bank) {
    /** The kept subnets, smallest first. @type {KeptSubnet[]} */
    this.subnets = bank.kept;
    /** The unit of every resource. @type {Object<string, string>} */
    this.resources = bank.resources;
    /** Names of the classes. @type {?string[]} */
    this.classes = bank.classes;
  }

  /**
   * The most accurate subnet, on held-out images, within all limits.
   *
   * Throws an InputError if no subnet fits, which names the nearest one and
   * the limits that this needs; and for a limit that is unknown or not a number
   * above 0.
   * @param {Limits} [limits]
   * @returns {KeptSubnet}
   */
  select(limits = {}) {
    return mostAccurate(this.subnets, checkLimits(limits, this.resources),
      this.resources);
  }

  /**
   * Makes a subnet active: the given one, or the one that select() chooses:
   * switch('largest'), switch({flops: 15}), switch('largest', {flops: 15}).
   *
   * Throws an InputError if select() fails; for a subnet that is not in the
   * bank, and for one that exceeds a limit given with it.
   * @param {KeptSubnet|string|Limits} [subnet] an entry of subnets, its name,
   *     or limits
   * @param {Limits} [limits]
   * @returns {Promise<KeptSubnet>} the subnet that is active now
   */
  async switch(subnet = {}, limits = {}) {
    const isSubnet = typeof subnet === 'string' ||
      typeof subnet?.name === 'string';
    if (!isSubnet) limits = {...subnet, ...limits};
    const name = isSubnet ? subnet.name ?? subnet : this.select(limits).name;
    const kept = this.subnets.find((entry) => entry.name === name);
    if (!kept) {
      throw new InputError(`${quoted(name)} is not in the bank; expected one ` +
        `of [${this.subnets.map((entry) => quoted(entry.name)).join(', ')}]`);
    }
    if (!fits(kept, checkLimits(limits, this.resources))) {
      throw new InputError(`${quoted(kept.name)} contradicts the limits ` +
        `${shown(limits)}: it needs ${shown(kept.costs)}`);
    }
    await this._activate(kept);
    return kept;
  }
}

/**
 * Checks limits on costs, and returns them. Infinity is no limit.
 * @param {Limits} limits
 * @param {Object<string, string>} resources the unit of every resource
 * @returns {Limits}
 */
export function checkLimits(limits, resources) {
  for (const [name, limit] of Object.entries(limits)) {
    if (!Object.hasOwn(resources, name)) {
      const near = closeMatch(name, Object.keys(resources));
      const hint = near === null ? '' : ` (did you mean ${quoted(near)}?)`;
      const known = Object.entries(resources).map(
        ([key, unit]) => unit ? `${key} (${unit})` : key).join(', ');
      throw new InputError(`limit ${name}=${shown(limit)}: unknown resource` +
        `${hint}; expected ${known}`);
    }
    if (typeof limit !== 'number' || !(limit > 0)) {
      throw new InputError(
        `limit ${name}=${shown(limit)}: expected a number above 0`);
    }
  }
  return limits;
}

/**
 * Whether a subnet is within every limit.
 * @param {KeptSubnet} kept
 * @param {Limits} limits
 */
export function fits(kept, limits) {
  return Object.entries(limits).every(
    ([name, limit]) => kept.costs[name] <= limit);
}

/**
 * The subnet with the best held-out accuracy among those within all limits.
 * Ties go to the cheapest, compared in the limited resources in turn.
 *
 * Throws an InputError if none fits. It names the one that exceeds its limits
 * by the smallest factor, and the limits that this one needs.
 * @param {KeptSubnet[]} subnets
 * @param {Limits} limits
 * @param {Object<string, string>} resources
 * @returns {KeptSubnet}
 */
export function mostAccurate(subnets, limits, resources) {
  const limited = Object.keys(limits);
  const fitting = subnets.filter((kept) => fits(kept, limits));
  if (fitting.length > 0) {
    const names = limited.length ? limited : Object.keys(resources);
    return first(fitting, (kept) => [
      -kept.held_out_accuracy, ...names.map((name) => kept.costs[name])]);
  }
  const nearest = first(subnets, (kept) => [limited.reduce(
    (sum, name) => sum + Math.log(Math.max(kept.costs[name], limits[name])) -
      Math.log(limits[name]), 0)]);
  const needs = limited.map((name) =>
    `${name}=${roundedUp(nearest.costs[name])} ${resources[name]}`.trim());
  const asked = limited.map((name) => `${name}=${general(limits[name])}`);
  const together = limited.length > 1 && limited.every((name) =>
    subnets.some((kept) => kept.costs[name] <= limits[name])) ?
    ' (each limit can be met, but not all at once)' : '';
  throw new InputError(`no subnet fits ${asked.join(', ')}${together}; the ` +
    `nearest is ${quoted(nearest.name)}, which needs ${needs.join(', ')}`);
}

/** The first entry with the least key; keys are compared number by number. */
function first(entries, key) {
  const isLess = (a, b) => {
    const i = a.findIndex((value, j) => value !== b[j]);
    return i >= 0 && a[i] < b[i];
  };
  return entries.reduce(
    (best, entry) => isLess(key(entry), key(best)) ? entry : best);
}

/** A cost to five digits, rounded up: as a limit, the cost is within it. */
function roundedUp(cost) {
  if (!(cost > 1e-9 && cost < 1e15)) return general(cost);
  const digits = 4 - Math.floor(Math.log10(cost));
  return digits > 0 ? general(Math.ceil(cost * 10 ** digits) / 10 ** digits) :
    String(Math.ceil(cost));
}
