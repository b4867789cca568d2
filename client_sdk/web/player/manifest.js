/**
 * The manifest, as far as a player needs it (docs/manifest.md). It may come from anybody: every number
 * that is used here is checked first.
 *
 * @module
 */

import { CrispcastError, MAX_SIDE } from '../core.js';

export const MAX_MANIFEST_BYTES = 32 << 20;
export const MAX_PLAN_BYTES = 4 << 20;
const MAJOR = 1;
const MAX = {
  frames: 0xffffffff, segments: 100000, rungs: 16, experts: 64, pieces: 64,
  plan: MAX_PLAN_BYTES, plate: 32 << 20, record: 1 << 20, tolerance: 2295,
  canvas: 8,
}; // prettier-ignore
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * @typedef {{sha256: string, region: number[] | null}} Piece
 * @typedef {{experts: string[], pieces: Piece[], map: string, motion: string | null}} RungSegment
 * @typedef {{name: string, width: number, height: number, scale: number, codec: string,
 *   bytes: number, segments: RungSegment[]}} Rung
 */

/** A checked manifest: plain data, so that it can be sent to a worker; `Manifest.of` revives it. */
export class Manifest {
  /** @param {Uint8Array} bytes @returns {Manifest} throws a CrispcastError on what is no manifest */
  static parse(bytes) {
    let tree;
    try {
      tree = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch {
      throw new CrispcastError('the manifest is not JSON');
    }
    try {
      return Manifest.of(read(tree));
    } catch (error) {
      if (error instanceof CrispcastError) throw error;
      throw new CrispcastError(`the manifest lacks a part: ${/** @type {Error} */ (error).message}`);
    }
  }

  static of(fields) {
    return Object.assign(new Manifest(), fields);
  }

  /** The segment that holds `frame`; the last one beyond the end. @returns {number} */
  segmentOf(frame) {
    let [low, high] = [0, this.segments.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.segments[middle].start <= frame) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Hashes of all that a segment needs, each once: map, motion, plans, plate, chroma. @returns {string[]} */
  assetsOf(rung, segment) {
    const { map, motion, experts, pieces } = this.rungs[rung].segments[segment];
    const records = motion === null ? [map] : [map, motion];
    const lumas = pieces.map(({ sha256 }) => sha256);
    const pictures = [...lumas, ...pieces.flatMap(({ chroma }) => chroma ?? [])];
    return [...new Set([...records, ...experts, ...pictures])];
  }

  /** Hashes of what more than one rung needs. @returns {Set<string>} */
  shared() {
    const [seen, shared] = [new Set(), new Set()];
    this.rungs.forEach(({ segments }, rung) => {
      const own = new Set(segments.flatMap((_, segment) => this.assetsOf(rung, segment)));
      for (const sha256 of own) (seen.has(sha256) ? shared : seen).add(sha256);
    });
    return shared;
  }

  get seconds() {
    return (this.frames * this.fps[1]) / this.fps[0];
  }
}

function read(tree) {
  if (tree?.format !== 'crispcast') throw new CrispcastError('the manifest is not one of Crispcast');
  if (Number(String(tree.version).split('.')[0]) !== MAJOR)
    throw new CrispcastError(`the manifest has version ${tree.version}; this player reads ${MAJOR}.x`);
  if (!/^[0-9a-f]{16}$/.test(tree.id)) throw new CrispcastError('the manifest has no id');
  const { source } = tree;
  const frames = whole(source.frames, 1, MAX.frames, 'frames');
  const fps = [0, 1].map((i) => whole(source.fps[i], 1, 1e6, 'fps'));
  const width = whole(source.width, 1, MAX_SIDE, 'width');
  const height = whole(source.height, 1, MAX_SIDE, 'height');
  const segments = list(tree.segments, 1, MAX.segments, 'segments').map((segment) => ({
    start: whole(segment.start, 0, MAX.frames, 'start'),
    frames: whole(segment.frames, 1, MAX.frames, 'frames'),
  }));
  let end = 0;
  for (const segment of segments) {
    if (segment.start !== end) throw new CrispcastError('the segments do not follow each other');
    end += segment.frames;
  }
  if (end !== frames) throw new CrispcastError(`the segments hold ${end} frames of ${frames}`);
  const sizes = {}; // of plans, plates and records, by hash
  const canvases = {};
  for (const [sha256, asset] of Object.entries(tree.assets ?? {})) {
    sizes[hash(sha256)] = whole(asset.bytes, 1, asset.kind === 'plan' ? MAX.plan : MAX.plate, 'bytes');
    if (asset.canvas)
      canvases[sha256] = [0, 1].map((i) => whole(asset.canvas[i], 1, MAX_SIDE, 'canvas'));
  }
  const rungs = list(tree.rungs, 1, MAX.rungs, 'rungs').map((rung) =>
    readRung(rung, segments.length, sizes, [width, height]),
  );
  const largest = MAX.canvas * Math.max(...rungs.map((at) => at.width * at.height * at.scale ** 2));
  for (const [w, h] of Object.values(canvases)) whole(w * h, 1, largest, 'a canvas of so many samples:');
  const colour = { range: source.colour?.range ?? 'limited', matrix: source.colour?.matrix ?? 2 };
  const name = String(tree.name).slice(0, 200);
  return { id: tree.id, name, width, height, frames, fps, colour, segments, rungs, sizes, canvases };
}

function readRung(rung, count, sizes, source) {
  const scale = whole(rung.scale, 1, 4, 'scale');
  // The HR picture is padded to a multiple of 2 * scale (docs/manifest.md, "Sizes").
  const [width, height] = source.map((side) => 2 * Math.ceil(side / (2 * scale)));
  if (rung.width !== width || rung.height !== height)
    throw new CrispcastError(`a rung of ${rung.width}×${rung.height}, not ${width}×${height}`);
  const tolerance =
    rung.chroma_tolerance == null ? null : whole(rung.chroma_tolerance, 1, MAX.tolerance, 'tolerance');
  const plates = list(rung.plates ?? [], 0, MAX.segments, 'plates').map((pieces) =>
    list(pieces, 1, MAX.pieces, 'pieces').map(({ sha256, region = null, chroma = null }) => {
      known(sha256, sizes);
      if (chroma !== null) known(chroma, sizes);
      if (chroma !== null && tolerance === null)
        throw new CrispcastError('the manifest has chroma of plates and no tolerance for it');
      if (region !== null) {
        const [x, y] = [whole(region[0], 0, MAX_SIDE, 'x'), whole(region[1], 0, MAX_SIDE, 'y')];
        whole(region[2], 1, width * scale - x, 'width of a piece');
        whole(region[3], 1, height * scale - y, 'height of a piece');
        if (chroma !== null && region.some((side) => side % 2))
          throw new CrispcastError('the manifest has chroma of a piece with odd sides');
      }
      return { sha256, region, chroma };
    }),
  );
  const record = (at) => {
    sizes[hash(at.sha256)] = whole(at.bytes, 1, MAX.record, 'bytes');
    return at.sha256;
  };
  const segments = list(rung.segments, count, count, 'segments').map((segment) => ({
    experts: list(segment.experts ?? [], 0, MAX.experts, 'experts').map((at) => known(at, sizes)),
    pieces:
      segment.plate == null ? [] : plates[whole(segment.plate, 0, plates.length - 1, 'plate')],
    map: record(segment.map),
    motion: segment.motion ? record(segment.motion) : null,
  }));
  const bytes = whole(rung.bytes, 1, 2 ** 50, 'bytes');
  const codec = rung.codec ?? 'h264';
  const facts = { width, height, scale, codec, bytes, segments, tolerance };
  return { name: String(rung.name).slice(0, 32), ...facts };
}

function whole(value, low, high, what) {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new CrispcastError(`the manifest has ${what} ${value}, which is not ${low} to ${high}`);
}

function list(value, low, high, what) {
  if (Array.isArray(value) && value.length >= low && value.length <= high) return value;
  throw new CrispcastError(`the manifest has no ${low} to ${high} ${what}`);
}

function hash(value) {
  if (typeof value === 'string' && SHA256.test(value)) return value;
  throw new CrispcastError('the manifest names an asset by something that is no SHA-256');
}

function known(sha256, sizes) {
  if (Object.hasOwn(sizes, hash(sha256))) return sha256;
  throw new CrispcastError(`the manifest has no asset ${sha256.slice(0, 16)}`);
}
