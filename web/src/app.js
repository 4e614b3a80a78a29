/** The page: connects its controls with an adaptive session. */

import * as ort from '../ort/ort.wasm.min.mjs';

import {AdaptiveSession} from './adaptive_session.js';
import {Drawing} from './drawing.js';
import {InputError, general} from './errors.js';
import {fromImageData, readImage} from './image_files.js';
import {setLoad} from './load.js';
import {fitted, showPixels, showResult} from './one_image.js';
import {element, find} from './page.js';
import {median} from './statistics.js';
import {Stream, StreamCharts} from './stream.js';
import {TestImages} from './test_images.js';

const WARMING_UP = 1000; // milliseconds

/** @type {AdaptiveSession} */
let net;
/** @type {TestImages} */
let images;
/** @type {Stream} */
let stream;
/** @type {StreamCharts} */
let charts;
/** The image that was classified last, and its label. */
let current = [];
let last = Promise.resolve(); // the end of all work so far

/** Does work after what was asked for before, so that nothing competes with a
 * request that is timed. */
function inTurn(work) {
  const turn = last.then(work);
  last = turn.catch(() => {});
  return turn;
}

/** Does what a control asks for; an error becomes one line. */
function act(work) {
  find('error').hidden = true;
  return inTurn(work).catch(show);
}

/** Shows an error as one line. */
function show(error) {
  if (!(error instanceof InputError)) console.error(error);
  find('error').textContent = error.message;
  find('error').hidden = false;
}

async function open() {
  const base = new URL('../', import.meta.url).href;
  ort.env.wasm.wasmPaths = `${base}ort/`;
  ort.env.wasm.numThreads = 1;
  [net, images] = await Promise.all([
    AdaptiveSession.open('device_bank', {ort}),
    TestImages.fetch('test_images'),
  ]);
  charts = new StreamCharts(find, net.subnets, Object.keys(net.resources)[0]);
  stream = new Stream((i) => inTurn(() => ask(i)), (row) => {
    charts.draw(stream.rows, net.follower?.targetMs ?? null);
    if (row.kept !== net.active) showSubnet();
  });
  const unit = net.resources[charts.resource];
  find('cost-unit').textContent = unit || charts.resource;
  find('count').textContent = new Set(
    net.subnets.map((kept) => kept.file)).size;
  find('batch-size').textContent = images.batchSize;
  find('number').max = images.length;
  showResources();
  showSubnet();
  charts.draw([], null);
  await suggestTarget();
  connect();
  find('main').inert = false;
  find('status').textContent = '';
  pick(0);
}

/** Suggests a latency a quarter above that of the most accurate subnet, after
 * the browser has had the time to compile what runs often for speed. */
async function suggestTarget() {
  const times = [];
  const end = performance.now() + WARMING_UP;
  while (times.length < 5 || performance.now() < end) {
    const start = performance.now();
    await net.predict(typicalRequest(), images.batchSize);
    times.push(performance.now() - start);
  }
  find('target').value = general(1.25 * median(times.slice(-5)), 2);
}

function typicalRequest() {
  return images.request(0).map((i) => images.image(i));
}

// The subnet

function showSubnet() {
  // its entry now: measuring adds a cost
  const kept = net.subnets.find(({name}) => name === net.active.name);
  const {name, resolution, costs, held_out_accuracy: accuracy,
    standard_error: error, test_accuracy: tested} = kept;
  find('subnet-name').textContent = name;
  const percent = /^top\d/.test(net.bank.metric) ? ' %' : '';
  const facts = {Resolution: `${resolution} × ${resolution}`};
  for (const [resource, unit] of Object.entries(net.resources)) {
    facts[resource] = `${general(costs[resource], 4)} ${unit}`;
  }
  facts[`Held-out ${net.bank.metric}`] = accuracy.toFixed(1) +
    (error === null ? '' : ` ± ${error.toFixed(1)}`) + percent;
  if (tested !== null) {
    facts[`Test ${net.bank.metric}`] = tested.toFixed(1) + percent;
  }
  find('subnet-facts').replaceChildren(
    ...Object.entries(facts).flatMap(([term, text]) =>
      [element('dt', term), element('dd', text)]));
}

function showResources() {
  const {value, options} = find('resource');
  const names = Object.keys(net.resources);
  if (options.length === names.length) {
    showBudget(); // perhaps measured anew
    return;
  }
  find('resource').replaceChildren(...names.map((name) =>
    Object.assign(element('option', name), {value: name})));
  find('resource-field').hidden = names.length < 2;
  if (names.includes(value)) find('resource').value = value;
  showCosts();
}

