/**
 * The figures of a play, counted as frames are shown.
 *
 * @module
 */

const WINDOW = 2000; // milliseconds over which rates are taken
const KEPT = 60; // times of which the median is taken

export class Figures {
  frames = 0;
  superResolved = 0;
  latePlans = 0;
  planBytes = 0;
  httpBytes = 0;
  cachedBytes = 0;
  reconnects = 0;
  /** Milliseconds from the last seek to its frame on the screen. @type {number | null} */
  seekMs = null;
  refused = 0;
  skipped = 0;
  inFlight = 0;
  engine = '';
  plain = false;
  /** Median milliseconds of frames with networks. */
  networksMs = 0;
  /** Whether networks were too slow, and frames are interpolated for a while. */
  resting = false;
  #times = [];
  #spent = [];
  #last = null;

  /**
   * @param {{frame: number | null, superResolved: boolean, late: number, totalMs: number,
   *   networksMs: number, resting: boolean}} shown
   */
  shown({ frame, superResolved, late, totalMs, networksMs, resting }) {
    this.networksMs = networksMs;
    this.resting = resting;
    this.frames += 1;
    this.superResolved += superResolved ? 1 : 0;
    this.latePlans += late;
    this.inFlight = Math.max(0, this.inFlight - 1);
    // More than a second away is a seek.
    if (frame !== null && this.#last !== null && frame > this.#last && frame - this.#last < 30)
      this.skipped += frame - this.#last - 1;
    this.#last = frame;
    this.#times.push(performance.now());
    this.#spent = [...this.#spent.slice(1 - KEPT), totalMs];
  }

  /** Frames shown a second, lately. */
  get fps() {
    const now = performance.now();
    this.#times = this.#times.filter((time) => now - time < WINDOW);
    if (this.#times.length < 2) return 0;
    return ((this.#times.length - 1) * 1000) / (this.#times[this.#times.length - 1] - this.#times[0]);
  }

  /** Milliseconds that a frame takes, reading, upscaling and drawing: the median of the last ones. */
  get frameMs() {
    const sorted = [...this.#spent].sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? 0;
  }

  /** The fields of a `stats` message (docs/control.md). @param {boolean} switches as of 1.1 */
  stats(switches) {
    return {
      ...(switches && this.resting ? { interpolating: true } : {}),
      frames: this.frames,
      frames_sr: this.superResolved,
      frames_lost: this.skipped,
      late_plans: this.latePlans,
      plan_bytes: this.planBytes,
      upscale_ms: this.networksMs,
      fps: this.fps,
    };
  }
}
