/**
 * The plans, plates and maps of a play: which are wanted, by which way they come, what the cache has,
 * and what the upscaling worker has made of them.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { AssetCache } from './asset-cache.js';
import { Fetcher } from './fetcher.js';
import { Routes } from './routes.js';

export class Assets {
  #cache;
  #routes;
  #deliver;
  #figures;
  #manifest;
  #loops = false;
  /** @type {Map<number, Fetcher>} */
  #fetchers = new Map();
  #prepared = new Set();
  /** Assets that several rungs need, which are fetched once. @type {Map<string, Uint8Array | null>} */
  #shared = new Map();

  /**
   * @param {{delivery?: import('./routes.js').Preference, cacheLimit?: number,
   *   figures: import('./figures.js').Figures, send: (message: object) => void,
   *   deliver: (rung: number, sha256: string, bytes: Uint8Array) => void,
   *   guarded: (take: () => Promise<void>) => Promise<void>}} options
   *   `deliver` gives whole assets to the worker; `guarded` tells what a bad piece throws
   */
  constructor({ delivery = 'auto', cacheLimit, figures, send, deliver, guarded }) {
    this.#cache = new AssetCache(cacheLimit);
    this.#deliver = deliver;
    this.#figures = figures;
    this.#routes = new Routes({
      preference: delivery,
      send,
      missing: (sha256) => this.#missing(sha256),
      take: (piece) => {
        figures.httpBytes += piece.bytes.length;
        return guarded(() => this.take(piece));
      },
    });
  }

  /** A server has answered. @param {string} endpoint @param {string} [token] that it may see */
  connected(endpoint, token) {
    this.#routes.connected(endpoint, token);
  }

  /** @param {import('./manifest.js').Manifest} manifest @param {boolean} loops */
  describe(manifest, loops) {
    if (manifest !== this.#manifest) {
      this.#manifest = manifest;
      this.#shared = new Map([...manifest.shared()].map((sha256) => [sha256, null]));
    }
    this.#loops = loops;
    for (const fetcher of this.#fetchers.values()) fetcher.loops = loops;
  }

  /** Asks again for what has not come: the connection is a new one. */
  renew() {
    for (const fetcher of this.#fetchers.values()) fetcher.renew();
  }

  /** The play of this rung has come to this segment. @param {number} rung @param {number} segment */
  advance(rung, segment) {
    this.#fetcher(rung).advance(segment);
  }

  /** A piece came; throws a CrispcastError where it is not believed. */
  async take(piece) {
    this.#figures.planBytes += piece.bytes.length;
    // Rungs may share assets, which are then sent once.
    const takers = [...this.#fetchers].filter(([, fetcher]) => fetcher.expects(piece.sha256));
    if (!takers.length) {
      if ([...this.#fetchers.values()].some((fetcher) => fetcher.knows(piece.sha256))) return;
      throw new CrispcastError(`asset ${piece.sha256.slice(0, 16)} was not asked for`);
    }
    for (const [rung, fetcher] of takers) {
      const bytes = await fetcher.piece(piece);
      if (bytes) this.#whole(rung, piece.sha256, bytes);
    }
    this.#routes.came(piece.sha256);
  }

  /** The worker has prepared it, or refused it. @param {string} sha256 */
  settled(sha256) {
    this.#prepared.add(sha256);
  }

  /** The worker let go of them. @param {number} rung @param {string[]} assets */
  dropped(rung, assets) {
    this.#fetchers.get(rung)?.forget(assets);
    for (const sha256 of assets) this.#prepared.delete(sha256);
  }

  /** Whether all that this segment needs is prepared. @param {number} rung @param {number} segment */
  ready(rung, segment) {
    return this.#manifest.assetsOf(rung, segment).every((sha256) => this.#prepared.has(sha256));
  }

  /** Seconds of video from this frame on for which everything is there. */
  ahead(rung, frame) {
    return this.#fetchers.get(rung)?.ahead(frame) ?? 0;
  }

  close() {
    this.#routes.close();
  }

  #fetcher(rung) {
    if (!this.#fetchers.has(rung)) {
      const ask = (assets) => this.#routes.ask(assets);
      const found = (sha256, bytes) => {
        this.#figures.cachedBytes += bytes.length;
        this.#whole(rung, sha256, bytes);
      };
      const shared = (sha256) => this.#find(rung, sha256);
      const fetcher = new Fetcher(this.#manifest, rung, ask, this.#cache, found, shared);
      fetcher.loops = this.#loops;
      this.#fetchers.set(rung, fetcher);
    }
    return /** @type {Fetcher} */ (this.#fetchers.get(rung));
  }

  #whole(rung, sha256, bytes) {
    this.#deliver(rung, sha256, bytes);
    if (!this.#shared.has(sha256)) return;
    this.#shared.set(sha256, bytes);
    for (const [other, fetcher] of this.#fetchers) if (other !== rung) fetcher.again();
  }

  /** An asset that came for another rung; null: it is still to come for that one. */
  #find(rung, sha256) {
    const bytes = this.#shared.get(sha256);
    if (bytes) this.#deliver(rung, sha256, bytes);
    else if ([...this.#fetchers.values()].some((fetcher) => fetcher.expects(sha256))) return null;
    return Boolean(bytes);
  }

  #missing(sha256) {
    for (const fetcher of this.#fetchers.values()) if (fetcher.expects(sha256)) return fetcher.missing(sha256);
    return null;
  }
}
