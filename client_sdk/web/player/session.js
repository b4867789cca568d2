/**
 * One play of a stream, over as many connections as it takes, and what is upscaled of it.
 *
 *     coded frames ─► identity worker ─► frame numbers ─┐
 *     decoded frames ──────────────────────────────────┼─► upscaling worker ─► screen
 *     data channel ─► conversation ─► anchors, assets ─┘
 *
 * Events: `manifest`, `state`, `shown`, `captured`, and `notice`, whose `detail` is a sentence.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { Assets } from './assets.js';
import { VERSION } from './channel.js';
import { Conversation } from './conversation.js';
import { DecodedFrames, takesTrack } from './decoded-frames.js';
import { Figures } from './figures.js';
import { Lifeline } from './lifeline.js';
import { parseTrust } from './signing.js';
import { whyNothing, whyPlain } from './support.js';
import { Upscaling } from './upscaling.js';

const REPORT = 1000; // milliseconds between `stats`
const DRAIN = 800; // milliseconds for the last frames once the server said that it is over

/** @typedef {import('./manifest.js').Manifest} Manifest */
/** @typedef {import('./connection.js').Connection | import('./sfu-connection.js').SfuConnection} Connection */
/** @typedef {'connecting' | 'playing' | 'paused' | 'ended' | 'failed' | 'closed'} State */

export class Session extends EventTarget {
  /** @type {State} */
  state = 'connecting';
  /** @type {Manifest | null} */
  manifest = null;
  rung = 0;
  figures = new Figures();
  /** The last frame shown. */
  frame = 0;
  /** Why plain video is shown, or null. @type {string | null} */
  plain = whyPlain();
  /** The frame that a channel was at; null where this is none. @type {number | null} */
  live = null;
  /** Why it failed, once it has. */
  failure = '';
  #options;
  #lifeline;
  #conversation;
  /** @type {Upscaling | null} */
  #upscaling = null;
  #assets;
  #decoded;
  #loops = false;
  /** The rung that a person chose; null: whichever the server sees fit. @type {number | null} */
  #chosen = null;
  #readyFor = -1; // the segment whose assets `resume` waits for
  #landings = 0; // places that were sought
  #landed = false; // whether a frame was shown since
  #soughtAt = 0;
  #segment = -1;
  #ending = 0;
  #timers = [];