/** The costs that the slider stops at. */
function costs() {
  const resource = find('resource').value;
  return [...new Set(net.subnets.map((kept) => kept.costs[resource]))]
    .sort((a, b) => a - b);
}

function showCosts() {
  find('budget').max = costs().length - 1;
  find('budget').value = find('budget').max;
  showBudget();
}

function showBudget() {
  const resource = find('resource').value;
  const cost = costs()[find('budget').value];
  const text = `at most ${general(cost, 4)} ${net.resources[resource]}`;
  find('budget-text').textContent = text;
  find('budget').setAttribute('aria-valuetext', text);
}

function onBudget() {
  showBudget();
  const {value} = find('budget');
  act(async () => {
    if (value !== find('budget').value) return; // moved on
    const limit = costs()[value];
    await net.switch({[find('resource').value]: limit});
    find('follow').checked = false;
    await classify(...current); // shows the subnet too
  });
}

async function onFollow() {
  await act(async () => {
    if (!find('follow').checked) return net.follow(null);
    find('status').textContent = 'Measuring how long each subnet takes…';
    return net.follow(find('target').valueAsNumber, typicalRequest());
  });
  find('status').textContent = '';
  find('follow').checked = net.follower !== null;
  showResources();
  showSubnet();
  charts.draw(stream.rows, net.follower?.targetMs ?? null);
}

// The stream

async function ask(i) {
  const numbers = images.request(i);
  const request = numbers.map((number) => images.image(number));
  const kept = net.active;
  const target = net.follower?.targetMs ?? null;
  const start = performance.now();
  const results = await net.predict(request, images.batchSize);
  const latency = performance.now() - start;
  const right = results.filter(
    (result, j) => result.pred_label === images.labels[numbers[j]]).length;
  return {latency, kept, num: numbers.length, right, target,
    isLoaded: find('load').checked};
}

function onStart() {
  if (stream.isRunning) {
    stream.pause();
  } else {
    find('error').hidden = true;
    stream.start().catch(show)
      .then(() => (find('start').textContent = 'Start'));
  }
  find('start').textContent = stream.isRunning ? 'Pause' : 'Start';
}

// One image

function pick(number) {
  const i = (Math.round(number) % images.length + images.length) %
    images.length || 0;
  find('number').value = i + 1;
  act(() => classify(images.image(i), images.labels[i]));
}

function onFile() {
  const [file] = find('file').files;
  if (!file) return;
  act(async () => classify(
    await readImage(file, file.name, net.inputShape[0] === 1)));
}

/** Predicts an image's class, and shows it. */
async function classify(image, label = null) {
  const pixels = fitted(image, net);
  const seen = net.preprocessing.steps(pixels, pixels.name ?? 'image');
  // as large as a request of the stream, so that following can compare them
  const num = net.follower ? images.batchSize : 1;
  const [result] = await net.predict(Array(num).fill(pixels), num);
  current = [image, label];
  showPixels(seen);
  find('preview-note').textContent = pixels === image ? '' :
    `Fitted from ${image.width} × ${image.height} to ` +
    `${pixels.width} × ${pixels.height} pixels.`;
  showResult(result, net.classes, label);
  showSubnet();
}

function connect() {
  const drawing = new Drawing(find('drawing'), find('pen'), (image) => {
    const pixels = fromImageData(image, net.inputShape[0] === 1);
    act(() => classify({...pixels, name: 'drawing'}));
  });
  const listen = (id, event, work) => find(id).addEventListener(event, work);
  const number = () => find('number').valueAsNumber - 1;
  listen('resource', 'change', showCosts);
  listen('budget', 'input', onBudget);
  listen('follow', 'change', onFollow);
  listen('target', 'change', () => find('follow').checked && onFollow());
  listen('start', 'click', onStart);
  listen('load', 'change', () => setLoad(find('load').checked));
  listen('number', 'change', () => pick(number()));
  listen('previous', 'click', () => pick(number() - 1));
  listen('next', 'click', () => pick(number() + 1));
  listen('random', 'click', () => pick(Math.random() * images.length));
  listen('file', 'change', onFile);
  listen('clear', 'click', () => drawing.clear());
  new ResizeObserver(() => charts.draw(
    stream.rows, net.follower?.targetMs ?? null)).observe(find('summary'));
  window.net = net; // for the browser's console
}

open().catch((error) => {
  show(error);
  find('status').textContent = '';
  find('main').hidden = true;
});
