/** A stream of requests, and charts of how they went. */

import {Chart} from './chart.js';
import {general} from './errors.js';

const SHOWN = 240; // requests in the charts
const RECENT = 500; // images that the running accuracy is of

/**
 * @typedef {object} Row a request
 * @property {number} latency in milliseconds
 * @property {import('./device_bank.js').KeptSubnet} kept what answered it
 * @property {number} num how many images it had
 * @property {number} right how many of their classes were right
 * @property {?number} target the latency that was followed
 * @property {boolean} isLoaded whether the page's own load was on
 */

export class Stream {
  /** @type {Row[]} */
  rows = [];
  isRunning = false;
  #count = 0;
  #loop = null;

  /**
   * @param {() => Promise<Row>} ask makes the next request
   * @param {(row: Row) => void} onRequest called after each
   */
  constructor(ask, onRequest) {
    this.ask = ask;
    this.onRequest = onRequest;
  }

  /** Makes requests until pause() is called or one fails. */
  start() {
    this.isRunning = true;
    // started again before the last request has ended, it goes on
    this.#loop ??= this.#run().finally(() => (this.#loop = null));
    return this.#loop;
  }

  async #run() {
    try {
      while (this.isRunning) {
        const row = await this.ask(this.#count++);
        this.rows.push(row);
        if (this.rows.length > SHOWN) this.rows.shift();
        this.onRequest(row);
        // shows the request; a hidden page rests
        await new Promise(requestAnimationFrame);
      }
    } finally {
      this.isRunning = false;
    }
  }

  pause() {
    this.isRunning = false;
  }
}

/** The charts of a stream: latency, subnet, accuracy. */
export class StreamCharts {
  /**
   * @param {(id: string) => Element} find
   * @param {import('./device_bank.js').KeptSubnet[]} subnets
   * @param {string} resource whose cost stands for a subnet
   */
  constructor(find, subnets, resource) {
    this.find = find;
    this.resource = resource;
    const costs = subnets.map((kept) => kept.costs[resource]);
    this.costRange = [Math.min(...costs), Math.max(...costs)];
    [this.latency, this.subnet, this.accuracy] = ['latency', 'subnet',
      'accuracy'].map((name) => new Chart(find(`${name}-chart`)));
  }

  /**
   * Draws the charts anew.
   * @param {Row[]} rows
   * @param {?number} target the latency that is followed now
   */
  draw(rows, target) {
    const latencies = rows.map((row) => row.latency);
    const accuracies = rows.map((_, i) => recentAccuracy(rows, i));
    const loads = rows.map((row) => row.isLoaded);
    const common = {places: SHOWN, loads};
    this.latency.draw(latencies, {
      ...common, target, range: [0, ceiling(latencies, target)],
      format: (value) => general(value, 3),
    });
    this.subnet.draw(rows.map((row) => row.kept.costs[this.resource]), {
      ...common, range: this.costRange, isStep: true,
      format: (value) => general(value, 3),
    });
    const least = Math.min(...accuracies, 90);
    this.accuracy.draw(accuracies, {
      ...common, range: [Math.max(Math.floor(least / 10) * 10 - 10, 0), 100],
      format: (value) => value.toFixed(0),
    });
    if (rows.length === 0) return;
    const {latency, kept} = rows.at(-1);
    const texts = {latency: general(latency, 3), subnet: kept.name,
      accuracy: accuracies.at(-1).toFixed(1)};
    for (const [name, text] of Object.entries(texts)) {
      this.find(`${name}-now`).textContent = text;
      this.find(`${name}-chart`).setAttribute('aria-label',
        `Chart of the last ${rows.length} requests; ${name} now ${text}`);
    }
    const inTime = rows.filter((row) => row.latency <= row.target).length;
    const followed = rows.filter((row) => row.target !== null).length;
    this.find('summary').textContent = followed === 0 ?
      `${rows.length} requests` : `${rows.length} requests, ` +
        `${Math.round(100 * inTime / followed)} % of those followed in time`;
  }
}

/** The share of recent images that were right, in percent. */
function recentAccuracy(rows, last) {
  let [num, right] = [0, 0];
  for (let i = last; i >= 0 && num < RECENT; i--) {
    num += rows[i].num;
    right += rows[i].right;
  }
  return 100 * right / num;
}

/** The top of the latencies' axis: single slow requests may go beyond. */
function ceiling(latencies, target) {
  const sorted = [...latencies].sort((a, b) => a - b);
  const high = sorted[Math.floor(0.97 * (sorted.length - 1))] ?? 1;
  const top = 1.25 * Math.max(high, target ?? 0);
  const unit = 10 ** Math.floor(Math.log10(top)) / 2;
  return Math.ceil(top / unit) * unit;
}
