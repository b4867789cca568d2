/**
 * `<crispcast-player>`: plays a Crispcast stream, super-resolved in the page (docs/web-player.md).
 *
 *     <script type="module" src="https://SERVER/sdk/player/crispcast-player.js"></script>
 *     <crispcast-player src="https://SERVER/whep/NAME"></crispcast-player>
 *
 * Attributes: src, media, autoplay, muted, poster, loop, threads, plain, token, token-origins,
 * media-token, trust, delivery, cache-limit, reconnect.
 * Events: play, pause, ended, timeupdate, error.
 *
 * @module
 */

import { Controls } from './controls.js';
import { Session } from './session.js';

const REFRESH = 250; // milliseconds between looks at the figures
const NOTHING = 'nothing is super-resolved';
const WAYS = /** @type {const} */ (['channel', 'http']);

/** The whole of an address that may lack what the page's has; null: it is none. */
function addressOf(text, base) {
  try {
    return new URL(text, base).href;
  } catch {
    return null;
  }
}

export class CrispcastPlayer extends HTMLElement {
  static observedAttributes = ['src', 'muted', 'poster', 'loop'];
  #controls;
  /** @type {Session | null} */
  #session = null;
  #comparing = false;
  #split = 0.5;
  #timer = 0;
  #captures = [];

  constructor() {
    super();
    this.#controls = new Controls(this, this.attachShadow({ mode: 'open' }));
  }

