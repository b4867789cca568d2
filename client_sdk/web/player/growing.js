/**
 * Bytes that come piece by piece. Memory is taken as they come, twice as much each time: what somebody
 * only announces costs nothing.
 *
 * @module
 */

const FIRST = 16384; // bytes

export class Growing {
  /** Bytes that are there, from the first on. */
  size = 0;
  #most;
  #room = new Uint8Array(0);

  /** @param {number} most bytes, all told */
  constructor(most) {
    this.#most = most;
  }

  /** @param {Uint8Array} piece @param {number} offset at most `size`, so that there are no holes */
  set(piece, offset) {
    const end = offset + piece.length;
    if (end > this.#room.length) {
      const room = new Uint8Array(Math.min(this.#most, Math.max(end, 2 * this.#room.length, FIRST)));
      room.set(this.#room.subarray(0, this.size));
      this.#room = room;
    }
    this.#room.set(piece, offset);
    this.size = Math.max(this.size, end);
  }

  /** All of them, and no copy where there are as many as there may be. @returns {Uint8Array} */
  get bytes() {
    return this.size === this.#room.length ? this.#room : this.#room.slice(0, this.size);
  }
}
