/**
 * From RTP time to frame numbers: a frame that says who it is, or an `anchor` of the server, and the
 * 90 kHz clock between (docs/frame-identity.md). Never a guess: what is not known is interpolated.
 *
 * @module
 */

export const CLOCK_RATE = 90000;
const KEPT = 512; // coded frames may come long before they are decoded: a burst after a seek

/** Ticks from `b` to `a`, 32-bit times that wrap around. */
export const ticks = (a, b) => (a - b) | 0;

export class FrameClock {
  #manifest;
  /** @type {{time: number, rung: number, frame: number}[]} by time, the newest last */
  #anchors = [];

  /** @param {import('./manifest.js').Manifest} manifest */
  constructor(manifest) {
    this.#manifest = manifest;
  }

  /**
   * Believe it, unless it speaks of another package, rung or frame than there is. Rungs change where a
   * segment begins and nowhere else, so the last word about one of its frames is of all of them.
   */
  anchor(time, { package: id, rung, frame }) {
    const manifest = this.#manifest;
    if (id !== manifest.id || !manifest.rungs[rung] || frame >= manifest.frames) return;
    const segment = manifest.segmentOf(frame);
    const together = (kept) =>
      manifest.segmentOf(kept.frame) === segment && kept.frame - frame === this.#steps(kept.time, time);
    this.#anchors = this.#anchors.filter((kept) => kept.time !== time);
    for (const kept of this.#anchors) if (together(kept)) kept.rung = rung;
    this.#anchors.push({ time, rung, frame });
    this.#anchors.sort((a, b) => ticks(a.time, b.time));
    this.#anchors = this.#anchors.slice(-KEPT);
  }

  /** The frame of this RTP time, or null. @returns {{frame: number, rung: number} | null} */
  identify(time) {
    const anchor = this.#anchors.findLast((kept) => ticks(time, kept.time) >= 0);
    if (!anchor) return null;
    const segment = this.#manifest.segments[this.#manifest.segmentOf(anchor.frame)];
    const frame = anchor.frame + this.#steps(time, anchor.time);
    return frame < segment.start + segment.frames ? { frame, rung: anchor.rung } : null;
  }

  /** Frames from `b` to `a`, RTP times. */
  #steps(a, b) {
    const [rate, per] = this.#manifest.fps;
    return Math.round((ticks(a, b) * rate) / (per * CLOCK_RATE));
  }

  /** After a seek the old count is void. */
  forget() {
    this.#anchors = [];
  }
}
