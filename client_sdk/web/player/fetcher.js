/**
 * Which assets to ask for, and when; and putting their pieces together. An asset counts when it is
 * whole, announced by the manifest in that size, and its hash is right.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { sha256Of } from './channel.js';
import { Growing } from './growing.js';

const HORIZON = 30; // seconds of video ahead
const TRIES = 2;

/** Takes pieces of announced assets; `add` gives the bytes once they are whole and true. */
export class Assembler {
  /** @type {Map<string, {size: number, come: Growing}>} */
  #parts = new Map();

  expect(sha256, size) {
    this.#parts.set(sha256, { size, come: new Growing(size) });
  }

  expects(sha256) {
    return this.#parts.has(sha256);
  }

  /** It is there by another way. */
  forget(sha256) {
    this.#parts.delete(sha256);
  }

  /** How many bytes of an expected asset are there. */
  have(sha256) {
    return this.#parts.get(sha256)?.come.size ?? 0;
  }

  /** @returns {Promise<Uint8Array | null>} null: pieces are missing; throws where it is not wanted */
  async add({ sha256, offset, total, bytes }) {
    const part = this.#parts.get(sha256);
    if (!part) throw new CrispcastError(`asset ${sha256.slice(0, 16)} was not asked for`);
    const { size, come } = part;
    if (total !== size || offset > come.size || offset + bytes.length > size)
      throw new CrispcastError(`asset ${sha256.slice(0, 16)} does not come as it was announced`);
    come.set(bytes, offset);
    if (come.size < size) return null;
    this.#parts.delete(sha256);
    const whole = come.bytes;
    if ((await sha256Of(whole)) === sha256) return whole;
    throw new CrispcastError(`asset ${sha256.slice(0, 16)} came damaged: its hash is wrong`);
  }
}

/** The segments of the next seconds; after the last comes the first where it loops. */
export function segmentsAhead({ segments, fps, frames }, segment, loops) {
  const last = segments[segment].start + (HORIZON * fps[0]) / fps[1];
  const count = segments.length;
  const ahead = [];
  for (let at = segment; at < (loops ? segment + count : count); ++at) {
    const start = segments[at % count].start + (at >= count ? frames : 0);
    // The segment at hand and the next are always in, however long they are.
    if (at > segment + 1 && start > last) break;
    ahead.push(at % count);
  }
  return ahead;
}

/**
 * Asks for what the segments within the horizon need, by deadline, once; once more if damaged. What a
 * cache has is not asked for.
 */
export class Fetcher {
  loops = false;
  #manifest;
  #rung;
  #ask;
  #cache;
  #found;
  #shared;
  #assembler = new Assembler();
  #tries = new Map();
  #there = new Set();
  #segment = -1;

  /**
   * @param {import('./manifest.js').Manifest} manifest @param {number} rung
   * @param {(assets: import('./routes.js').Wanted[]) => void} ask
   * @param {import('./asset-cache.js').AssetCache | null} [cache]
   * @param {(sha256: string, bytes: Uint8Array) => void} [found] hears of what the cache has
   * @param {(sha256: string) => boolean | null} [shared] takes an asset that another rung has
   *   fetched; null: it is on its way for that one
   */
  constructor(manifest, rung, ask, cache = null, found = () => {}, shared = () => false) {
    this.#shared = shared;
    this.#manifest = manifest;
    this.#rung = rung;
    this.#ask = ask;
    this.#cache = cache;
    this.#found = found;
  }

  /** The play has come to this segment. @param {number} segment */
  advance(segment) {
    this.#segment = segment;
    const untried = this.#ahead(segment).filter((sha256) => !this.#tries.has(sha256));
    void this.#want(
      untried.filter((sha256) => {
        const shared = this.#shared(sha256);
        if (shared) this.#tries.set(sha256, 1);
        if (shared) this.#there.add(sha256);
        return shared === false;
      }),
    );
  }

  /** Another rung has an asset now that this one may wait for. */
  again() {
    if (this.#segment >= 0) this.advance(this.#segment);
  }

  expects(sha256) {
    return this.#assembler.expects(sha256);
  }

  /** Whether it was asked for, and has come or will. @param {string} sha256 */
  knows(sha256) {
    return this.#tries.has(sha256);
  }

  /** What has not come yet of an asset; null where nothing is missing. @param {string} sha256 */
  missing(sha256) {
    if (!this.expects(sha256)) return null;
    return { sha256, offset: this.#assembler.have(sha256), size: this.#manifest.sizes[sha256] };
  }

  /** Asks again for all that has not come, from where it stopped: the connection is a new one. */
  renew() {
    this.#ask([...this.#tries.keys()].map((sha256) => this.missing(sha256)).filter((at) => at !== null));
  }

  /** They were let go of: a seek back wants them again. @param {string[]} assets */
  forget(assets) {
    for (const sha256 of assets) {
      this.#tries.delete(sha256);
      this.#there.delete(sha256);
    }
  }

  /** @returns {Promise<Uint8Array | null>} an asset that is whole; throws on what is not believed */
  async piece(piece) {
    try {
      const bytes = await this.#assembler.add(piece);
      if (bytes) {
        this.#there.add(piece.sha256);
        void this.#cache?.put(piece.sha256, bytes);
      }
      return bytes;
    } catch (error) {
      const tries = this.#tries.get(piece.sha256) ?? TRIES;
      if (tries < TRIES && !this.#assembler.expects(piece.sha256)) void this.#want([piece.sha256]);
      throw error;
    }
  }

  /** Whether nothing that the segment needs is still to come. @param {number} segment */
  has(segment) {
    return this.#manifest.assetsOf(this.#rung, segment).every((sha256) => this.#there.has(sha256));
  }

  /** Seconds of video from `frame` on for which everything is there. @param {number} frame */
  ahead(frame) {
    const { segments, fps, frames } = this.#manifest;
    let segment = this.#manifest.segmentOf(frame);
    while (segment < segments.length && this.has(segment)) ++segment;
    const end = segment < segments.length ? segments[segment].start : frames;
    return (Math.max(0, end - frame) * fps[1]) / fps[0];
  }

  async #want(assets) {
    for (const sha256 of assets) {
      this.#tries.set(sha256, (this.#tries.get(sha256) ?? 0) + 1);
      this.#assembler.expect(sha256, this.#manifest.sizes[sha256]);
    }
    const cache = this.#cache;
    if (cache) await Promise.all(assets.map((sha256) => this.#look(cache, sha256)));
    this.#ask(assets.map((sha256) => this.missing(sha256)).filter((at) => at !== null));
  }

  async #look(cache, sha256) {
    const bytes = await cache.get(sha256);
    if (!bytes || !this.expects(sha256)) return;
    this.#assembler.forget(sha256);
    this.#there.add(sha256);
    this.#found(sha256, bytes);
  }

  #ahead(segment) {
    const wanted = new Set();
    for (const at of segmentsAhead(this.#manifest, segment, this.loops))
      for (const sha256 of this.#manifest.assetsOf(this.#rung, at)) wanted.add(sha256);
    return [...wanted];
  }
}