  /** @param {{url: string, screen: HTMLVideoElement | HTMLCanvasElement, video: HTMLVideoElement, threads?: number,
   *   token?: string, tokenOrigins?: string[], plain?: boolean, loop?: boolean,
   *   delivery?: import('./routes.js').Preference, cacheLimit?: number, reconnect?: number,
   *   trust?: string | null, media?: string, mediaToken?: string}} options
   *   `trust`: public keys with blanks between; `media`: see lifeline.js */
  constructor(options) {
    super();
    this.#options = options;
    this.#loops = Boolean(options.loop);
    if (options.plain) this.plain = 'Plain video was asked for.';
    this.figures.plain = Boolean(this.plain);
    this.#assets = new Assets({
      ...options,
      figures: this.figures,
      send: (message) => this.#send(message),
      deliver: (rung, sha256, bytes) => this.#upscaling?.say({ type: 'asset', rung, sha256, bytes }),
      guarded: (take) => this.#guarded(take),
    });
    this.#decoded = new DecodedFrames(options.video, this.figures, (message, transfer) =>
      this.#upscaling?.say(message, transfer),
    );
    this.#conversation = new Conversation({
      begin: (manifest, rung, live, untrusted) => this.#begin(manifest, rung, live, untrusted),
      unreadable: (why) => this.#unreadable(why),
      join: (rung, live) => this.#join(rung, live),
      timed: (time) => this.#timed(time),
      switched: (rung, frame) => this.#switched(rung, frame),
      refused: (why) => this.#refused(why),
      asset: (piece) => this.#assets.take(piece),
      ended: () => (this.#ending = setTimeout(() => this.#enter('ended'), DRAIN)),
      lost: (why) => this.#lost(why),
      fail: (why) => this.fail(why),
    });
    this.#lifeline = new Lifeline(options, {
      reads: () => !this.plain,
      over: () => this.#over,
      made: (connection) => this.#made(connection),
      answered: (endpoint, token) => this.#assets.connected(endpoint, token),
      opened: () => this.#send({ type: 'hello', version: VERSION, sr: !this.plain }),
      message: (data) => void this.#guarded(() => this.#conversation.hear(data)),
      lost: (why) => this.#lost(why),
    });
  }

  /** Connects; resolves once the server has answered. Throws a CrispcastError where it cannot. */
  async start() {
    const nothing = whyNothing();
    if (nothing) throw new CrispcastError(nothing);
    this.#conversation.trust = parseTrust(this.#options.trust);
    if (!this.plain) {
      this.#upscaling = new Upscaling(this.figures, {
        shown: (shown) => this.#shown(shown),
        captured: (captured) => this.#tell('captured', captured),
        dropped: (rung, assets) => this.#assets.dropped(rung, assets),
        settled: (sha256) => this.#settled(sha256),
        notice: (why) => this.#tell('notice', why),
        fallBack: (why) => this.#fallBack(why),
      });
    }
    await this.#lifeline.connect();
    this.#timers.push(setInterval(() => this.#report(), REPORT));
  }

  pause() {
    this.#send({ type: 'pause' });
    this.#enter('paused');
  }

  /** Goes on; frame numbers are counted anew, because stream time ran on. */
  resume() {
    this.#upscaling?.say({ type: 'forget' });
    if (this.live !== null) this.#land(null);
    this.#send({ type: 'resume' });
    this.#enter('playing');
  }

  /** Goes on at exactly this frame, or the nearest there is. @param {number} frame */
  seek(frame) {
    if (!this.manifest) return;
    if (this.live !== null || this.#options.media)
      return this.#tell('notice', 'This is a channel: all see the same moment.');
    const to = Math.min(Math.max(frame, 0), this.manifest.frames - 1);
    this.frame = to;
    this.#soughtAt = performance.now();
    this.#land(to);
    if (!this.plain) this.#assets.advance(this.rung, this.manifest.segmentOf(to));
    this.#send({ type: 'seek', frame: to });
    clearTimeout(this.#ending);
    if (this.state !== 'paused') this.#enter('playing');
    return undefined;
  }

  /** Begins again at the end, or not. @param {boolean} on */
  loop(on) {
    this.#loops = on;
    if (this.manifest) this.#tellLoop();
  }

  /** Whether the server changes rungs by itself, and can be told to. */
  get adaptive() {
    return this.manifest !== null && this.#conversation.minor >= 1;
  }

  /** Changes to this rung at the next segment; null: as the server sees fit. @param {number | null} rung */
  chooseRung(rung) {
    this.#chosen = rung;
    if (this.manifest) this.#askForRung();
  }

  #askForRung() {
    const rung = this.#chosen;
    if (rung === null ? !this.adaptive : !this.manifest.rungs[rung]) return;
    if (rung !== null && !this.plain) this.#assets.advance(rung, this.manifest.segmentOf(this.frame));
    this.#send({ type: 'rung', rung });
  }

  /** Interpolation left of this part of the width, from 0 to 1. @param {number} at */
  split(at) {
    this.#upscaling?.say({ type: 'split', at });
  }

  /** Posts the planes of the next frames as `captured`. @param {number} count */
  capture(count) {
    this.#upscaling?.say({ type: 'capture', count });
  }

  /** Ends it; safe to call twice. @param {State} [state] */
  close(state = 'closed') {
    if (this.#over) return;
    this.#send({ type: 'bye', reason: 'leaving' });
    this.#enter(state);
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#ending);
    this.#lifeline.end();
    this.#assets.close();
    this.#decoded.stop();
    this.#upscaling?.end();
  }

  /** Seconds of video ahead for which all assets are there. */
  get buffered() {
    return this.#assets.ahead(this.rung, this.frame);
  }

  get #over() {
    return this.state === 'closed' || this.state === 'failed';
  }

  #made(connection) {
    this.#conversation.connected();
    this.#play(connection);
  }

  /** Where sound needs a gesture it is off at first, and the mute button gives it. */
  #play({ picture, sound }) {
    const { video } = this.#options;
    const taken = !this.plain && takesTrack(); // the picture's: it goes to the worker
    video.srcObject = new MediaStream(taken ? [sound.track] : [picture.track, sound.track]);
    video.play().catch((error) => {
      if (error.name !== 'NotAllowedError') return;
      video.muted = true;
      video.play().catch(() => {});
    });
  }

  // -- the data channel -----------------------------------------------------------------------

  #send(message) {
    this.#lifeline.send(message);
  }

  async #guarded(take) {
    try {
      await take();
    } catch (error) {
      // A bad message costs itself; frames go on, interpolated where it was needed.
      this.figures.refused += 1;
      this.#tell('notice', /** @type {Error} */ (error).message);
    }
  }

  #timed(time) {
    this.#upscaling?.say(time);
    if (this.plain) this.frame = time.frame;
    // A seek may end on another rung.
    else if (time.type === 'sought') this.#switched(time.rung, time.frame);
  }

  #switched(rung, frame) {
    if (!this.manifest?.rungs[rung] || this.plain) return;
    this.#assets.advance(rung, this.manifest.segmentOf(frame));
  }

  #refused(why) {
    this.#upscaling?.say({ type: 'stay' });
    this.#tell('notice', why);
  }

  #begin(manifest, rung, live, untrusted) {
    this.manifest = manifest;
    if (untrusted) this.#fallBack(untrusted);
    this.#join(rung, live);
    this.#tell('manifest');
  }

  /** Of a video of which nothing is known, what comes is shown. */
  #unreadable(why) {
    this.figures.refused += 1;
    this.#fallBack(why);
    this.#tell('notice', why);
    if (this.state === 'connecting') this.#enter('playing');
    this.#send({ type: this.state === 'paused' ? 'pause' : 'resume' });
  }

  /** Goes on where the play was, or begins. */
  #join(rung, live) {
    const { manifest } = this;
    this.rung = rung;
    const first = this.#segment < 0;
    if (!this.plain) {
      if (first) this.#startUpscaling();
      const { identities, picture } = /** @type {Connection} */ (this.#lifeline.connection);
      this.#upscaling.say({ type: 'connected', identities }, identities ? [identities] : []);
      this.#decoded.from(picture.track);
    }
    this.live = live;
    this.#lifeline.joined();
    this.#tellLoop();
    if (this.#chosen !== null) this.#askForRung();
    const next = first ? 0 : this.#next;
    if (live !== null) this.#land(null);
    else if (next > 0) {
      this.#land(next);
      this.#send({ type: 'seek', frame: next });
    }
    this.#segment = this.#readyFor = manifest.segmentOf(live ?? next);
    if (this.plain) return this.#readyIfSo();
    this.#assets.renew();
    this.#assets.advance(this.rung, this.#segment);
    return this.#readyIfSo();
  }

  /** The frame to go on with. */
  get #next() {
    const next = this.#landed ? this.frame + 1 : this.frame;
    return this.#loops && next >= this.manifest.frames ? 0 : next;
  }

  #startUpscaling() {
    const { screen, threads = 0, url } = this.#options;
    const bases = new URL('../bases/', url).href; // beside /whep/NAME
    this.#upscaling.start(this.manifest, this.rung, screen, { threads, bases });
  }

  #tellLoop() {
    const on = this.#loops || this.live !== null;
    this.#assets.describe(this.manifest, on);
    this.#upscaling?.say({ type: 'loop', on });
    if (this.#loops || this.figures.frames) this.#send({ type: 'loop', on: this.#loops });
  }

  #land(target) {
    this.#conversation.seeking = target !== null;
    this.#landings += 1;
    this.#landed = false;
    this.#upscaling?.say({ type: 'land', target, landing: this.#landings });
  }

  /** Start the media once what its first segment needs is there, or nothing is wanted. */
  #readyIfSo() {
    if (this.#readyFor < 0) return;
    if (!this.plain && !this.#assets.ready(this.rung, this.#readyFor)) return;
    this.#readyFor = -1;
    if (this.state === 'connecting') this.#enter('playing');
    this.#send({ type: this.state === 'paused' ? 'pause' : 'resume' });
  }

  // -- upscaling ------------------------------------------------------------------------------

  #settled(sha256) {
    this.#assets.settled(sha256);
    this.#readyIfSo();
  }

  #shown(shown) {
    this.figures.shown(shown);
    // Not of those that were on their way when a seek was asked for.
    if (shown.frame !== null && shown.landing === this.#landings) {
      if (!this.#landed && this.#soughtAt) this.figures.seekMs = performance.now() - this.#soughtAt;
      this.#landed = true;
      this.#soughtAt = 0;
      const segment = this.manifest.segmentOf(shown.frame);
      const turned = segment !== this.#segment || shown.rung !== this.rung;
      this.frame = shown.frame;
      this.rung = shown.rung;
      if (turned) {
        this.#segment = segment;
        this.#assets.advance(this.rung, segment);
      }
    }
    if (this.state === 'connecting') this.#enter('playing');
    this.#tell('shown', shown);
  }

  /** The engine does not run here after all: plain video from now on. */
  #fallBack(why) {
    if (this.plain) return;
    this.plain = `${why}: plain video is shown.`;
    this.figures.plain = true;
    this.#upscaling.end();
    this.#play(/** @type {Connection} */ (this.#lifeline.connection));
    this.#tell('state');
    this.#readyIfSo();
  }

  // -- life -----------------------------------------------------------------------------------

  #lost(why) {
    if (this.state === 'ended' || this.#atEnd) this.close(this.state === 'ended' ? 'closed' : 'ended');
    else if (!this.manifest) this.fail(why);
    else if (!this.#lifeline.looking) this.#reconnect(why);
  }

  get #atEnd() {
    return this.live === null && this.manifest !== null && this.#next >= this.manifest.frames;
  }

  /** Looks for the server until it is there again, or patience is over. */
  async #reconnect(why) {
    const looking = this.#lifeline.comeBack(why);
    this.#tell('notice', `${why} Trying again.`);
    const gaveUp = await looking;
    if (this.#over) return;
    if (gaveUp) {
      this.fail(gaveUp);
    } else {
      this.figures.reconnects += 1;
      this.#tell('notice', '');
    }
  }

  async #report() {
    if (!this.manifest || this.#lifeline.looking) return;
    this.#send({ type: 'stats', ...this.figures.stats(this.adaptive) });
    const silent = await this.#lifeline.silent(() => this.state === 'playing');
    if (silent) this.#lost('Nothing comes from the server.');
  }

  /** Ends it for good; `failure` says why. @param {string} why */
  fail(why) {
    if (this.#over) return;
    this.failure = why;
    this.close('failed');
  }

  /** @param {State} state */
  #enter(state) {
    if (this.#over || this.state === state) return;
    this.state = state;
    this.#tell('state');
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
