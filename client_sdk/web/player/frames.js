/**
 * Decoded LR frames in, HR pictures on the screen, one after the other: read, upscaled by the core, which
 * knows with what, and shown.
 *
 * @module
 */

import { Pace } from './pace.js';
import { colourSpace, readPlanes } from './picture.js';
import { Screen } from './screen.js';

const OTHER_SIZE = 112; // CRISPCAST_ERROR_FRAME_SIZE

export class Frames {
  /** Whether the machine keeps up; once the manifest is here. */
  pace = new Pace(Infinity);
  /** Of the last place that was sought; goes with each frame that is shown. */
  landing = 0;
  #session;
  #say;
  #changed;
  #counts;
  #manifest = null;
  #screen = null;
  #space = null;
  #split = 0; // part of the width, from the left, that is interpolated
  #captures = 0;
  #rung = 0;
  #frame = 0;
  /** Two inputs of each size in turn, so that the frame before is still there. */
  #inputs = new Map();
  #before = { frame: -2, input: null };
  #busy = Promise.resolve();

  /**
   * @param {any} session of ../session.js
   * @param {{say: (message: object) => void, changed: () => void, counts: () => object}} options
   *   `changed`: the session may have something to do; `counts`: go with what is shown
   */
  constructor(session, { say, changed, counts }) {
    this.#session = session;
    this.#say = say;
    this.#changed = changed;
    this.#counts = counts;
  }

  /** The manifest is here. */
  describe(manifest) {
    const [rate, per] = manifest.fps;
    this.#manifest = manifest;
    this.pace = new Pace((1000 * per) / rate);
    this.#space = colourSpace(manifest.colour);
  }

  /** Pictures are shown there, once the manifest is here; until then none is. @param {any} surface see screen.js */
  showOn(surface) {
    this.#screen = new Screen(surface, this.#manifest, this.#space);
  }

  /** Nothing is shown any more. */
  end() {
    this.#screen = null;
  }

  /** @param {number} at part of the width */
  split(at) {
    this.#split = Math.min(Math.max(Number(at) || 0, 0), 1);
  }

  /** Tells the planes of so many more frames to come. @param {number} count */
  capture(count) {
    this.#captures += count;
  }

  /** Seconds of video from the last frame shown for which everything is there. */
  get ahead() {
    const manifest = this.#manifest;
    if (!manifest) return 0;
    const { segments, fps, frames } = manifest;
    let at = this.#session.segmentOf(this.#frame);
    while (at < segments.length && this.#session.ready(this.#rung, at)) ++at;
    const end = at < segments.length ? segments[at].start : frames;
    return (Math.max(0, end - this.#frame) * fps[1]) / fps[0];
  }

  /** Shows all frames of a stream, as fast as it can: what the stream drops meanwhile is skipped. */
  async all(frames) {
    const reader = frames.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      await this.one(value, value.metadata?.().rtpTimestamp);
    }
  }

  /** @param {VideoFrame} frame @param {number | undefined} time RTP */
  async one(frame, time) {
    const done = this.#busy.then(() => this.#show(frame, time));
    this.#busy = done.catch(() => {});
    try {
      await done;
    } catch (error) {
      const { status, message } = /** @type {any} */ (error);
      // Of the rung before, or not decoded whole.
      this.#say(status === OTHER_SIZE ? { type: 'passed' } : { type: 'unshown', text: message });
    } finally {
      frame.close();
      this.#changed();
    }
  }

  async #show(frame, time) {
    const rect = frame.visibleRect;
    if (!this.#screen || !rect) return this.#say({ type: 'passed' });
    const began = performance.now();
    const { width, height } = rect;
    const timed = time === undefined ? { rung: this.#rung } : { time };
    if (time !== undefined && !this.#session.wants(time)) {
      this.#session.upscale({ width, height }, timed);
      return this.#say({ type: 'passed' });
    }
    const input = this.#input(width, height);
    await readPlanes(frame, input, this.#space);
    const columns = Math.round(this.#split * width);
    const made = this.#session.upscale(input, { ...timed, networks: this.pace.mayRun(began), columns });
    const { picture, ...result } = made;
    const before = this.#before;
    this.#before = { frame: made.frame ?? -2, input };
    if (!picture) return this.#say({ type: 'passed' });
    const upscaled = performance.now();
    if (made.rung !== this.#rung) this.pace.otherPlans();
    this.#rung = made.rung;
    this.#frame = made.frame ?? this.#frame;
    if (this.#captures > 0) this.#tell(input, made, before); // until the session's next call
    await this.#screen.show(picture, frame.timestamp);
    if (made.superResolved) this.pace.took(performance.now(), performance.now() - began);
    return this.#say({
      type: 'shown',
      ...result,
      time,
      landing: this.landing,
      counts: this.#counts(),
      upscaleMs: upscaled - began,
      networksMs: this.pace.networksMs,
      resting: this.pace.resting,
      totalMs: performance.now() - began,
    });
  }

  #input(width, height) {
    const size = `${width}×${height}`;
    if (!this.#inputs.has(size))
      this.#inputs.set(size, [0, 1].map(() => this.#session.frame(width, height)));
    const [one, other] = this.#inputs.get(size);
    return this.#before.input === one ? other : one;
  }

  #tell(input, { frame, picture, superResolved, follows }, before) {
    this.#captures -= 1;
    const copy = ({ y, u, v, width, height }) => ({ y: y.slice(), u: u.slice(), v: v.slice(), width, height });
    const [lr, hr] = [copy(input), copy(picture)];
    const previous = follows && before.frame === frame - 1 ? before.input.y.slice() : null;
    this.#say({ type: 'captured', frame, lr, hr, previous, superResolved });
  }
}
