/**
 * The range decoder of docs/plan-format.md ("Details of both"), which patch maps and motion use too.
 *
 * @module
 */

import { CrispcastError } from '../core.js';

const HALF = 32768;
const [LOWEST, HIGHEST] = [64, 32704];

/** `count` adaptive bits: two 16-bit estimates each of the probability of a 0. */
export class Contexts {
  /** @param {number} count */
  constructor(count) {
    this.fast = new Int32Array(count).fill(HALF);
    this.slow = new Int32Array(count).fill(HALF);
  }
}

/** Reads one stream; throws a CrispcastError where it ends too early or, in `finish`, too late. */
export class RangeDecoder {
  #bytes;
  #at = 0;
  #range = 0xffffffff;
  #code = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
    for (let i = 0; i < 4; ++i) this.#code = ((this.#code << 8) | this.#next()) >>> 0;
  }

  /** One bit by the context at `index`. @param {Contexts} contexts @param {number} index */
  bit({ fast, slow }, index) {
    const p = Math.min(Math.max((fast[index] + slow[index]) >> 2, LOWEST), HIGHEST);
    const bound = (this.#range >>> 15) * p;
    const bit = this.#code >= bound ? 1 : 0;
    if (bit) {
      this.#code -= bound;
      this.#range -= bound;
      fast[index] -= fast[index] >> 4;
      slow[index] -= slow[index] >> 7;
    } else {
      this.#range = bound;
      fast[index] += (65536 - fast[index]) >> 4;
      slow[index] += (65536 - slow[index]) >> 7;
    }
    this.#normalise();
    return bit;
  }

  /** One bit of probability one half. */
  bypass() {
    this.#range >>>= 1;
    const bit = this.#code >= this.#range ? 1 : 0;
    if (bit) this.#code -= this.#range;
    this.#normalise();
    return bit;
  }

  /** `bits` bits from the highest down; a context is a node. @param {Contexts} contexts */
  tree(contexts, bits) {
    let node = 1;
    for (let i = 0; i < bits; ++i) node = 2 * node + this.bit(contexts, node);
    return node - (1 << bits);
  }

  /** All bytes must have been read. */
  finish() {
    if (this.#at !== this.#bytes.length) throw new CrispcastError('the stream has bytes left over');
  }

  #normalise() {
    while (this.#range < 1 << 24) {
      this.#range = (this.#range << 8) >>> 0;
      this.#code = ((this.#code << 8) | this.#next()) >>> 0;
    }
  }

  #next() {
    if (this.#at >= this.#bytes.length) throw new CrispcastError('the stream ends too early');
    return this.#bytes[this.#at++];
  }
}
