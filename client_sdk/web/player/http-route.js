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
const REST = 4; // times that patience for which one that stalled is asked for little else

/** @typedef {import('./routes.js').Wanted} Wanted */

export class HttpRoute {
  #base;
  #headers;
  #take;
  #failed;
  #missing;
  #patience;
  #queue = new Set();
  #running = new Set();
  #restsUntil = -Infinity;
  #stop = new AbortController();

  /**
   * @param {{endpoint: string, token?: string, patience?: number,
   *   missing: (sha256: string) => Wanted | null, take: (piece: any) => unknown,
   *   failed: (sha256: string) => void}} options
   *   `missing`: what has not come yet of an asset; `take` hears of each piece, `failed` of assets
   *   that do not come; `patience`: see download.js
   */
  constructor({ endpoint, token, patience = PATIENCE, missing, take, failed }) {
    this.#base = new URL('../assets/', endpoint).href;
    // The assets are beside the endpoint; fetch takes it off where a redirect leads elsewhere.
    this.#headers = /** @type {Record<string, string>} */ (token ? { Authorization: `Bearer ${token}` } : {});
    this.#patience = patience;
    this.#missing = missing;
    this.#take = take;
    this.#failed = failed;
  }

  /** Whether it stalled of late: then the other way is the better one. */
  get resting() {
    return performance.now() < this.#restsUntil;
  }

  /** @param {string[]} assets by hash */
  get(assets) {
    for (const sha256 of assets) this.#queue.add(sha256);
    while (this.#running.size < AT_ONCE) {
      // One that came damaged is asked for anew before its transfer has ended.
      const next = [...this.#queue].find((sha256) => !this.#running.has(sha256));
      if (!next) return;
      this.#queue.delete(next);
      const wanted = this.#missing(next); // it may have come by the other way
      if (wanted) this.#run(wanted);
    }
  }

  /** Breaks everything off; nothing is heard of it any more. */
  close() {
    this.#queue.clear();
    this.#stop.abort();
  }

  /** @param {Wanted} wanted */
  async #run(wanted) {
    const { sha256 } = wanted;
    this.#running.add(sha256);
    const came = await this.#fetch(wanted);
    this.#running.delete(sha256);
    if (this.#stop.signal.aborted) return;
    if (!came) {
      // What waits behind one that stalled would fare no better.
      const others = this.resting ? [...this.#queue] : [];
      for (const at of others) this.#queue.delete(at);
      for (const at of [sha256, ...others]) this.#failed(at);
    }
    this.get([]);
  }

  /** @param {Wanted} wanted @returns {Promise<boolean>} whether it came to its last byte */
  async #fetch({ sha256, offset, size }) {
    const state = { offset };
    for (let attempt = 0; attempt < TRIES && !this.#stop.signal.aborted; ++attempt) {
      if (attempt) await new Promise((resolve) => setTimeout(resolve, AGAIN));
      try {
        const { ok, status } = await this.#read(sha256, size, state);
        if (!ok && status < 500) return false; // no use to ask again
      } catch (error) {
        if (error instanceof Stalled) {
          this.#restsUntil = performance.now() + REST * this.#patience;
          return false;
        }
        // broken off: again, from there on
      }
      if (state.offset === size) return true;
    }
    return false;
  }

  #read(sha256, size, state) {
    const range = state.offset ? { Range: `bytes=${state.offset}-` } : {};
    let first = true;
    return download(`${this.#base}${sha256}`, {
      most: size,
      headers: { ...this.#headers, ...range },
      signal: this.#stop.signal,
      patience: this.#patience,
      take: async (bytes, { status }) => {
        if (first && status === 200) state.offset = 0; // it does not do ranges
        first = false;
        const piece = bytes.subarray(0, size - state.offset);
        await this.#take({ sha256, offset: state.offset, total: size, bytes: piece });
        state.offset += piece.length;
        return state.offset < size;
      },
    });
  }
}
