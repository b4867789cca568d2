/**
 * One play of a stream, as the window sees it, over as many connections as it takes. The core, which
 * decides, is in a worker.
 *
 *     coded frames ─► identity worker ─┐
 *     decoded frames ──────────────────┼─► play worker ─► screen
 *     data channel ◄───────────────────┘
 *
 * Events: `manifest`, `state`, `shown`, `captured`, and `notice`, whose `detail` is a sentence.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { DecodedFrames, takesTrack } from './decoded-frames.js';
import { Figures } from './figures.js';
import { Lifeline } from './lifeline.js';
import { Play } from './play.js';
import { leave } from './screen.js';
import { verify } from './signing.js';
import { Stock } from './stock.js';
import { whyNoCore, whyNothing, whyPlain } from './support.js';

const REPORT = 1000; // milliseconds between reports to the server
const DRAIN = 800; // milliseconds for the last frames once the server said that it is over
const CACHE = 256 << 20; // bytes of assets that outlive the page

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @typedef {import('./connection.js').Connection | import('./sfu-connection.js').SfuConnection} Connection */
/** @typedef {'connecting' | 'playing' | 'paused' | 'ended' | 'failed' | 'closed'} State */

export class Session extends EventTarget {
  /** @type {State} */
  state = 'connecting';
  /** What the manifest says, in plain data (tasks.js). @type {any} */
  manifest = null;
  rung = 0;
  figures = new Figures();
  /** The last frame shown. */
  frame = 0;
  /** Why plain video is shown, or null. @type {string | null} */
  plain = whyNoCore() ?? whyPlain();
  /** The frame that a channel was at; null where this is none. @type {number | null} */
  live = null;
  /** Whether the server changes rungs by itself, and can be told to. */
  adaptive = false;
  /** Seconds of video ahead for which all assets are there. */
  buffered = 0;
  /** Why it failed, once it has. */
  failure = '';
  /** Whether all has ended, the connection too: nothing can be asked for any more. */
  over = false;
  #options;
  #lifeline;
  /** @type {Play | null} */
  #play = null;
  /** Instead of it, where the core does not run. @type {Stock | null} */
  #stock = null;
  #decoded;
  #loops = false;
  /** The rung that a person chose; null: whichever the server sees fit. @type {number | null} */
  #chosen = null;
  #joined = false; // ever
  #opened = false; // this connection's channel
  #landings = 0; // places that were sought
  #landed = false; // whether a frame was shown since
  #soughtAt = 0;
  #ending = 0;
  #timers = [];

