/**
 * Motion records: the views that a segment's frames have of its canvas (docs/canvas.md).
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { Contexts, RangeDecoder } from './range-decoder.js';

const VERSION = 1;
const HEADER_BYTES = 3;
const LONGEST = 24; // bits of a number
const FARTHEST = 1 << 19;

/**
 * Safe on any bytes: throws a CrispcastError on what is no record, or holds what is no view.
 * @param {Uint8Array} record @param {number} frames of the segment
 * @returns {Int32Array[]} eight numbers for each frame
 */
export function decodeMotion(record, frames) {
  const count = record.length > HEADER_BYTES ? record[1] | (record[2] << 8) : 0;
  if (record[0] !== VERSION || count !== frames)
    throw new CrispcastError(`a motion record of version ${record[0]} and ${count} frames of ${frames}`);
  const coder = new RangeDecoder(record.subarray(HEADER_BYTES));
  const lengths = new Contexts(2 * (LONGEST + 1));
  const views = [];
  for (let frame = 0; frame < frames; ++frame) {
    const [last, older] = [views[frame - 1], views[frame - 2]];
    const missed = [0, 0];
    const view = Int32Array.from({ length: 8 }, (_, i) => {
      missed[i % 2] += miss(coder, lengths, i);
      const expected = older ? 2 * last[i] - older[i] : last ? last[i] : 0;
      const value = expected + missed[i % 2];
      if (Math.abs(value) > FARTHEST) throw new CrispcastError('a motion record leads too far away');
      return value;
    });
    const [, , rightX, topY, x, y, leftX, bottomY] = view;
    if ((leftX - x) * (topY - y) - (rightX - x) * (bottomY - y) < 1)
      throw new CrispcastError('a motion record has corners that enclose nothing, or mirror the frame');
    views.push(view);
  }
  coder.finish();
  return views;
}

/** Exponential Golomb: the number of bits in unary, those below the highest, the sign. */
function miss(coder, lengths, index) {
  const first = index > 1 ? LONGEST + 1 : 0;
  let length = 0;
  while (length < LONGEST && coder.bit(lengths, first + length)) ++length;
  let size = length ? 1 : 0;
  for (let bit = 1; bit < length; ++bit) size = 2 * size + coder.bypass();
  return size && coder.bypass() ? -size : size;
}
