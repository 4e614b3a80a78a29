/** The labelled test images that the server holds. */

/** @typedef {import('./preprocessing.js').Pixels} Pixels */

export class TestImages {
  #pixels;
  #starts = [0];

  /**
   * Fetches all images.
   * @param {string} path of both files, without their ends
   * @returns {Promise<TestImages>}
   */
  static async fetch(path) {
    const [index, pixels] = await Promise.all(['json', 'bin'].map(
      async (end) => {
        const response = await fetch(`${path}.${end}`);
        if (!response.ok) {
          throw new Error(`${path}.${end}: status ${response.status}`);
        }
        return end === 'json' ? response.json() : response.arrayBuffer();
      }));
    return new TestImages(index, new Uint8Array(pixels));
  }

  /**
   * @param {{shapes: number[][], labels: number[], batch_size: number}} index
   * @param {Uint8Array} pixels of all images, one after the other
   */
  constructor({shapes, labels, batch_size: batchSize}, pixels) {
    this.shapes = shapes;
    this.labels = labels;
    /** How many images a request of the stream has. */
    this.batchSize = batchSize;
    this.length = labels.length;
    this.#pixels = pixels;
    for (const [height, width, channels] of shapes) {
      this.#starts.push(this.#starts.at(-1) + height * width * channels);
    }
  }

  /**
   * @param {number} i
   * @returns {Pixels}
   */
  image(i) {
    const [height, width, channels] = this.shapes[i];
    const data = this.#pixels.subarray(this.#starts[i], this.#starts[i + 1]);
    return {height, width, channels, data, name: `test image ${i + 1}`};
  }

  /** The numbers of the images in a request; after the last comes the first. */
  request(i) {
    return Array.from({length: this.batchSize},
      (_, j) => (i * this.batchSize + j) % this.length);
  }
}