  /** @param {{url: string, screen: HTMLVideoElement | HTMLCanvasElement, video: HTMLVideoElement, threads?: number,
   *   token?: string, tokenOrigins?: string[], plain?: boolean, loop?: boolean,
   *   delivery?: 'auto' | 'channel' | 'http', cacheLimit?: number, reconnect?: number,
   *   trust?: string | null, media?: string, mediaToken?: string}} options
   *   `trust`: public keys with blanks between; `media`: see lifeline.js */
  constructor(options) {
    super();
    this.#options = options;
    this.#loops = Boolean(options.loop);
    if (options.plain) this.plain ??= 'Plain video was asked for.';
    this.figures.plain = Boolean(this.plain);
    if (whyNoCore()) this.#withoutCore();
    this.#decoded = new DecodedFrames(options.video, this.figures, (message, transfer) => this.#say(message, transfer));
    this.#lifeline = new Lifeline(options, {
      reads: () => !this.plain,
      over: () => this.over,
      made: (connection) => {
        this.#opened = false;
        this.#show(connection);
      },
      answered: (endpoint, token) => this.#say({ type: 'reached', endpoint, token }),
      opened: () => this.#open(),
      message: (data) => this.#hear(data),
      lost: (why) => this.#lost(why),
    });
  }

  /** Connects; resolves once the server has answered. Throws a CrispcastError where it cannot. */
  async start() {
    const nothing = whyNothing();
    if (nothing) throw new CrispcastError(nothing);
    if (!this.#stock) {
      const { threads = 0, delivery = 'auto', cacheLimit = CACHE, trust = null } = this.#options;
      const options = { threads, delivery, cacheLimit, trust, plain: Boolean(this.plain), loops: this.#loops };
      this.#play = new Play(this.#answers);
      this.#play.start(options);
    }
    await this.#lifeline.connect();
    if (!this.over) this.#timers.push(setInterval(() => this.#report(), REPORT));
  }

  pause() {
    this.#say({ type: 'pause', on: true, landing: this.#landings });
    this.#stock?.pause(true);
    this.#enter('paused');
  }

  resume() {
    if (this.live !== null) this.#land();
    this.#say({ type: 'pause', on: false, landing: this.#landings });
    this.#stock?.pause(false);
    this.#enter('playing');
  }

  /** Goes on at exactly this frame, or the nearest there is. @param {number} frame */
  seek(frame) {
    if (!this.manifest || this.over) return;
    if (this.live !== null || this.#options.media)
      return this.#tell('notice', 'This is a channel: all see the same moment.');
    const to = Math.min(Math.max(frame, 0), this.manifest.frames - 1);
    this.frame = to;
    this.#soughtAt = performance.now();
    this.#land();
    this.#say({ type: 'seek', frame: to, landing: this.#landings });
    this.#goesOn();
    if (this.state !== 'paused') this.#enter('playing');
    return undefined;
  }

  /** Begins again at the end, or not. @param {boolean} on */
  loop(on) {
    this.#loops = on;
    this.#say({ type: 'loop', on });
  }

  /** Changes to this rung at the next segment; null: as the server sees fit. @param {number | null} rung */
  chooseRung(rung) {
    this.#chosen = rung;
    if (this.#joined) this.#say({ type: 'rung', rung });
  }

  /** Interpolation left of this part of the width, from 0 to 1. @param {number} at */
  split(at) {
    this.#say({ type: 'split', at });
  }

  /** Posts the planes of the next frames as `captured`. @param {number} count */
  capture(count) {
    this.#say({ type: 'capture', count });
  }

  /** Ends it; safe to call twice. @param {State} [state] */
  close(state = 'closed') {
    if (this.over) return;
    this.over = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#goesOn();
    this.#lifeline.end();
    this.#decoded.stop();
    this.#play?.end();
    this.#turn(state); // at last: who hears of it may begin another play
  }

  /** To the worker. */
  #say(message, transfer = []) {
    this.#play?.say(message, transfer);
  }

  /** Where sound needs a gesture it is off at first, and the mute button gives it. */
  #show({ picture, sound }) {
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

  #open() {
    this.#opened = true;
    if (this.#stock) {
      this.#stock.opened();
      if (this.state === 'connecting') this.#enter('playing');
      return undefined;
    }
    const { identities } = /** @type {Connection} */ (this.#lifeline.connection);
    if (this.#joined) this.#land();
    const opened = { type: 'opened', identities, landing: this.#landings };
    return this.#say(opened, identities ? [identities] : []);
  }

  #hear(data) {
    if (this.#stock) this.#stock.hear(data);
    else this.#say({ type: 'message', data }, data instanceof ArrayBuffer ? [data] : []);
  }

  // -- what the worker says -------------------------------------------------------------------

  get #answers() {
    return {
      broken: ({ text }) => this.#fallBack(text),
      send: ({ text }) => this.#lifeline.send(text),
      manifest: ({ manifest, engine }) => {
        this.manifest = manifest;
        this.figures.engine = engine;
      },
      joined: (joined) => this.#join(joined),
      ready: () => {
        if (this.state === 'connecting') this.#enter('playing');
      },
      ended: () => this.#end(),
      lost: ({ text }) => this.#lost(text || 'The server stops.'),
      failed: ({ text }) => this.fail(text),
      unreadable: ({ text }) => this.#unreadable(sentence(text)),
      verify: ({ bytes, question }) => this.#verify(bytes, question),
      untrusted: ({ text }) => this.#distrust(sentence(text)),
      notice: ({ text }) => this.#tell('notice', text),
      counts: ({ counts, ahead }) => {
        this.figures.count(counts);
        this.buffered = ahead;
      },
      shown: (shown) => this.#shown(shown),
      presented: ({ frame, rung }) => {
        this.frame = frame;
        this.rung = rung;
      },
      passed: () => (this.figures.inFlight -= 1),
      unshown: ({ text }) => {
        this.figures.inFlight -= 1;
        this.#tell('notice', text);
      },
      captured: (captured) => this.#tell('captured', captured),
    };
  }

  /** This connection plays what the manifest says. */
  #join({ rung, live, adapts }) {
    const first = !this.#joined;
    this.#joined = true;
    this.live = live;
    this.adaptive = adapts;
    if (first) this.rung = rung;
    this.#lifeline.joined();
    const { picture } = /** @type {Connection} */ (this.#lifeline.connection);
    if (first && !this.plain) this.#play?.showOn(this.#options.screen);
    if (this.plain) this.#decoded.presented();
    else this.#decoded.from(picture.track);
    if (!first) return;
    if (this.#chosen !== null) this.chooseRung(this.#chosen);
    this.#tell('manifest');
  }

  #shown(shown) {
    this.figures.shown(shown);
    // Not of those that were on their way when a seek was asked for.
    if (shown.frame !== null && shown.landing === this.#landings) {
      if (!this.#landed && this.#soughtAt) this.figures.seekMs = performance.now() - this.#soughtAt;
      this.#landed = true;
      this.#soughtAt = 0;
      this.frame = shown.frame;
      this.rung = shown.rung;
    }
    if (this.state === 'connecting') this.#enter('playing');
    this.#tell('shown', shown);
  }

  /** Another place is sought. */
  #land() {
    this.#landings += 1;
    this.#landed = false;
  }

  /** The core does not run here after all, or can do nothing: plain video from now on. */
  #fallBack(why, greeted = false) {
    if (this.#stock || this.over) return;
    this.plain ??= `${why}: plain video is shown.`;
    this.figures.plain = true;
    this.#play?.end();
    this.#play = null;
    leave(this.#options.screen);
    this.#withoutCore();
    this.#show(/** @type {Connection} */ (this.#lifeline.connection));
    this.#tell('state');
    if (greeted) this.#stock?.pause(this.state === 'paused');
    else if (this.#opened) this.#open();
  }

  /** Of a video of which nothing is known, what comes is shown. */
  #unreadable(why) {
    this.#fallBack(why, true);
    this.figures.refused += 1;
    this.#tell('notice', why);
    if (this.state === 'connecting') this.#enter('playing');
  }

  /** Here, where pages have their WebCrypto. */
  async #verify(bytes, question) {
    this.#say({ type: 'verified', question, answer: await verify(bytes) });
  }

  /** Nothing that the manifest names may be used: plain video, by the core as ever. */
  #distrust(why) {
    this.plain ??= `${why}: plain video is shown.`;
    this.figures.plain = true;
    this.#say({ type: 'plain' });
    leave(this.#options.screen);
    this.#show(/** @type {Connection} */ (this.#lifeline.connection));
    if (this.#joined) this.#decoded.presented();
    this.#tell('state');
  }

  #withoutCore() {
    this.#stock = new Stock({
      send: (text) => this.#lifeline.send(text),
      ended: () => this.#end(),
    });
  }

  // -- life -----------------------------------------------------------------------------------

  /** The server has said that nothing more comes. */
  #end() {
    this.#ending = setTimeout(() => this.#enter('ended'), DRAIN);
  }

  /** It does not end yet. */
  #goesOn() {
    clearTimeout(this.#ending);
    this.#ending = 0;
  }

  #lost(why) {
    if (this.over) return;
    if (this.state === 'ended' || this.#ending || this.#atEnd) this.close('ended');
    else if (!this.manifest) this.fail(why);
    else if (!this.#lifeline.looking) this.#reconnect(why);
  }

  get #atEnd() {
    const next = this.#landed ? this.frame + 1 : this.frame;
    return this.live === null && !this.#loops && this.manifest !== null && next >= this.manifest.frames;
  }

  /** Looks for the server until it is there again, or patience is over. */
  async #reconnect(why) {
    this.#say({ type: 'disconnected' });
    const looking = this.#lifeline.comeBack(why);
    this.#tell('notice', `${why} Trying again.`);
    const gaveUp = await looking;
    if (this.over) return;
    if (gaveUp) {
      this.fail(gaveUp);
    } else {
      this.figures.reconnects += 1;
      this.#tell('notice', '');
    }
  }

  async #report() {
    if (!this.manifest || this.#lifeline.looking) return;
    this.#say({ type: 'report', fps: this.figures.fps });
    const silent = await this.#lifeline.silent(() => this.state === 'playing');
    if (silent) this.#lost('Nothing comes from the server.');
  }

  /** Ends it for good; `failure` says why. @param {string} why */
  fail(why) {
    if (this.over) return;
    this.failure = why;
    this.close('failed');
  }

  /** @param {State} state */
  #enter(state) {
    if (!this.over) this.#turn(state);
  }

  /** @param {State} state */
  #turn(state) {
    if (this.state === state) return;
    this.state = state;
    this.#tell('state');
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
