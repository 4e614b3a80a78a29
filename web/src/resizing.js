/**
 * Resizing bytes exactly as Pillow and OpenCV do.
 *
 * Both work along one axis after the other, with factors of few bits, so that
 * every result is an integer and the same everywhere.
 */

/** @typedef {import('./preprocessing.js').Pixels} Pixels */

const BITS = 22; // of Pillow's factors

const sinc = (x) => x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);

/** Pillow's filters: how far they reach, and their weight at a distance. */
const FILTERS = {
  box: [0.5, (x) => x > -0.5 && x <= 0.5 ? 1 : 0],
  bilinear: [1, (x) => Math.max(1 - Math.abs(x), 0)],
  hamming: [1, (x) => {
    const angle = Math.abs(x) * Math.PI;
    if (x === 0) return 1;
    return Math.abs(x) >= 1 ? 0 :
      Math.sin(angle) / angle * (0.54 + 0.46 * Math.cos(angle));
  }],
  bicubic: [2, (x) => {
    const [a, d] = [-0.5, Math.abs(x)];
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
  }],
  lanczos: [3, (x) => x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0],
};

/**
 * Resizes as Pillow's Image.resize.
 * @param {Pixels} pixels
 * @param {number} height
 * @param {number} width
 * @param {string} method
 * @returns {Pixels}
 */
export function resizePillow(pixels, height, width, method) {
  const pass = method === 'nearest' ? nearest : antialiased;
  const [down, across] = [pixels.height - height, pixels.width - width];
  // rows come first unless columns lose much more, as in Pillow 13
  const isColumnsFirst = down > 0 && down > 2 * across;
  let resized = pixels;
  for (const axis of isColumnsFirst ? [0, 1] : [1, 0]) {
    const side = axis ? width : height;
    const isOther = side !== (axis ? pixels.width : pixels.height);
    if (isOther) resized = pass(resized, axis, side, method);
  }
  return resized;
}

function nearest(pixels, axis, side) {
  const size = axis ? pixels.width : pixels.height;
  const places = [];
  const step = size / side;
  // Pillow adds up the steps, with their rounding errors
  for (let i = 0, place = step * 0.5; i < side; i++, place += step) {
    places.push({first: Math.min(Math.floor(place), size - 1), factors: [1]});
  }
  return along(pixels, axis, places, Uint8ClampedArray, addProducts, finish(0));
}

function antialiased(pixels, axis, side, method) {
  const size = axis ? pixels.width : pixels.height;
  return along(pixels, axis, pillowFactors(size, side, ...FILTERS[method]),
    Uint8ClampedArray, addProducts, finish(BITS));
}

/** For each place of the result, the first one that it is made of, and the
 * factors from there on, as integers. */
function pillowFactors(size, side, reach, weight) {
  const scale = size / side;
  const stretch = Math.max(scale, 1);
  const support = reach * stretch;
  const perPixel = 1 / stretch;
  return Array.from({length: side}, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), size);
    const weights = [];
    for (let j = 0; j < end - first; j++) {
      weights.push(weight((j + first - centre + 0.5) * perPixel));
    }
    const total = weights.reduce((a, b) => a + b, 0);
    return {first, factors: weights.map((w) => {
      const share = total === 0 ? w : w / total;
      return Math.trunc((share < 0 ? -0.5 : 0.5) + share * 2 ** BITS);
    })};
  });
}

/**
 * Resizes as OpenCV with bilinear interpolation.
 * @param {Pixels} pixels
 * @param {number} height
 * @param {number} width
 * @returns {Pixels}
 */
export function resizeOpenCV(pixels, height, width) {
  const wide = along(pixels, 1, linearFactors(pixels.width, width, true),
    Int32Array, addProducts, finish(0));
  // in the second pass each product is cut, not their sum
  return along(wide, 0, linearFactors(pixels.height, height, false),
    Uint8ClampedArray, addCutProducts, finish(2));
}

/** Two factors of 11 bits for each place of the result. */
function linearFactors(size, side, isRow) {
  const within = (place) => Math.min(Math.max(place, 0), size - 1);
  return Array.from({length: side}, (_, i) => {
    const place = Math.fround((i + 0.5) * (1 / (side / size)) - 0.5);
    const first = Math.floor(place);
    const isBeyond = isRow && (first < 0 || first >= size - 1);
    const share = isBeyond ? 0 : Math.fround(place - first);
    const factors = [Math.fround(1 - share), share].map(
      (factor) => roundHalfEven(Math.fround(factor * 2048)));
    return {places: [within(first), within(first + 1)], factors};
  });
}

/** Adds the products of a run of values with a factor to sums of 32 bits. */
function addProducts(sums, values, start, factor) {
  for (let k = 0; k < sums.length; k++) {
    sums[k] += Math.imul(values[start + k], factor);
  }
}

function addCutProducts(sums, values, start, factor) {
  for (let k = 0; k < sums.length; k++) {
    sums[k] += Math.imul(values[start + k] >> 4, factor) >> 16;
  }
}

/** Makes what stores sums without their last bits, rounded. */
function finish(bits) {
  const half = bits > 0 ? 1 << bits - 1 : 0;
  return (sums, result, start) => {
    for (let k = 0; k < sums.length; k++) {
      result[start + k] = (sums[k] + half) >> bits;
    }
  };
}

/**
 * Sums products of values and factors along an axis: 1 along rows, 0 along
 * columns.
 * @param {Pixels} pixels
 * @param {0|1} axis
 * @param {{first?: number, places?: number[], factors: number[]}[]} plan for
 *     each place of the result
 * @param {Function} Type of the result's array
 * @param {typeof addProducts} add
 * @param {ReturnType<typeof finish>} store
 * @returns {Pixels}
 */
function along(pixels, axis, plan, Type, add, store) {
  const {height, width, channels, data} = pixels;
  const side = plan.length;
  const shape = axis ? {height, width: side} : {height: side, width};
  // axis 1: pixel by pixel; axis 0: row by row
  const [outer, inner] = axis ? [height, channels] : [1, width * channels];
  const size = axis ? width : height;
  const result = new Type(outer * side * inner);
  const sums = new Int32Array(inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < side; i++) {
      const {first, places, factors} = plan[i];
      sums.fill(0);
      for (let j = 0; j < factors.length; j++) {
        const place = places ? places[j] : first + j;
        add(sums, data, (o * size + place) * inner, factors[j]);
      }
      store(sums, result, (o * side + i) * inner);
    }
  }
  return {...shape, channels, data: result};
}

/** Rounds to the nearest integer, halves to the even one. */
export function roundHalfEven(value) {
  const low = Math.floor(value);
  const isUp = value - low > 0.5 || value - low === 0.5 && low % 2 !== 0;
  return low + (isUp ? 1 : 0);
}
