/**
 * The thread that touches pixels: decoded LR frames in, HR pictures on the screen.
 *
 * In:  start {manifest, rung, surface, threads, code, bases}, connected {identities},
 *      asset {rung, sha256, bytes}, anchor {time, rung, frame}, forget, loop {on}, split {at},
 *      capture {count}, land {target, landing}, sought {time, rung, frame}, stay, and frames: a stream
 *      {frames}, or one by one {frame, time}
 * Out: ready {isa, threads}, prepared {sha256}, refused {sha256, message}, dropped {rung, assets},
 *      shown {...}, skipped, passed, captured {...}, failed {message}
 *
 * @module
 */

import { Runtime } from '../crispcast.js';
import { Bases } from './bases.js';
import { segmentsAhead } from './fetcher.js';
import { FrameClock } from './frame-clock.js';
import { Landing } from './landing.js';
import { Manifest } from './manifest.js';
import { Pace } from './pace.js';
import { colourSpace, readPlanes } from './picture.js';
import { Screen } from './screen.js';
import { Upscaler } from './upscaler.js';

const say = (message, transfer = []) => postMessage(message, { transfer });

/** What the play of one stream holds. */
class Show {
  #upscalers = new Map();
  #segment = '';
  #split = 0; // part of the width, from the left, that is interpolated
  #captures = 0;
  #loops = false;
  #bases;
  #landing;
  #landings = 0; // of the last `land`
  #identities = null;
  #busy = Promise.resolve(); // assets and frames one after the other

  constructor(runtime, { manifest, rung, surface, bases }) {
    this.runtime = runtime;
    this.manifest = Manifest.of(manifest);
    this.rung = rung;
    this.#bases = new Bases(bases);
    this.clock = new FrameClock(this.manifest);
    const [rate, per] = this.manifest.fps;
    this.pace = new Pace((1000 * per) / rate);
    this.#landing = new Landing(this.manifest);
    this.space = colourSpace(this.manifest.colour);
    this.screen = new Screen(surface, this.manifest, this.space);
  }

  split({ at }) {
    this.#split = Math.min(Math.max(Number(at) || 0, 0), 1);
  }

  capture({ count }) {
    this.#captures = count;
  }

  /** A connection is there, another one than before. */
  connected({ identities }) {
    this.clock.forget();
    this.#landing.reconnected();
    if (this.#identities) this.#identities.onmessage = null;
    this.#identities = identities;
    if (identities) identities.onmessage = ({ data }) => this.clock.anchor(data.time, data);
  }

  loop({ on }) {
    this.#loops = on;
  }

  /** What comes is not shown before this frame. */
  land({ target, landing }) {
    this.clock.forget();
    this.#landing.begin(target);
    this.#landings = landing;
  }

  sought({ time, rung, frame }) {
    this.anchor({ time, rung, frame });
    this.#landing.sought(time, frame);
  }

  stay() {
    this.#landing.cancel();
  }

  anchor({ time, rung, frame }) {
    this.clock.anchor(time, { package: this.manifest.id, rung, frame });
  }

  forget() {
    this.clock.forget();
  }

  async asset({ rung, sha256, bytes }) {
    try {
      const upscaler = this.#upscaler(rung);
      const id = upscaler.baseOf(sha256, bytes);
      // Frames do not wait for it.
      const base = id === null ? null : await this.#bases.get(id);
      await this.#inTurn(() => upscaler.add(sha256, bytes, base));
      say({ type: 'prepared', sha256 });
    } catch (error) {
      // A refused plan is a missing plan: its patches are interpolated.
      say({ type: 'refused', sha256, message: error.message });
    }
  }

  /** Shows all frames of a stream, as fast as it can: what the stream drops meanwhile is skipped. */
  async frames({ frames }) {
    const reader = frames.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      await this.frame({ frame: value, time: value.metadata?.().rtpTimestamp });
    }
  }

  /** @param {{frame: VideoFrame, time: number | undefined}} decoded */
  async frame({ frame, time }) {
    try {
      await this.#inTurn(() => this.#show(frame, time));
    } catch (error) {
      say({ type: 'failed', message: error.message });
    } finally {
      frame.close();
    }
  }

  /** Does one thing after the other. */
  #inTurn(work) {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => {});
    return done;
  }

  async #show(frame, time) {
    const began = performance.now();
    const known = time === undefined ? null : this.clock.identify(time);
    const rung = known?.rung ?? this.rung;
    const upscaler = this.#upscaler(rung);
    if (!this.#landing.shows(time, known?.frame ?? null)) {
      const before = known !== null && this.#landing.target === known.frame + 1;
      if (before && (await readPlanes(frame, upscaler.input, this.space))) upscaler.passOver(known.frame);
      return say({ type: 'passed' });
    }
    if (!(await readPlanes(frame, upscaler.input, this.space)))
      return say({ type: 'skipped' }); // of the rung before, or not decoded whole
    const late = known ? this.#enter(upscaler, known) : 0;
    const { width } = this.manifest.rungs[rung];
    upscaler.keepPrevious = this.#captures > 0;
    const number = known?.frame ?? null;
    const networks = this.pace.mayRun(began);
    const shown = upscaler.upscale(number, networks ? Math.round(this.#split * width) : width);
    const upscaled = performance.now();
    if (this.#captures > 0) this.#capture(upscaler.input, number, shown); // until the runtime's next call
    await this.screen.show(shown.picture, frame.timestamp);
    if (shown.superResolved) this.pace.took(performance.now(), performance.now() - began);
    return say({
      type: 'shown',
      frame: number,
      rung,
      time,
      landing: this.#landings,
      superResolved: shown.superResolved,
      late,
      upscaleMs: upscaled - began,
      networksMs: this.pace.networksMs,
      resting: this.pace.resting,
      totalMs: performance.now() - began,
    });
  }

  /** At a segment's first frame: how many of its assets are late. */
  #enter(upscaler, { frame, rung }) {
    const segment = this.manifest.segmentOf(frame);
    if (this.#segment === `${rung}/${segment}`) return 0;
    if (!this.#segment.startsWith(`${rung}/`)) this.pace.otherPlans();
    this.#segment = `${rung}/${segment}`;
    this.rung = rung;
    const but = this.#loops ? segmentsAhead(this.manifest, segment, true) : [];
    say({ type: 'dropped', rung, assets: upscaler.forgetBefore(segment, but) });
    return upscaler.missing(segment);
  }

  #capture(input, frame, { picture, previous, superResolved }) {
    this.#captures -= 1;
    const copy = ({ y, u, v, width, height }) => ({ y: y.slice(), u: u.slice(), v: v.slice(), width, height });
    const [lr, hr] = [copy(input), copy(picture)];
    say({ type: 'captured', frame, lr, hr, previous, superResolved });
  }

  #upscaler(rung) {
    if (!this.#upscalers.has(rung))
      this.#upscalers.set(rung, new Upscaler(this.runtime, this.manifest, rung));
    return this.#upscalers.get(rung);
  }
}

/** @type {Show | null} */
let show = null;

async function start(data) {
  const runtime = await Runtime.load(undefined, { threads: data.threads });
  show = new Show(runtime, data);
  say({ type: 'ready', isa: runtime.isa, threads: runtime.threads });
}

let begun = Promise.resolve();
addEventListener('message', ({ data }) => {
  if (data.type === 'start')
    begun = start(data).catch((error) => say({ type: 'failed', message: error.message, fatal: true }));
  else begun.then(() => void show?.[data.type]?.(data));
});
