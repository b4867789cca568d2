/**
 * Assets by HTTP, from beside one connection's endpoint: some at once, each from where it stopped, and
 * given up where the server refuses it, breaks off again and again, or stalls. A server that stalls
 * is left alone for a while.
 *
 * @module
 */

import { PATIENCE, Stalled, download } from './download.js';

const TRIES = 3;
const AGAIN = 200; // milliseconds before another try
const AT_ONCE = 2;
const REST = 4; // times that patience for which one that stalled is asked for nothing

/** @typedef {{sha256: string, offset: number, total: number}} Wanted */

export class HttpRoute {
  #base = '';
  /** @type {Record<string, string>} */
  #headers = {};
  #take;
  #failed;
  #patience;
  /** @type {Map<string, Wanted>} */
  #queue = new Map();
  #running = new Set();
  #restsUntil = -Infinity;
  #stop = new AbortController();

  /**
   * @param {{patience?: number, take: (sha256: string, offset: number, bytes: Uint8Array) => void,
   *   failed: (sha256: string) => void}} options
   *   `take` hears of each piece, `failed` of assets that do not come; `patience`: see download.js
   */
  constructor({ patience = PATIENCE, take, failed }) {
    this.#patience = patience;
    this.#take = take;
    this.#failed = failed;
  }

  /**
   * A connection is there: what was asked for beside the one before is broken off, and not heard of.
   * @param {string} endpoint its WHEP URL, beside which the assets are
   * @param {string} [token] that may be shown to that server
   */
  reached(endpoint, token) {
    this.stop();
    this.#restsUntil = -Infinity;
    this.#base = new URL('../assets/', endpoint).href;
    // The assets are beside the endpoint; fetch takes it off where a redirect leads elsewhere.
    this.#headers = token ? { Authorization: `Bearer ${token}` } : {};
  }

  /** Break off all that is on its way or waits; `failed` does not hear of it. */
  stop() {
    this.#queue.clear();
    this.#running = new Set();
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  /** @param {Wanted} wanted an asset, from `offset` on */
  get({ sha256, offset, total }) {
    // One that stalled of late: the other way is the better one.
    if (performance.now() < this.#restsUntil) return void queueMicrotask(() => this.#failed(sha256));
    this.#queue.set(sha256, { sha256, offset, total });
    return this.#next();
  }

  #next() {
    while (this.#running.size < AT_ONCE) {
      // One that came damaged is asked for anew before its transfer has ended.
      const next = [...this.#queue.values()].find(({ sha256 }) => !this.#running.has(sha256));
      if (!next) return;
      this.#queue.delete(next.sha256);
      this.#run(next, this.#running, this.#stop.signal);
    }
  }

  /** @param {Wanted} wanted @param {Set<string>} running @param {AbortSignal} signal */
  async #run(wanted, running, signal) {
    const { sha256 } = wanted;
    running.add(sha256);
    const came = await this.#fetch(wanted, signal);
    running.delete(sha256);
    if (signal.aborted) return;
    if (!came) {
      // What waits behind one that stalled would fare no better.
      const others = performance.now() < this.#restsUntil ? [...this.#queue.keys()] : [];
      for (const at of others) this.#queue.delete(at);
      for (const at of [sha256, ...others]) this.#failed(at);
    }
    this.#next();
  }

  /** @param {Wanted} wanted @param {AbortSignal} signal @returns {Promise<boolean>} whether all of it came */
  async #fetch({ sha256, offset, total }, signal) {
    const state = { offset };
    for (let attempt = 0; attempt < TRIES && !signal.aborted; ++attempt) {
      if (attempt) await new Promise((resolve) => setTimeout(resolve, AGAIN));
      try {
        const { ok, status } = await this.#read(sha256, total, state, signal);
        if (!ok && status < 500) return false; // no use to ask again
      } catch (error) {
        if (error instanceof Stalled) {
          if (!signal.aborted) this.#restsUntil = performance.now() + REST * this.#patience;
          return false;
        }
        // broken off: again, from there on
      }
      if (state.offset === total) return true;
    }
    return false;
  }

  #read(sha256, total, state, signal) {
    const range = state.offset ? { Range: `bytes=${state.offset}-` } : {};
    let first = true;
    return download(`${this.#base}${sha256}`, {
      most: total,
      headers: { ...this.#headers, ...range },
      signal,
      patience: this.#patience,
      take: (bytes, { status }) => {
        if (first && status === 200) state.offset = 0; // it does not do ranges
        first = false;
        const piece = bytes.subarray(0, total - state.offset);
        this.#take(sha256, state.offset, piece);
        state.offset += piece.length;
        return state.offset < total;
      },
    });
  }
}
