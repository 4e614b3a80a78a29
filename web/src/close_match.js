/** Finding the word that was probably meant, as Python's difflib does. */

/**
 * The word most similar to another one, or null if none is similar.
 * @param {string} word
 * @param {string[]} words
 * @returns {?string}
 */
export function closeMatch(word, words) {
  let best = null;
  let highest = 0.6; // the least similarity
  for (const candidate of words) {
    const ratio = 2 * common(candidate, word) /
      (candidate.length + word.length);
    if (ratio > highest || ratio === highest &&
        (best === null || candidate > best)) {
      [best, highest] = [candidate, ratio];
    }
  }
  return best;
}

/** Characters in common: the longest common part, and those on either side. */
function common(a, b) {
  let [size, inA, inB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      let k = 0;
      while (i + k < a.length && j + k < b.length && a[i + k] === b[j + k]) {
        k++;
      }
      if (k > size) [size, inA, inB] = [k, i, j];
    }
  }
  return size === 0 ? 0 : size + common(a.slice(0, inA), b.slice(0, inB)) +
    common(a.slice(inA + size), b.slice(inB + size));
}
