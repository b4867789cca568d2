/**
 * Decoded pictures: a VideoFrame's samples into planes, an AVIF's into one, and a manifest's colour in
 * WebCodecs' words.
 *
 * @module
 */

/** H.273's matrix codes in WebCodecs' words. BT.709 where none is stated, as in the reference client. */
const MATRICES = new Map([[5, 'bt470bg'], [6, 'smpte170m'], [9, 'bt2020-ncl']]); // prettier-ignore
/** Kr and Kb of those matrices (ITU-T H.273, table 4). */
const WEIGHTS = { bt709: [0.2126, 0.0722], 'bt2020-ncl': [0.2627, 0.0593], other: [0.299, 0.114] };

/** @param {{matrix: number, range: string}} colour of the manifest @returns {VideoColorSpaceInit} */
export function colourSpace({ matrix, range }) {
  const name = /** @type {VideoMatrixCoefficients} */ (MATRICES.get(matrix) ?? 'bt709');
  return { primaries: 'bt709', transfer: 'bt709', matrix: name, fullRange: range === 'full' };
}

/**
 * Copies a picture's samples into I420 planes of the same size.
 * @param {VideoFrame} frame @param {any} planes a `Frame` of the runtime @param {VideoColorSpaceInit} space
 * @returns {Promise<boolean>} false: it has another size
 */
export async function readPlanes(frame, planes, space) {
  const rect = frame.visibleRect;
  if (!rect || rect.width !== planes.width || rect.height !== planes.height) return false;
  if (frame.format === 'I420' || frame.format === 'NV12') {
    const bytes = new Uint8Array(frame.allocationSize());
    const layout = await frame.copyTo(bytes);
    readYuv(bytes, layout, frame.format, planes);
  } else {
    readRgb(frame, planes, space);
  }
  return true;
}

function readYuv(bytes, layout, format, planes) {
  const row = (plane, y, size) => bytes.subarray(plane.offset + y * plane.stride, plane.offset + y * plane.stride + size);
  const [width, height, half] = [planes.width, planes.height, planes.strideU];
  const [targetY, targetU, targetV] = [planes.y, planes.u, planes.v];
  for (let y = 0; y < height; ++y) targetY.set(row(layout[0], y, width), y * width);
  for (let y = 0; y < (height + 1) >> 1; ++y) {
    if (format === 'I420') {
      targetU.set(row(layout[1], y, half), y * half);
      targetV.set(row(layout[2], y, half), y * half);
      continue;
    }
    const pairs = row(layout[1], y, 2 * half);
    for (let x = 0; x < half; ++x) {
      targetU[y * half + x] = pairs[2 * x];
      targetV[y * half + x] = pairs[2 * x + 1];
    }
  }
}

/** A browser that keeps its samples to itself shows RGB: back to Y'CbCr, chroma as means of four. */
function readRgb(frame, planes, { matrix, fullRange }) {
  const { width, height, strideU: half } = planes;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true, alpha: false });
  context.drawImage(frame, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const [kr, kb] = WEIGHTS[matrix] ?? WEIGHTS.other;
  const [gain, floor] = fullRange ? [1, 0] : [219 / 255, 16];
  const swing = fullRange ? 1 : 224 / 255;
  const [y, u, v] = [planes.y, planes.u, planes.v];
  const sums = new Float32Array(2 * u.length);
  const counts = new Uint8Array(u.length);
  for (let at = 0; at < width * height; ++at) {
    const [r, g, b] = [data[4 * at], data[4 * at + 1], data[4 * at + 2]];
    const luma = kr * r + (1 - kr - kb) * g + kb * b;
    y[at] = Math.round(floor + gain * luma);
    const place = (Math.floor(at / width) >> 1) * half + ((at % width) >> 1);
    sums[2 * place] += (b - luma) / (2 - 2 * kb);
    sums[2 * place + 1] += (r - luma) / (2 - 2 * kr);
    counts[place] += 1;
  }
  for (let at = 0; at < u.length; ++at) {
    u[at] = Math.round(128 + (swing * sums[2 * at]) / counts[at]);
    v[at] = Math.round(128 + (swing * sums[2 * at + 1]) / counts[at]);
  }
}

/**
 * A monochrome full-range AVIF, decoded by the browser (docs/manifest.md).
 * @param {Uint8Array} bytes @param {number} width @param {number} height
 * @returns {Promise<{width: number, height: number, write: (room: Uint8Array) => void} | null>} what
 *   writes its samples; null: no picture of that size that this browser reads, or has the memory for
 */
export async function decodePicture(bytes, width, height) {
  /** @type {ImageBitmap | null} */
  let image = null;
  try {
    const blob = new Blob([/** @type {BlobPart} */ (bytes)], { type: 'image/avif' });
    image = await createImageBitmap(blob, { colorSpaceConversion: 'none' });
    if (image.width !== width || image.height !== height) return null;
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true, alpha: false });
    if (!context) return null;
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const write = (room) => {
      for (let at = 0; at < room.length; ++at) room[at] = data[4 * at]; // grey: all three are the same
    };
    return { width, height, write };
  } catch {
    return null;
  } finally {
    image?.close();
  }
}
