/**
 * Patch maps: which expert upscales which patch (docs/patch-maps.md).
 *
 * A list of patches is an Int32Array of five words each, x, y, width, height in LR luma samples and
 * the expert: what `Runtime.upscale` takes.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { Contexts, RangeDecoder } from './range-decoder.js';

const VERSION = 1;
const HEADER_BYTES = 5;
const [MIN_PATCH, MAX_PATCH] = [8, 16384];
const MAX_PATCHES = 65536;
const EXPERT_BITS = 7;

/**
 * The patches of a record. Safe on any bytes: throws a CrispcastError on what is no map.
 * @param {Uint8Array} record @param {number} width @param {number} height of the LR luma
 * @param {number} experts of the segment, interpolation not counted @returns {Int32Array}
 */
export function decodePatchMap(record, width, height, experts) {
  if (record.length <= HEADER_BYTES) throw new CrispcastError('the patch map is too short');
  if (record[0] !== VERSION)
    throw new CrispcastError(`the patch map has version ${record[0]}; this player reads ${VERSION}`);
  const columns = cuts(width, record[1] | (record[2] << 8));
  const rows = cuts(height, record[3] | (record[4] << 8));
  if (columns.length * rows.length > MAX_PATCHES)
    throw new CrispcastError(`${columns.length}×${rows.length} patches pass ${MAX_PATCHES}`);
  const coder = new RangeDecoder(record.subarray(HEADER_BYTES));
  const [split, same, above] = [new Contexts(3), new Contexts(4), new Contexts(2)];
  const tree = new Contexts(1 << EXPERT_BITS);
  const words = [];
  // Of the row above, by column: the expert that its patch ended with, and whether it was split.
  const upper = columns.map(() => ({ expert: 0, split: 0 }));
  let before = 0;
  for (const [y, h] of rows) {
    let left = 0;
    columns.forEach(([x, w], column) => {
      const up = upper[column].expert;
      left = coder.bit(split, upper[column].split + left);
      if (left && (w < 2 || h < 2)) throw new CrispcastError(`a patch of ${w}×${h} cannot be split`);
      for (const part of left ? quarters(x, y, w, h) : [[x, y, w, h]]) {
        if (!coder.bit(same, 2 * left + (before === up ? 1 : 0))) {
          if (up !== before && coder.bit(above, left)) before = up;
          else before = coder.tree(tree, EXPERT_BITS);
        }
        if (before > experts)
          throw new CrispcastError(`the patch map asks for expert ${before} of ${experts}`);
        words.push(...part, before);
      }
      upper[column] = { expert: before, split: left };
    });
  }
  coder.finish();
  return Int32Array.from(words);
}

/**
 * The same patches with all that lies left of `column` given to interpolation: the picture of a
 * before/after slider, in one pass. @param {Int32Array} patches @param {number} column in LR samples
 */
export function interpolatedLeftOf(patches, column) {
  const words = [];
  for (let at = 0; at < patches.length; at += 5) {
    const [x, y, w, h, expert] = patches.subarray(at, at + 5);
    const left = Math.min(Math.max(column - x, 0), w);
    if (left) words.push(x, y, left, h, 0);
    if (left < w) words.push(x + left, y, w - left, h, expert);
  }
  return Int32Array.from(words);
}

/** @param {number} size @param {number} patch @returns {number[][]} [start, length] of each */
function cuts(size, patch) {
  if (patch < MIN_PATCH || patch > MAX_PATCH)
    throw new CrispcastError(`patches of ${patch} samples, not ${MIN_PATCH} to ${MAX_PATCH}`);
  const count = Math.max(1, Math.floor(size / patch));
  return Array.from({ length: count }, (_, i) => [
    i * patch,
    i === count - 1 ? size - i * patch : patch,
  ]);
}

function quarters(x, y, width, height) {
  const [left, top] = [width >> 1, height >> 1];
  const [right, low] = [width - left, height - top];
  return [
    [x, y, left, top],
    [x + left, y, right, top],
    [x, y + top, left, low],
    [x + left, y + top, right, low],
  ];
}