  connectedCallback() {
    if (!this.hasAttribute('tabindex')) this.tabIndex = 0; // so that its keys work
    this.#timer = setInterval(() => this.refresh(), REFRESH);
    addEventListener('pagehide', this.#leave);
    this.refresh();
    if (this.hasAttribute('autoplay')) this.play();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    removeEventListener('pagehide', this.#leave);
    this.#leave();
  }

  attributeChangedCallback(name, _, value) {
    if (name === 'muted') this.#controls.video.muted = value !== null;
    if (name === 'poster') this.#controls.video.poster = value ?? '';
    if (name === 'loop') this.#session?.loop(value !== null);
    if (name === 'src' && this.#session) {
      this.#leave();
      this.play();
    }
  }

  /** Starts, or goes on; after the end, from the beginning. */
  async play() {
    const session = this.#session;
    if (!session || session.over) return this.#open();
    if (session.state === 'paused') return session.resume();
    if (session.state === 'ended') return session.seek(0);
    return undefined;
  }

  pause() {
    if (this.#session && ['connecting', 'playing'].includes(this.#session.state)) this.#session.pause();
  }

  toggle() {
    if (this.paused) this.play();
    else this.pause();
  }

  /**
   * Resolves with the planes of the next frames, before RGB; rejects where there are none, or no more.
   * @param {number} [count]
   */
  capture(count = 1) {
    return new Promise((resolve, reject) => {
      const session = this.#session;
      if (!session || session.over || session.plain) return reject(new Error(NOTHING));
      this.#captures.push({ count, frames: [], resolve, reject });
      return session.capture(count);
    });
  }

  /**
   * Changes to this rung of the manifest at the next segment; null: as the server sees fit.
   * @param {number | null} rung
   */
  chooseRung(rung) {
    this.#session?.chooseRung(rung);
  }

  get paused() {
    return !this.#session || !['connecting', 'playing'].includes(this.#session.state);
  }

  get state() {
    return this.#session?.state ?? 'closed';
  }

  get manifest() {
    return this.#session?.manifest ?? null;
  }

  /** Seconds. */
  get duration() {
    return this.manifest?.seconds ?? 0;
  }

  /** Seconds; setting it goes to exactly the frame that is shown then. */
  get currentTime() {
    const [rate, per] = this.manifest?.fps ?? [1, 1];
    return ((this.#session?.frame ?? 0) * per) / rate;
  }

  set currentTime(seconds) {
    if (!this.manifest) return;
    const [rate, per] = this.manifest.fps;
    // A time that was read here names its own frame, however it was rounded.
    this.#session?.seek(Math.floor((seconds * rate) / per + 1e-6));
    this.refresh();
  }

  get loop() {
    return this.hasAttribute('loop');
  }

  set loop(on) {
    this.toggleAttribute('loop', Boolean(on));
  }

  /** Whether this is a channel, in which all viewers are at the same place. */
  get live() {
    return this.#session ? this.#session.live !== null || this.hasAttribute('media') : false;
  }

  get muted() {
    return this.#controls.video.muted;
  }

  set muted(muted) {
    this.#controls.video.muted = muted;
    if (!muted) this.#controls.video.play().catch(() => {});
  }

  get volume() {
    return this.#controls.video.volume;
  }

  set volume(volume) {
    this.#controls.video.volume = volume;
  }

  /** Whether the before/after slider is shown. */
  get comparing() {
    return this.#comparing;
  }

  set comparing(comparing) {
    this.#comparing = Boolean(comparing) && this.canCompare;
    this.#session?.split(this.#comparing ? this.#split : 0);
    this.refresh();
  }

  get canCompare() {
    return !this.#session?.plain;
  }

  /** Part of the width, from the left, that is interpolated while comparing: 0 to 1. */
  get split() {
    return this.#split;
  }

  set split(at) {
    this.#split = Math.min(Math.max(Number(at) || 0, 0), 1);
    if (this.#comparing) this.#session?.split(this.#split);
    this.refresh();
  }

  /** The live figures, as the panel shows them. */
  get figures() {
    const session = this.#session;
    const figures = session?.figures;
    return {
      frames: figures?.frames ?? 0,
      superResolved: figures?.superResolved ?? 0,
      skipped: figures?.skipped ?? 0,
      fps: figures?.fps ?? 0,
      frameMs: figures?.frameMs ?? 0,
      planBytes: figures?.planBytes ?? 0,
      httpBytes: figures?.httpBytes ?? 0,
      cachedBytes: figures?.cachedBytes ?? 0,
      reconnects: figures?.reconnects ?? 0,
      seekMs: figures?.seekMs ?? null,
      latePlans: figures?.latePlans ?? 0,
      refused: figures?.refused ?? 0,
      resting: figures?.resting ?? false,
      rung: session?.manifest?.rungs[session.rung].name ?? '',
      buffer: session?.buffered ?? 0,
      engine: figures?.engine ?? '',
      plain: session?.plain ?? null,
    };
  }

  /** Brings the controls up to date. */
  refresh() {
    this.#controls.update();
    const at = this.figures;
    this.#controls.figures([
      ['frames a second', at.fps.toFixed(1)],
      ['ms a frame', at.frameMs.toFixed(1)],
      ['super-resolved', `${at.superResolved} of ${at.frames}`],
      ['skipped', String(at.skipped)],
      ['plan bytes', at.planBytes.toLocaleString('en')],
      ['late plans', String(at.latePlans)],
      ['rung', at.rung],
      ['buffer', `${at.buffer.toFixed(1)} s`],
      ['engine', at.plain ? 'none' : at.resting ? 'too slow, rests' : at.engine],
    ]);
  }

  async #open() {
    const src = this.getAttribute('src');
    if (!src) return this.#fail('There is nothing to play: give the player a src.');
    const at = this.getAttribute('media');
    const url = addressOf(src, this.baseURI);
    if (!url) return this.#fail(`The player's src is no address: ${src}`);
    const media = at ? addressOf(at, this.baseURI) : undefined;
    if (media === null) return this.#fail(`The player's media is no address: ${at}`);
    const screen = this.#controls.freshScreen();
    const { video } = this.#controls;
    const number = (name) => (this.hasAttribute(name) ? Number(this.getAttribute(name)) : undefined);
    const threads = number('threads');
    const [cacheLimit, reconnect] = [number('cache-limit'), number('reconnect')];
    const delivery = WAYS.find((way) => way === this.getAttribute('delivery')) ?? 'auto';
    const loop = this.loop || Boolean(media); // what is published begins again at its end
    const mediaToken = this.getAttribute('media-token') ?? undefined;
    const token = this.getAttribute('token') ?? undefined;
    const tokenOrigins = this.getAttribute('token-origins')?.split(/\s+/).filter(Boolean);
    const plain = this.hasAttribute('plain');
    const trust = this.getAttribute('trust');
    const session = new Session({
      url,
      screen,
      video,
      threads,
      token,
      tokenOrigins,
      plain,
      trust,
      loop,
      delivery,
      cacheLimit,
      reconnect,
      media,
      mediaToken,
    });
    this.#session = session;
    this.#controls.notice(session.plain ?? '');
    this.#controls.mark('started', true);
    session.addEventListener('manifest', () => this.#described(session));
    session.addEventListener('state', () => this.#changed(session));
    session.addEventListener('shown', () => this.#shown());
    session.addEventListener('captured', ({ detail }) => this.#captured(detail));
    session.addEventListener('notice', ({ detail }) => this.#controls.notice(detail));
    this.refresh();
    try {
      await session.start();
    } catch (error) {
      session.fail(error.message);
    }
    return undefined;
  }

  #described(session) {
    this.#controls.describe(session.manifest, session.rung, session.adaptive);
    if (this.#comparing) session.split(this.#split);
  }

  #changed(session) {
    if (session !== this.#session) return;
    if (session.over || session.plain)
      for (const { reject } of this.#captures.splice(0)) reject(new Error(NOTHING));
    if (session.plain) {
      this.#controls.mark('super', false);
      this.#controls.notice(session.plain);
      if (this.#comparing) this.comparing = false;
    }
    const { state } = session;
    if (state === 'failed') return this.#fail(session.failure);
    if (state === 'closed') this.#controls.mark('started', false);
    const event = { playing: 'play', paused: 'pause', ended: 'ended' }[state];
    if (event) this.dispatchEvent(new CustomEvent(event));
    return this.refresh();
  }

  #shown() {
    this.#controls.mark('super', true);
    this.dispatchEvent(new CustomEvent('timeupdate'));
  }

  #captured(frame) {
    const [first] = this.#captures;
    if (!first) return;
    first.frames.push(frame);
    if (first.frames.length < first.count) return;
    this.#captures.shift();
    first.resolve(first.frames);
  }

  #fail(why) {
    this.#controls.notice(why);
    this.#controls.mark('started', false);
    this.dispatchEvent(new CustomEvent('error', { detail: why }));
    this.refresh();
  }

  #leave = () => this.#session?.close();
}

customElements.define('crispcast-player', CrispcastPlayer);
