/**
 * Reading device banks.
 *
 * A device bank is a folder:
 *
 *     bank.json      what is in it: costs, accuracies, classes, preprocessing
 *     weights.bin    the weights of all subnets, once
 *     NAME.onnx      the graph of a subnet, which takes its weights from there
 *
 * bank.json has the size and the checksum of every other file, and a checksum
 * of itself. Reading a device bank runs nothing in it. Fields are named as in
 * the file.
 */

import {InputError, shown} from './errors.js';

/**
 * @typedef {object} KeptSubnet a subnet of a device bank
 * @property {string} name its pool's, such as "flops 150"; "largest"
 * @property {number} resolution in pixels
 * @property {number[]} widths one for each group of layers
 * @property {Object<string, number>} costs in every resource, in its unit
 * @property {number} held_out_accuracy on images held out from the training
 *     set, by which it was chosen
 * @property {?number} standard_error of that accuracy; null if not known
 * @property {?number} test_accuracy on the test images; null if not tested
 * @property {string} file the name of its graph
 * @property {?string} resource its pool's; null for the ends of the space
 * @property {?number} level its pool's
 *
 * @typedef {object} DeviceBank the contents of a device bank
 * @property {string} folder where it is
 * @property {string} task "classification"; "features" of a detector's backbone
 * @property {string} scores what makes scores of logits: softmax or sigmoid
 * @property {?string[]} classes their names
 * @property {object} preprocessing see Preprocessing
 * @property {number[]} input_shape channels, height, width
 * @property {Object<string, string>} resources the unit of every resource
 * @property {string} metric what the accuracies are
 * @property {KeptSubnet[]} kept the subnets, smallest first
 * @property {Map<string, Uint8Array>} files the contents of all other files
 *
 * @callback ReadFile
 * @param {string} path
 * @returns {Promise<Uint8Array>} its content; an Error if it cannot be read
 */

const [FORMAT, VERSION] = ['pss-device-bank', 1];
const INDEX = 'bank.json';
const BLANK = '0'.repeat(64); // stands for the index's own checksum

/**
 * Reads a device bank, and verifies the checksums of all of its files.
 *
 * Throws an InputError for a file that is missing, truncated or altered, for a
 * newer format, and for another kind of file.
 * @param {string} folder its address
 * @param {ReadFile} [read]
 * @returns {Promise<DeviceBank>}
 */
export async function readDeviceBank(folder, read = fetchFile) {
  const index = `${folder}/${INDEX}`;
  const value = await parsed(index, await content(folder, INDEX, read));
  checkFields(index, value);
  const files = new Map();
  for (const [name, {bytes, sha256}] of Object.entries(value.files)) {
    const found = await content(folder, name, read);
    if (found.length !== bytes || await digest(found) !== sha256) {
      throw new InputError(`${folder}/${name}: truncated or altered: ` +
        `${found.length} bytes, expected ${bytes} with the checksum ` +
        `${String(sha256).slice(0, 12)}...; copy the device bank again`);
    }
    files.set(name, found);
  }
  const {task, scores, classes, preprocessing, input_shape, resources, metric,
    subnets: kept} = value;
  return {folder, task, scores, classes, preprocessing, input_shape, resources,
    metric, kept, files};
}

/** @type {ReadFile} */
async function fetchFile(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function content(folder, name, read) {
  try {
    return await read(`${folder}/${name}`);
  } catch (error) {
    throw new InputError(`device bank ${folder}: ${name} cannot be read ` +
      `(${error.message})`);
  }
}

/** The index's fields, after verifying its format and checksum. */
async function parsed(index, bytes) {
  let text, value;
  try {
    text = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true})
      .decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(
      `${index}: truncated or altered: not JSON (${error.message})`);
  }
  const found = isObject(value) ? value : {};
  if (found.format !== FORMAT) {
    throw new InputError(`${index}: format=${shown(found.format)}: expected ` +
      `'${FORMAT}', as export_bank.py writes it`);
  }
  if (found.version !== VERSION) {
    throw new InputError(`${index}: version=${shown(found.version)}: ` +
      `expected ${VERSION}; a newer one needs a newer pss-runtime`);
  }
  // its own checksum is the last one in it
  const own = String(found.sha256);
  const place = text.lastIndexOf(own);
  const blank = text.slice(0, place) + BLANK + text.slice(place + own.length);
  if (await digest(new TextEncoder().encode(blank)) !== own) {
    throw new InputError(`${index}: altered since it was written: its ` +
      'checksum does not fit; copy the device bank again');
  }
  return found;
}

async function digest(bytes) {
  const hash = await crypto.subtle.digest('SHA-256', bytes);
  return Array.from(new Uint8Array(hash),
    (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Checks the fields that are used. Where the checksum is right, whoever wrote
 * a wrong one meant another format. */
function checkFields(index, value) {
  const isNumber = Number.isFinite;
  const isText = (item) => typeof item === 'string';
  const listOf = (check) => (item) => Array.isArray(item) && item.every(check);
  const orNull = (check) => (item) => item === null || check(item);
  const isFile = (name) => isText(name) && Object.hasOwn(value.files, name);
  const costs = (item) => isObject(item) &&
    Object.keys(value.resources).every((name) => isNumber(item[name]));
  check(value, {
    task: isText,
    scores: isText,
    classes: orNull(listOf(isText)),
    preprocessing: isObject,
    input_shape: listOf(isNumber),
    resources: isObject,
    metric: isText,
    files: (files) => isObject(files) && Object.entries(files).every(
      ([name, file]) => /^[^/\\]+$/.test(name) && isObject(file)),
    subnets: (subnets) => listOf(isObject)(subnets) && subnets.length > 0,
  }, '');
  value.subnets.forEach((subnet, i) => check(subnet, {
    name: isText,
    resolution: isNumber,
    widths: listOf(isNumber),
    costs,
    held_out_accuracy: isNumber,
    standard_error: orNull(isNumber),
    test_accuracy: orNull(isNumber),
    file: isFile,
  }, `subnets[${i}].`));

  function check(fields, checks, where) {
    for (const [name, isRight] of Object.entries(checks)) {
      if (!Object.hasOwn(fields, name) || !isRight(fields[name])) {
        throw new InputError(`${index}: not as export_bank.py writes it ` +
          `(${where}${name}=${shown(fields[name])})`);
      }
    }
  }
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
