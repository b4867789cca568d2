/**
 * How long to wait before another try, and when to give up: waits that double, each a little longer
 * by chance, so that a server that comes back is not met by all its viewers at once.
 *
 * @module
 */

const FIRST = 250; // milliseconds
const LONGEST = 5000;
/** Statuses of an answer that another try will not change. */
export const HOPELESS = [400, 401, 403, 404, 405, 415];

export class Backoff {
  #until;
  #wait = FIRST;

  /** @param {number} seconds after which it gives up */
  constructor(seconds) {
    this.#until = performance.now() + seconds * 1000;
  }

  /** Milliseconds to wait now; null: give up. @param {number} [asked] by the server */
  next(asked = 0) {
    const left = this.#until - performance.now();
    if (left <= 0) return null;
    const wait = Math.max(asked, this.#wait);
    this.#wait = Math.min(2 * this.#wait, LONGEST);
    return Math.min(wait * (1 + Math.random() / 4), left);
  }
}
