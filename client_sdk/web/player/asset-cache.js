/**
 * Assets that outlive the page, in the browser's IndexedDB: by hash, the least recently used first to
 * go. What is read back is hashed again: a cache is storage, not truth. A browser that keeps nothing
 * (private windows, a full disk) costs the cache only.
 *
 * @module
 */

import { sha256Of } from './channel.js';

export const DEFAULT_LIMIT = 256 << 20; // bytes
const NAME = 'crispcast';

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const over = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(undefined);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });

export class AssetCache {
  #limit;
  /** What is kept, the least recently used first. @type {Map<string, number>} sizes by hash */
  #sizes = new Map();
  /** @type {Promise<IDBDatabase | null>} */
  #database;

  /** @param {number} [limit] bytes; 0 keeps nothing */
  constructor(limit = DEFAULT_LIMIT) {
    this.#limit = limit;
    this.#database = limit > 0 ? this.#open().catch(() => null) : Promise.resolve(null);
  }

  /** @param {string} sha256 @returns {Promise<Uint8Array | null>} */
  async get(sha256) {
    try {
      const database = await this.#database;
      if (!database || !this.#sizes.has(sha256)) return null;
      const bytes = await done(database.transaction('bytes').objectStore('bytes').get(sha256));
      if (bytes && (await sha256Of(bytes)) === sha256) {
        this.#note(database, sha256, bytes.length);
        return bytes;
      }
      await this.#drop(database, [sha256]);
    } catch {
      // it counts as absent
    }
    return null;
  }

  /** Keeps an asset whose hash was checked. @param {string} sha256 @param {Uint8Array} bytes */
  async put(sha256, bytes) {
    if (bytes.length > this.#limit) return;
    try {
      const database = await this.#database;
      if (!database || this.#sizes.has(sha256)) return;
      const kept = database.transaction('bytes', 'readwrite');
      kept.objectStore('bytes').put(bytes, sha256);
      await over(kept);
      this.#note(database, sha256, bytes.length);
      await this.#trim(database);
    } catch {
      // it is not kept
    }
  }

  #note(database, sha256, size) {
    this.#sizes.delete(sha256);
    this.#sizes.set(sha256, size); // behind all others
    database.transaction('facts', 'readwrite').objectStore('facts').put({ sha256, size, used: Date.now() });
  }

  async #trim(database) {
    let held = [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
    const gone = [];
    for (const [sha256, size] of this.#sizes) {
      if (held <= this.#limit) break;
      gone.push(sha256);
      held -= size;
    }
    if (gone.length) await this.#drop(database, gone);
  }

  async #drop(database, hashes) {
    const dropped = database.transaction(['facts', 'bytes'], 'readwrite');
    for (const sha256 of hashes) {
      this.#sizes.delete(sha256);
      for (const store of ['facts', 'bytes']) dropped.objectStore(store).delete(sha256);
    }
    await over(dropped);
  }

  async #open() {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('facts', { keyPath: 'sha256' });
      request.result.createObjectStore('bytes');
    };
    const database = await done(request);
    const facts = await done(database.transaction('facts').objectStore('facts').getAll());
    facts.sort((a, b) => a.used - b.used);
    for (const { sha256, size } of facts) this.#sizes.set(sha256, size);
    await this.#trim(database);
    return database;
  }
}
