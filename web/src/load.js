/** A load that competes for the processor: workers that only compute. */

let workers = [];

/**
 * Starts the load, twice as many workers as the processor has cores; or ends
 * it.
 * @param {boolean} isOn
 */
export function setLoad(isOn) {
  workers.forEach((worker) => worker.terminate());
  const num = isOn ? 2 * (navigator.hardwareConcurrency || 2) : 0;
  workers = Array.from({length: num},
    () => new Worker(new URL('busy_worker.js', import.meta.url)));
}
