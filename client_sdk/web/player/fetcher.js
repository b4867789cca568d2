/**
 * Which assets to ask for, and when; and putting their pieces together. An asset counts when it is
 * whole, announced by the manifest in that size, and its hash is right.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { MAX_WANTED, sha256Of } from './channel.js';

const HORIZON = 30; // seconds of video ahead
const TRIES = 2;

/** Takes pieces of announced assets; `add` gives the bytes once they are whole and true. */
export class Assembler {
  /** @type {Map<string, {bytes: Uint8Array, have: number}>} */
  #parts = new Map();

  expect(sha256, size) {
    this.#parts.set(sha256, { bytes: new Uint8Array(size), have: 0 });
  }

  expects(sha256) {
    return this.#parts.has(sha256);
  }

  /** @returns {Promise<Uint8Array | null>} null: pieces are missing; throws where it is not wanted */
  async add({ sha256, offset, total, bytes }) {
    const part = this.#parts.get(sha256);
    if (!part) throw new CrispcastError(`asset ${sha256.slice(0, 16)} was not asked for`);
    if (total !== part.bytes.length || offset > part.have)
      throw new CrispcastError(`asset ${sha256.slice(0, 16)} does not come as it was announced`);
    part.bytes.set(bytes, offset);
    part.have = offset + bytes.length;
    if (part.have < total) return null;
    this.#parts.delete(sha256);
    if ((await sha256Of(part.bytes)) === sha256) return part.bytes;
    throw new CrispcastError(`asset ${sha256.slice(0, 16)} came damaged: its hash is wrong`);
  }
}

/** Asks for what the segments within the horizon need, by deadline, once; once more if damaged. */
export class Fetcher {
  #manifest;
  #rung;
  #ask;
  #found;
  #assembler = new Assembler();
  #tries = new Map();
  #there = new Set();

  /**
   * @param {import('./manifest.js').Manifest} manifest @param {number} rung
   * @param {(message: object) => void} ask sends `want` messages
   * @param {(sha256: string) => boolean | null} found takes an asset that another rung has fetched;
   *   null: it is on its way for that one
   */
  constructor(manifest, rung, ask, found = () => false) {
    this.#found = found;
    this.#manifest = manifest;
    this.#rung = rung;
    this.#ask = ask;
  }

  /** The play has come to this segment. @param {number} segment */
  advance(segment) {
    const untried = this.#ahead(segment).filter((sha256) => !this.#tries.has(sha256));
    this.#want(
      untried.filter((sha256) => {
        const found = this.#found(sha256);
        if (found) this.#tries.set(sha256, 1);
        if (found) this.#there.add(sha256);
        return found === false;
      }),
    );
  }

  expects(sha256) {
    return this.#assembler.expects(sha256);
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
      if (bytes) this.#there.add(piece.sha256);
      return bytes;
    } catch (error) {
      const tries = this.#tries.get(piece.sha256) ?? TRIES;
      if (tries < TRIES && !this.#assembler.expects(piece.sha256)) this.#want([piece.sha256]);
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

  #want(assets) {
    for (const sha256 of assets) {
      this.#tries.set(sha256, (this.#tries.get(sha256) ?? 0) + 1);
      this.#assembler.expect(sha256, this.#manifest.sizes[sha256]);
    }
    for (let at = 0; at < assets.length; at += MAX_WANTED) {
      const some = assets.slice(at, at + MAX_WANTED);
      this.#ask({ type: 'want', assets: some.map((sha256) => ({ sha256, offset: 0 })) });
    }
  }

  #ahead(segment) {
    const { segments, fps } = this.#manifest;
    const last = segments[segment].start + (HORIZON * fps[0]) / fps[1];
    const wanted = new Set();
    for (let at = segment; at < segments.length; ++at) {
      // The segment at hand and the next are always in, however long they are.
      if (at > segment + 1 && segments[at].start > last) break;
      for (const sha256 of this.#manifest.assetsOf(this.#rung, at)) wanted.add(sha256);
    }
    return [...wanted];
  }
}
