/**
 * The bases that a server ships (docs/bases.md), by id: fetched when a plan that is a difference to one
 * comes, beside the frames, bounded in time and size.
 *
 * @module
 */

import { sha256Of } from './channel.js';
import { download } from './download.js';
import { Growing } from './growing.js';
import { MAX_PLAN_BYTES } from './manifest.js';

const TRIES = 2;

export class Bases {
  #folder;
  #patience;
  /** The last one asked for; most packages have one. */
  #last = { id: '', bytes: /** @type {Promise<Uint8Array | null>} */ (Promise.resolve(null)) };

  /** @param {string} folder its URL, with a slash at the end @param {number} [patience] see download.js */
  constructor(folder, patience) {
    this.#folder = folder;
    this.#patience = patience;
  }

  /** @param {string} id 32 hex digits @returns {Promise<Uint8Array | null>} null: it does not come */
  get(id) {
    if (this.#last.id !== id) this.#last = { id, bytes: this.#fetch(id) };
    return this.#last.bytes;
  }

  async #fetch(id) {
    for (let attempt = 0; attempt < TRIES; ++attempt) {
      const bytes = await this.#read(id).catch(() => null);
      if (bytes && (await sha256Of(bytes)).startsWith(id)) return bytes;
    }
    if (this.#last.id === id) this.#last.id = ''; // another plan may ask again
    return null;
  }

  async #read(id) {
    const come = new Growing(MAX_PLAN_BYTES);
    const { ok } = await download(new URL(id, this.#folder), {
      most: MAX_PLAN_BYTES,
      patience: this.#patience,
      take: (bytes) => come.set(bytes, come.size),
    });
    return ok ? come.bytes : null;
  }
}
