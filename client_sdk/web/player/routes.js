/**
 * The two ways by which assets come, and which one is asked: the data channel or HTTP. Where one
 * fails, the other goes on from where it stopped; the same pieces come to the same assembler, which
 * hashes them.
 *
 * @module
 */

import { MAX_WANTED } from './channel.js';

const LARGE = 64 << 10; // bytes from which on `auto` prefers HTTP
const PATIENCE = 4000; // milliseconds without a piece after which the channel counts as stuck
const SWITCHES = 2; // times that an asset may change its way
const TRIES = 3;
const AGAIN = 200; // milliseconds before another try
const AT_ONCE = 2;

/** @typedef {'auto' | 'channel' | 'http'} Preference */
/** @typedef {{sha256: string, offset: number, size: number}} Wanted */

export class Routes {
  #preference;
  #token = /** @type {string | undefined} */ (undefined);
  #send;
  #missing;
  #take;
  #base = '';
  #onChannel = new Set();
  #switched = new Map();
  #queue = [];
  #running = 0;
  #timer = 0;
  #stop = new AbortController();

  /**
   * @param {{preference: Preference, send: (message: object) => void,
   *   missing: (sha256: string) => Wanted | null, take: (piece: any) => unknown}} options
   *   `missing`: what has not come yet of an asset; `take` hears of each piece that HTTP brings
   */
  constructor({ preference, send, missing, take }) {
    this.#preference = preference;
    this.#send = send;
    this.#missing = missing;
    this.#take = take;
  }

  /**
   * A connection is there.
   * @param {string} endpoint its WHEP URL, beside which the assets are
   * @param {string} [token] that may be shown to that server
   */
  connected(endpoint, token) {
    this.#token = token;
    this.#base = new URL('../assets/', endpoint).href;
    this.#onChannel.clear();
    this.#switched.clear();
  }

  /** @param {Wanted[]} assets */
  ask(assets) {
    this.#overChannel(assets.filter((at) => !this.#prefersHttp(at)));
    this.#overHttp(assets.filter((at) => this.#prefersHttp(at)));
  }

  /** A piece of that asset is here: what it came by works. @param {string} sha256 */
  came(sha256) {
    if (!this.#onChannel.has(sha256)) return;
    this.#watch();
    if (!this.#missing(sha256)) this.#onChannel.delete(sha256);
  }

  close() {
    clearTimeout(this.#timer);
    this.#stop.abort();
  }

  #prefersHttp({ size }) {
    if (this.#preference === 'channel') return false;
    return this.#preference === 'http' || size >= LARGE;
  }

  #overChannel(assets) {
    if (!assets.length) return;
    if (!this.#onChannel.size) this.#watch();
    for (const { sha256 } of assets) this.#onChannel.add(sha256);
    for (let at = 0; at < assets.length; at += MAX_WANTED) {
      const some = assets.slice(at, at + MAX_WANTED);
      this.#send({ type: 'want', assets: some.map(({ sha256, offset }) => ({ sha256, offset })) });
    }
  }

  #overHttp(assets) {
    this.#queue.push(...assets);
    while (this.#running < AT_ONCE && this.#queue.length) {
      this.#running += 1;
      this.#work();
    }
  }

  async #work() {
    for (let wanted = this.#queue.shift(); wanted; wanted = this.#queue.shift()) {
      const { sha256 } = wanted;
      const there = await this.#get(wanted);
      const left = this.#missing(sha256);
      if (!there && left && !this.#stop.signal.aborted && this.#maySwitch(sha256)) this.#overChannel([left]);
    }
    this.#running -= 1;
  }

  /** @param {Wanted} wanted @returns {Promise<boolean>} whether it came to its last byte */
  async #get({ sha256, offset, size }) {
    const state = { offset };
    for (let attempt = 0; attempt < TRIES && !this.#stop.signal.aborted; ++attempt) {
      if (attempt) await new Promise((resolve) => setTimeout(resolve, AGAIN));
      try {
        if ((await this.#read(sha256, size, state)) === false) return false;
        if (state.offset === size) return true;
      } catch {
        // broken off: again, from there on
      }
    }
    return false;
  }

  /** @returns {Promise<boolean | undefined>} false: it is refused, and no use to ask again */
  async #read(sha256, size, state) {
    /** @type {Record<string, string>} */
    const headers = {};
    if (state.offset) headers.Range = `bytes=${state.offset}-`;
    // The assets are beside the endpoint; fetch takes it off where a redirect leads elsewhere.
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    const reply = await fetch(`${this.#base}${sha256}`, { headers, signal: this.#stop.signal });
    if (reply.status >= 500) throw new Error(`status ${reply.status}`);
    if (!reply.ok || !reply.body) return false;
    if (reply.status === 200) state.offset = 0; // it does not do ranges
    const reader = reply.body.getReader();
    while (state.offset < size) {
      const { value, done } = await reader.read();
      if (done) return undefined;
      const bytes = value.subarray(0, size - state.offset);
      await this.#take({ sha256, offset: state.offset, total: size, bytes });
      state.offset += bytes.length;
    }
    await reader.cancel();
    return undefined;
  }

  #maySwitch(sha256) {
    this.#switched.set(sha256, (this.#switched.get(sha256) ?? 0) + 1);
    return this.#switched.get(sha256) <= SWITCHES;
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const stuck = [...this.#onChannel].map((sha256) => this.#missing(sha256)).filter(Boolean);
      this.#onChannel.clear();
      this.#overHttp(stuck.filter(({ sha256 }) => this.#maySwitch(sha256)));
    }, PATIENCE);
  }
}
