/** Drawing with a pointer or the keyboard. */

const PEN = 22; // pixels of the canvas
const STEP = 10;
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
  ArrowDown: [0, 1]};

export class Drawing {
  #place = {x: 140, y: 140};
  #isDown = false;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} pen shows where the keyboard draws
   * @param {(image: ImageData) => void} onChange called after each stroke
   */
  constructor(canvas, pen, onChange) {
    this.canvas = canvas;
    this.pen = pen;
    this.onChange = onChange;
    this.context = canvas.getContext('2d', {willReadFrequently: true});
    Object.assign(this.context, {
      lineWidth: PEN, lineCap: 'round', lineJoin: 'round', strokeStyle: '#fff',
    });
    this.clear();
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      pen.hidden = true;
      this.#lower(this.#placeOf(event));
    });
    canvas.addEventListener('pointermove', (event) => {
      if (this.#isDown && event.buttons) this.#moveTo(this.#placeOf(event));
    });
    for (const name of ['pointerup', 'pointercancel', 'blur']) {
      canvas.addEventListener(name, () => this.#lift());
    }
    canvas.addEventListener('blur', () => (pen.hidden = true));
    canvas.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** Makes the canvas black again. */
  clear() {
    this.#isDown = false;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  #placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: (event.clientX - box.left) * this.canvas.width / box.width,
      y: (event.clientY - box.top) * this.canvas.height / box.height,
    };
  }

  #onKey(event) {
    const direction = ARROWS[event.key];
    if (direction === undefined && event.key !== ' ') return;
    event.preventDefault(); // the page does not scroll
    if (direction === undefined) {
      if (this.#isDown) this.#lift();
      else this.#lower(this.#place);
    } else {
      const within = (value) => Math.min(Math.max(value, 0), 280);
      const next = {
        x: within(this.#place.x + STEP * direction[0]),
        y: within(this.#place.y + STEP * direction[1]),
      };
      if (this.#isDown) this.#moveTo(next);
      this.#place = next;
    }
    this.pen.hidden = false;
    this.pen.classList.toggle('down', this.#isDown);
    this.pen.style.left = `${100 * this.#place.x / this.canvas.width}%`;
    this.pen.style.top = `${100 * this.#place.y / this.canvas.height}%`;
  }

  #lower(place) {
    this.#isDown = true;
    this.#place = place;
    this.#moveTo(place);
  }

  #moveTo(place) {
    this.context.beginPath();
    this.context.moveTo(this.#place.x, this.#place.y);
    this.context.lineTo(place.x, place.y);
    this.context.stroke();
    this.#place = place;
  }

  #lift() {
    if (!this.#isDown) return;
    this.#isDown = false;
    const {width, height} = this.canvas;
    this.onChange(this.context.getImageData(0, 0, width, height));
  }
}
