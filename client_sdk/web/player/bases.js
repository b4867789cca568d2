/**
 * The bases that a server ships (docs/bases.md), by id: fetched when a plan that is a difference to one
 * comes, beside the frames, bounded in time and size. The core hashes them.
 *
 * @module
 */

import { download } from './download.js';

const MAX_BYTES = 4 << 20;
const TRIES = 2;

export class Bases {
  #folder = '';
  #patience;
  /** The last one asked for; most packages have one. */
  #last = { id: '', bytes: /** @type {Promise<Uint8Array | null>} */ (Promise.resolve(null)) };

  /** @param {number} [patience] see download.js */
  constructor(patience) {
    this.#patience = patience;
  }

  /** A server has answered: its bases are beside its endpoint. @param {string} endpoint */
  reached(endpoint) {
    this.#folder = new URL('../bases/', endpoint).href;
  }

  /** @param {string} id 32 hex digits @returns {Promise<Uint8Array | null>} null: it does not come */
  get(id) {
    if (this.#last.id !== id) this.#last = { id, bytes: this.#fetch(id) };
    return this.#last.bytes;
  }

  /** What came was another: it is fetched anew. @param {string} id */
  forget(id) {
    if (this.#last.id === id) this.#last.id = '';
  }

  async #fetch(id) {
    for (let attempt = 0; attempt < TRIES; ++attempt) {
      const bytes = await this.#read(id).catch(() => null);
      if (bytes) return bytes;
    }
    this.forget(id); // another plan may ask again
    return null;
  }

  async #read(id) {
    const come = [];
    const { ok } = await download(new URL(id, this.#folder), {
      most: MAX_BYTES,
      patience: this.#patience,
      take: (bytes) => void come.push(bytes),
    });
    return ok ? new Uint8Array(await new Blob(come).arrayBuffer()) : null;
  }
}
