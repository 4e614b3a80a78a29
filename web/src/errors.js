/**
 * The error for bad input, checks that raise it, and how values look in
 * messages: as in Python, so that both runtimes say the same.
 */

/** Bad input. The message names the field, its value and what was expected. */
export class InputError extends Error {
  name = 'InputError';
}

/**
 * A value as messages show it: on one line, shortened.
 * @param {*} value
 * @returns {string}
 */
export function shown(value) {
  if (value === undefined || value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (Array.isArray(value)) {
    const more = value.length > 6 ? ', ...' : '';
    return `[${value.slice(0, 6).map(shown).join(', ')}${more}]`;
  }
  if (typeof value === 'string') {
    const text = quoted(value);
    return text.length <= 30 ? text : `${text.slice(0, 13)}...${
      text.slice(-14)}`;
  }
  if (typeof value === 'object') {
    return `{${Object.entries(value).map(
      ([key, item]) => `${shown(key)}: ${shown(item)}`).join(', ')}}`;
  }
  if (typeof value === 'number') return numeral(value);
  return String(value);
}

/** A text in Python's quotation marks, shown completely. */
export function quoted(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  return mark + (mark === "'" ? inner.replaceAll("'", "\\'") : inner) + mark;
}

function numeral(value) {
  return Number.isNaN(value) ? 'nan' :
    String(value).replace('Infinity', 'inf');
}

/**
 * A number with so many significant digits, as Python's "%g" writes it.
 * @param {number} value
 * @param {number} [digits]
 * @returns {string}
 */
export function general(value, digits = 6) {
  if (!Number.isFinite(value)) return numeral(value);
  const [mantissa, power] = value.toExponential(digits - 1).split('e');
  const exponent = Number(power);
  const trimmed = (text) =>
    text.includes('.') ? text.replace(/\.?0+$/, '') : text;
  if (exponent >= -4 && exponent < digits) {
    return trimmed(value.toFixed(digits - 1 - exponent));
  }
  const size = String(Math.abs(exponent)).padStart(2, '0');
  return `${trimmed(mantissa)}e${exponent < 0 ? '-' : '+'}${size}`;
}

/**
 * Checks that a value is a finite number in a range, and returns it.
 * @param {string} name
 * @param {*} value
 * @param {{least?: number, above?: number, below?: number}} [range]
 * @returns {number}
 */
export function number(name, value, range = {}) {
  const {least = -Infinity, above = -Infinity, below = Infinity} = range;
  if (Number.isFinite(value) && least <= value && above < value &&
      value < below) {
    return value;
  }
  const ends = [['of at least', least], ['above', above], ['below', below]]
    .filter(([, end]) => Number.isFinite(end))
    .map(([words, end]) => `${words} ${general(end)}`).join(' and ');
  throw new InputError(
    `${name}=${shown(value)}: expected a finite number ${ends}`.trimEnd());
}

/**
 * Checks that a value is an integer of at least some size, and returns it.
 * @param {string} name
 * @param {*} value
 * @param {number} [least]
 * @returns {number}
 */
export function integer(name, value, least = 1) {
  if (Number.isInteger(value) && value >= least) return value;
  throw new InputError(
    `${name}=${shown(value)}: expected an integer of at least ${least}`);
}
