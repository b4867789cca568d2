/**
 * The figures of a play: what the core counts, and how quickly frames are shown.
 *
 * @module
 */

const WINDOW = 2000; // milliseconds over which rates are taken
const SHORTEST = 1000; // likewise at first: a busy page hears of many frames at once
const MOST = 1000; // frames counted in that time: more than any screen shows
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

  /** What the core counts, and the bytes of HTTP. @param {Record<string, number>} counts */
  count(counts) {
    this.frames = counts.frames;
    this.superResolved = counts.superResolved;
    this.skipped = counts.framesLost;
    this.latePlans = counts.lateAssets;
    this.planBytes = counts.assetBytes;
    this.httpBytes = counts.httpBytes;
    this.cachedBytes = counts.cachedBytes;
    this.refused = counts.wrongMessages + counts.refusedAssets;
  }

  /** @param {{counts: Record<string, number>, totalMs: number, networksMs: number, resting: boolean}} shown */
  shown({ counts, totalMs, networksMs, resting }) {
    this.count(counts);
    this.networksMs = networksMs;
    this.resting = resting;
    this.inFlight = Math.max(0, this.inFlight - 1);
    this.#times = [...this.#times.slice(1 - MOST), performance.now()];
    this.#spent = [...this.#spent.slice(1 - KEPT), totalMs];
  }

  /** Frames shown a second, lately; 1000 at most. */
  get fps() {
    const now = performance.now();
    this.#times = this.#times.filter((time) => now - time < WINDOW);
    if (this.#times.length < 2) return 0;
    const [first, last] = [this.#times[0], this.#times[this.#times.length - 1]];
    return ((this.#times.length - 1) * 1000) / Math.max(last - first, SHORTEST);
  }

  /** Milliseconds that a frame takes, reading, upscaling and drawing: the median of the last ones. */
  get frameMs() {
    const sorted = [...this.#spent].sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? 0;
  }
}
