/** A small line chart in SVG, which its colours take from the style sheet. */

const [LEFT, TOP, BOTTOM] = [40, 6, 6]; // margins in pixels

export class Chart {
  /** @param {SVGElement} svg */
  constructor(svg) {
    this.svg = svg;
    this.parts = {};
    for (const [name, tag] of [['loads', 'g'], ['axis', 'path'],
      ['values', 'path'], ['target', 'path'], ['high', 'text'],
      ['low', 'text'], ['limit', 'text']]) {
      this.parts[name] = svg.appendChild(element(tag, {class: name}));
    }
    this.parts.limit.setAttribute('class', 'target-text');
  }

  /**
   * Draws values from left to right, in the place of what was there.
   * @param {number[]} values
   * @param {object} options
   * @param {number} options.places how many there is space for
   * @param {[number, number]} options.range of the axis
   * @param {(value: number) => string} options.format
   * @param {?number} [options.target] a value that a line marks
   * @param {boolean[]} [options.loads] where to shade the chart
   * @param {boolean} [options.isStep] whether values jump
   */
  draw(values, {places, range, format, target = null, loads = [],
    isStep = false}) {
    const {width, height} = this.svg.getBoundingClientRect();
    this.svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const [low, high] = range;
    const x = (i) => LEFT + i * (width - LEFT) / (places - 1);
    const y = (value) => {
      const share = high > low ? (value - low) / (high - low) : 0.5;
      const room = height - TOP - BOTTOM;
      return TOP + room * (1 - Math.min(Math.max(share, 0), 1));
    };
    const {parts} = this;
    const place = (i, value) => `${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    parts.values.setAttribute('d', values.map((value, i) =>
      i === 0 ? `M${place(i, value)}` : isStep ?
        `H${x(i).toFixed(1)}V${y(value).toFixed(1)}` : `L${place(i, value)}`,
    ).join(''));
    parts.axis.setAttribute('d',
      `M${LEFT} ${y(high)}H${width}M${LEFT} ${y(low)}H${width}`);
    write(parts.high, format(high), LEFT - 6, y(high) + 4, 'end');
    write(parts.low, format(low), LEFT - 6, y(low) + 4, 'end');
    parts.target.setAttribute('d',
      target === null ? '' : `M${LEFT} ${y(target)}H${width}`);
    write(parts.limit, target === null ? '' : `target ${format(target)}`,
      width - 4, y(target ?? low) - 4, 'end');
    parts.loads.replaceChildren(...spans(loads).map(([first, end]) =>
      element('rect', {class: 'load', x: x(first), y: TOP,
        width: x(end) - x(first), height: height - TOP - BOTTOM})));
  }
}

function element(tag, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  return made;
}

function write(text, content, x, y, anchor) {
  text.textContent = content;
  text.setAttribute('x', x);
  text.setAttribute('y', y);
  text.setAttribute('text-anchor', anchor);
}

/** Where flags are set: the first and the last place of each run. */
function spans(flags) {
  const found = [];
  flags.forEach((flag, i) => {
    if (flag && flags[i - 1]) found.at(-1)[1] = i;
    else if (flag) found.push([i, i]);
  });
  return found;
}
