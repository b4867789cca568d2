/**
 * Which frames only lead to the one that was sought, and are decoded without being shown; as
 * client_sdk/core/src/landing.cpp does it. `sought` has the RTP time of the first frame to show;
 * where it is late, a frame's own number counts, once the numbers have jumped.
 *
 * @module
 */

import { CLOCK_RATE, ticks } from './frame-clock.js';

const PATIENCE = 10; // seconds of frames that may be held back

export class Landing {
  /** The frame that is sought; null: where the server chooses. @type {number | null} */
  target = null;
  #manifest;
  #rate;
  #waiting = false;
  /** RTP time from which on frames are shown. @type {number | null} */
  #from = null;
  #last = null;
  #jumped = false;
  #held = 0;

  /** @param {import('./manifest.js').Manifest} manifest */
  constructor(manifest) {
    const [rate, per] = manifest.fps;
    this.#manifest = manifest;
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
    const crosses = this.#crosses(frame);
    if (frame !== null) {
      const last = this.#last;
      const step = last && Math.round((ticks(time, last.time) * this.#rate) / CLOCK_RATE);
      if (last && frame - last.frame !== step) this.#jumped = true;
      this.#last = { time, frame };
    }
    if (!this.active) return true;
    const there =
      time === undefined ||
      (this.#from === null ? this.#jumped && crosses : ticks(time, this.#from) >= 0);
    this.#held += 1;
    if (!there && this.#held <= PATIENCE * this.#rate) return false;
    this.cancel();
    return true;
  }

  /** Whether it is the frame that was sought, or the next one that came where that is lost. */
  #crosses(frame) {
    if (frame === null || this.target === null || frame < this.target) return false;
    if (frame === this.target) return true;
    const { start, frames } = this.#manifest.segments[this.#manifest.segmentOf(this.target)];
    const before = this.#last?.frame ?? -1;
    return before >= start && before < this.target && frame < start + frames;
  }
}
