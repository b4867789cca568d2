/**
 * Plates: monochrome full-range AVIF, decoded by the browser (docs/manifest.md).
 *
 * @module
 */

import { CrispcastError } from '../core.js';

const ABSENT = 128; // the code of a plate where there is none (docs/plan-format.md)
const NO_COLOUR = 0; // the code of U where a plate has no chroma (docs/chroma.md)

/**
 * The luma of a plate, or of a piece of one, of exactly this size. Throws a CrispcastError otherwise.
 * @param {Uint8Array} bytes @param {number} width @param {number} height
 * @returns {Promise<Uint8Array>}
 */
export async function decodePlate(bytes, width, height) {
  let image;
  try {
    const blob = new Blob([/** @type {BlobPart} */ (bytes)], { type: 'image/avif' });
    image = await createImageBitmap(blob, { colorSpaceConversion: 'none' });
  } catch {
    throw new CrispcastError('a plate is no AVIF that this browser reads');
  }
  try {
    if (image.width !== width || image.height !== height)
      throw new CrispcastError(`a plate is ${image.width}×${image.height}, not ${width}×${height}`);
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d', { willReadFrequently: true, alpha: false });
    if (!context) throw new CrispcastError('the browser gave no canvas to read a plate with');
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const luma = new Uint8Array(width * height);
    for (let at = 0; at < luma.length; ++at) luma[at] = data[4 * at]; // grey: all three are the same
    return luma;
  } finally {
    image.close();
  }
}

/**
 * A plate of its pieces, later ones over earlier ones; a piece without a region is all of it.
 * @param {{region: number[] | null, luma: Uint8Array}[]} pieces @returns {Uint8Array}
 */
export function compose(pieces, width, height) {
  const plate = new Uint8Array(width * height).fill(ABSENT);
  for (const { region, luma } of pieces) {
    const [x, y, w, h] = region ?? [0, 0, width, height];
    for (let row = 0; row < h; ++row)
      plate.set(luma.subarray(row * w, row * w + w), (y + row) * width + x);
  }
  return plate;
}

/**
 * The chroma of a plate of its pieces: U and V of half the size. A piece's are one picture, U above V.
 * @param {{region: number[] | null, chroma: Uint8Array}[]} pieces
 * @returns {[Uint8Array, Uint8Array]}
 */
export function composeChroma(pieces, width, height) {
  const [wide, high] = [width / 2, height / 2];
  const planes = [0, 1].map(() => new Uint8Array(wide * high).fill(NO_COLOUR));
  for (const { region, chroma } of pieces) {
    const [x, y, w, h] = (region ?? [0, 0, width, height]).map((side) => side / 2);
    planes.forEach((plane, half) => {
      for (let row = 0; row < h; ++row) {
        const from = (half * h + row) * w;
        plane.set(chroma.subarray(from, from + w), (y + row) * wide + x);
      }
    });
  }
  return [planes[0], planes[1]];
}
