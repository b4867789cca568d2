/**
 * Which frames only lead to the one that was sought, and are decoded without being shown; as
 * client_sdk/landing.py does it. `sought` has the RTP time of the first frame to show; where it is
 * late, a frame's own number counts, once the numbers have jumped.
 *
 * @module
 */

import { CLOCK_RATE, ticks } from './frame-clock.js';

const LANDED = 5; // seconds after the sought frame that count as there
const PATIENCE = 10; // seconds of frames that may be held back

export class Landing {
  /** The frame that is sought; null: where the server chooses. @type {number | null} */
  target = null;
  #rate;
  #waiting = false;
  /** RTP time from which on frames are shown. @type {number | null} */
  #from = null;
  #last = null;
  #jumped = false;
  #held = 0;

  /** @param {[number, number]} fps */
  constructor([rate, per]) {
    this.#rate = rate / per;
  }

  /** Whether the frame that was sought is still to come. */
  get active() {
    return this.#waiting || this.#from !== null;
  }

  /** A seek was asked for. @param {number | null} target */
  begin(target) {
    this.#waiting = true;
    this.#from = null;
    this.target = target;
    this.#jumped = this.#last === null;
    this.#held = 0;
  }

  cancel() {
    this.#waiting = false;
    this.#from = null;
  }

  /** What comes from now on has nothing to do with what came before. */
  reconnected() {
    this.cancel();
    this.#last = null;
  }

  /** The server says: this frame has that RTP time, and is the first to show. */
  sought(time, frame) {
    if (this.#waiting && this.target !== null && frame !== this.target) return; // of a seek before
    this.#waiting = false;
    this.#from = time;
    this.target = frame;
    this.#held = 0;
  }

  /**
   * Whether a decoded frame is to be shown.
   * @param {number | undefined} time its RTP time @param {number | null} frame its number
   */
  shows(time, frame) {
    if (frame !== null) {
      const last = this.#last;
      const step = last && Math.round((ticks(time, last.time) * this.#rate) / CLOCK_RATE);
      if (last && frame - last.frame !== step) this.#jumped = true;
      this.#last = { time, frame };
    }
    if (!this.active) return true;
    const there =
      time === undefined || (this.#from === null ? this.#isThere(frame) : ticks(time, this.#from) >= 0);
    this.#held += 1;
    if (!there && this.#held <= PATIENCE * this.#rate) return false;
    this.cancel();
    return true;
  }

  #isThere(frame) {
    if (!this.#jumped || frame === null || this.target === null) return false;
    return frame >= this.target && frame < this.target + LANDED * this.#rate;
  }
}
