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
      if (!database) return null;
      const bytes = await done(database.transaction('bytes').objectStore('bytes').get(sha256));
      if (!bytes) return null;
      if ((await sha256Of(bytes)) !== sha256) {
        await this.#drop(database, [sha256]);
        return null;
      }
      const touched = database.transaction('facts', 'readwrite');
      touched.objectStore('facts').put({ sha256, size: bytes.length, used: Date.now() });
      return bytes;
    } catch {
      return null;
    }
  }

  /** Keeps an asset whose hash was checked. @param {string} sha256 @param {Uint8Array} bytes */
  async put(sha256, bytes) {
    if (bytes.length > this.#limit) return;
    try {
      const database = await this.#database;
      if (!database) return;
      const kept = database.transaction(['facts', 'bytes'], 'readwrite');
      kept.objectStore('bytes').put(bytes, sha256);
      kept.objectStore('facts').put({ sha256, size: bytes.length, used: Date.now() });
      await over(kept);
      await this.#trim(database);
    } catch {
      // it is not kept
    }
  }

  async #trim(database) {
    const facts = await done(database.transaction('facts').objectStore('facts').getAll());
    let held = facts.reduce((sum, { size }) => sum + size, 0);
    const gone = [];
    for (const { sha256, size } of facts.sort((a, b) => a.used - b.used)) {
      if (held <= this.#limit) break;
      gone.push(sha256);
      held -= size;
    }
    if (gone.length) await this.#drop(database, gone);
  }

  async #drop(database, hashes) {
    const dropped = database.transaction(['facts', 'bytes'], 'readwrite');
    for (const sha256 of hashes)
      for (const store of ['facts', 'bytes']) dropped.objectStore(store).delete(sha256);
    await over(dropped);
  }

  #open() {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('facts', { keyPath: 'sha256' });
      request.result.createObjectStore('bytes');
    };
    return done(request);
  }
}
