/** Short ways to the page's elements. */

/**
 * The element of an id.
 * @param {string} id
 */
export const find = (id) => document.getElementById(id);

/**
 * A new element.
 * @param {string} tag
 * @param {string} text
 * @param {string} [className]
 */
export function element(tag, text, className = '') {
  return Object.assign(document.createElement(tag),
    {textContent: text, className});
}
