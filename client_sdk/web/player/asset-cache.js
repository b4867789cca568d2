/**
 * Assets that outlive the page, in the browser's IndexedDB: by hash, the least recently used first to
 * go. What is read back is hashed by the core: a cache is storage, not truth. A browser that keeps
 * nothing (private windows, a full disk) costs the cache only.
 *
 * @module
 */

export const DEFAULT_LIMIT = 256 << 20; // bytes
const NAME = 'crispcast';
const PATIENCE = 2000; // milliseconds for the database to open, which in some browsers never ends

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
    const late = () => new Promise((resolve) => setTimeout(resolve, PATIENCE, null));
    const open = limit > 0 ? Promise.race([this.#open(), late()]) : Promise.resolve(null);
    this.#database = open.catch(() => null);
  }

  /** @param {string} sha256 @returns {Promise<Uint8Array | null>} */
  async get(sha256) {
    try {
      const database = await this.#database;
      if (!database || !this.#sizes.has(sha256)) return null;
      const bytes = await done(database.transaction('bytes').objectStore('bytes').get(sha256));
      if (!(bytes instanceof Uint8Array)) return null;
      this.#note(database, sha256, bytes.length);
      return bytes;
    } catch {
      return null;
    }
  }

  /** Lets go of an asset that is not what its hash says. @param {string} sha256 */
  async drop(sha256) {
    try {
      const database = await this.#database;
      if (database) await this.#change(database, [sha256]);
    } catch {
      // it is replaced, or dropped the next time
    }
  }

  /** Keeps an asset whose hash was checked. @param {string} sha256 @param {Uint8Array} bytes */
  async put(sha256, bytes) {
    if (bytes.length > this.#limit) return;
    try {
      const database = await this.#database;
      if (!database || this.#sizes.has(sha256)) return;
      this.#sizes.set(sha256, bytes.length);
      await this.#change(database, this.#tooMany(), (facts, kept) => {
        facts.put({ sha256, size: bytes.length, used: Date.now() });
        kept.put(bytes, sha256);
      });
    } catch {
      this.#sizes.delete(sha256); // it is not kept
    }
  }

  #note(database, sha256, size) {
    this.#sizes.delete(sha256);
    this.#sizes.set(sha256, size); // behind all others
    database.transaction('facts', 'readwrite').objectStore('facts').put({ sha256, size, used: Date.now() });
  }

  /** Those that have to go for the limit's sake. */
  #tooMany() {
    let held = [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
    const gone = [];
    for (const [sha256, size] of this.#sizes) {
      if (held <= this.#limit) break;
      gone.push(sha256);
      held -= size;
    }
    return gone;
  }

  /**
   * Drops these, and whatever else, all at once: the limit holds at any time.
   * @param {IDBDatabase} database @param {string[]} gone
   * @param {((facts: IDBObjectStore, kept: IDBObjectStore) => void) | null} [also]
   */
  async #change(database, gone, also = null) {
    const change = database.transaction(['facts', 'bytes'], 'readwrite');
    const [facts, kept] = ['facts', 'bytes'].map((name) => change.objectStore(name));
    for (const sha256 of gone) {
      this.#sizes.delete(sha256);
      facts.delete(sha256);
      kept.delete(sha256);
    }
    also?.(facts, kept);
    await over(change);
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
    await this.#change(database, this.#tooMany());
    return database;
  }
}
