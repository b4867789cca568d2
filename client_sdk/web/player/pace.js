/**
 * Whether a machine keeps up with its networks, as client_sdk/pace.py does it: frames too slow,
 * interpolate for a while, try again; too slow again, for twice as long.
 *
 * @module
 */

const LOOKED_AT = 12; // frames with networks, of which the median counts
const SLOW = 2; // times a frame lasts: every second frame with networks is better than none
const [REST, LONGEST] = [2000, 60000]; // milliseconds of interpolation
const SOUND = 20000; // milliseconds with networks after which the next rest is short again

export class Pace {
  #frameMs;
  #times = [];
  #rest = REST;
  #ends = -1; // of the rest
  #since = -1; // networks run
  /** Median milliseconds of the last frames with these networks, 0 before any. */
  networksMs = 0;

  /** @param {number} frameMs between frames */
  constructor(frameMs) {
    this.#frameMs = frameMs;
  }

  get resting() {
    return this.#ends >= 0;
  }

  /** Whether the frame at `now` (milliseconds) may run networks. @param {number} now */
  mayRun(now) {
    if (this.resting && now < this.#ends) return false;
    if (this.resting) this.otherPlans();
    return true;
  }

  /** A frame with networks took so long. @param {number} now @param {number} spent */
  took(now, spent) {
    if (this.#since < 0) this.#since = now;
    this.#times = [...this.#times.slice(1 - LOOKED_AT), spent];
    const sorted = [...this.#times].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    this.networksMs = sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    if (now - this.#since > SOUND) this.#rest = REST;
    if (this.#times.length < LOOKED_AT || this.networksMs <= SLOW * this.#frameMs) return;
    this.#ends = now + this.#rest;
    this.#rest = Math.min(2 * this.#rest, LONGEST);
  }

  /** Try anew: the rest is over, or another rung's plans came, which may be cheaper. */
  otherPlans() {
    this.#ends = this.#since = -1;
    this.#times = [];
    this.networksMs = 0;
  }
}
