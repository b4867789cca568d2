/**
 * The two ways by which assets come, and which one is asked: the data channel or HTTP. Where one
 * fails, the other goes on from where it stopped; the same pieces come to the same assembler, which
 * hashes them.
 *
 * @module
 */

import { MAX_WANTED } from './channel.js';
import { PATIENCE } from './download.js';
import { HttpRoute } from './http-route.js';

const LARGE = 64 << 10; // bytes from which on `auto` prefers HTTP
const SWITCHES = 2; // times that an asset may change its way

/** @typedef {'auto' | 'channel' | 'http'} Preference */
/** @typedef {{sha256: string, offset: number, size: number}} Wanted */

export class Routes {
  #preference;
  #patience;
  #send;
  #missing;
  #take;
  /** Of the connection there is. @type {HttpRoute | null} */
  #http = null;
  #onChannel = new Set();
  #switched = new Map();
  #timer = 0;

  /**
   * @param {{preference: Preference, send: (message: object) => void, patience?: number,
   *   missing: (sha256: string) => Wanted | null, take: (piece: any) => unknown}} options
   *   `missing`: what has not come yet of an asset; `take` hears of each piece that HTTP brings;
   *   `patience`: milliseconds without a piece after which a way counts as stuck
   */
  constructor({ preference, send, missing, take, patience = PATIENCE }) {
    this.#preference = preference;
    this.#patience = patience;
    this.#send = send;
    this.#missing = missing;
    this.#take = take;
  }

  /**
   * A connection is there: what the one before was asked for is not waited for.
   * @param {string} endpoint its WHEP URL, beside which the assets are
   * @param {string} [token] that may be shown to that server
   */
  connected(endpoint, token) {
    this.close();
    this.#onChannel.clear();
    this.#switched.clear();
    this.#http = new HttpRoute({
      endpoint,
      token,
      patience: this.#patience,
      missing: this.#missing,
      take: this.#take,
      failed: (sha256) => this.#failed(sha256),
    });
  }

  /** @param {Wanted[]} assets */
  ask(assets) {
    this.#overChannel(assets.filter((at) => !this.#prefersHttp(at)));
    this.#http?.get(assets.filter((at) => this.#prefersHttp(at)).map(({ sha256 }) => sha256));
  }

  /** A piece of that asset is here: what it came by works. @param {string} sha256 */
  came(sha256) {
    if (!this.#onChannel.has(sha256)) return;
    this.#watch();
    if (!this.#missing(sha256)) this.#onChannel.delete(sha256);
  }

  close() {
    clearTimeout(this.#timer);
    this.#http?.close();
  }

  #prefersHttp({ size }) {
    if (this.#preference === 'channel' || this.#http?.resting) return false;
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

  /** HTTP did not bring it. */
  #failed(sha256) {
    const left = this.#missing(sha256);
    if (left && this.#maySwitch(sha256)) this.#overChannel([left]);
  }

  #maySwitch(sha256) {
    this.#switched.set(sha256, (this.#switched.get(sha256) ?? 0) + 1);
    return this.#switched.get(sha256) <= SWITCHES;
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const stuck = [...this.#onChannel].filter((sha256) => this.#missing(sha256));
      this.#onChannel.clear();
      this.#http?.get(stuck.filter((sha256) => this.#maySwitch(sha256)));
    }, this.#patience);
  }
}
