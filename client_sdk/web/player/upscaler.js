/**
 * The one place where a decoded LR frame becomes an HR frame, as client_sdk/upscaler.py does it: the
 * frame's segment says which patch map, plans and plate; whatever is there and whole is used.
 *
 * Invariant: a missing plan means interpolation for its patches, never another plan.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { decodeMotion } from './motion.js';
import { decodePatchMap, interpolatedLeftOf } from './patch-map.js';
import { compose, composeChroma, decodePlate } from './plate.js';

/**
 * @typedef {{patches: Int32Array | null, plans: any[], plate: any, chroma: any, canvas: any,
 *   views: Int32Array[] | null, whole: boolean, networks: boolean}} Recipe
 */

/** What a segment is upscaled with while nothing of it is known. @type {Recipe} */
const NOTHING = {
  patches: null, plans: [], plate: null, chroma: null, canvas: null, views: null, whole: false, networks: false,
}; // prettier-ignore

/** Upscales the frames of one rung. Assets come with `add` in any order, their hashes checked. */
export class Upscaler {
  #runtime;
  #manifest;
  #rungIndex;
  #rung;
  #users = new Map(); // first segment that needs an asset
  #maps = new Map();
  #plans = new Map();
  #wires = new Map(); // of plans, which others may be differences to
  #waiting = new Map(); // differences whose base is still to come
  #plates = new Map();
  #chromas = new Map(); // U above V
  #canvases = new Map();
  #motion = new Map();
  #composed = { key: '', plate: null, chroma: null };
  #recipe = { segment: -1, value: NOTHING };
  #cut = { patches: null, column: 0, value: null };
  #last = { frame: -2, luma: new Uint8Array(0), has: false };

  /**
   * @param {any} runtime @param {import('./manifest.js').Manifest} manifest @param {number} rungIndex
   */
  constructor(runtime, manifest, rungIndex) {
    this.#runtime = runtime;
    this.#manifest = manifest;
    this.#rungIndex = rungIndex;
    this.#rung = manifest.rungs[rungIndex];
    manifest.segments.forEach((_, segment) => {
      for (const sha256 of manifest.assetsOf(rungIndex, segment))
        if (!this.#users.has(sha256)) this.#users.set(sha256, segment);
    });
    this.input = runtime.frame(this.#rung.width, this.#rung.height);
    this.#last.luma = new Uint8Array(this.#rung.width * this.#rung.height);
  }

  /**
   * The shipped base that an asset is a difference to, by its id; null for all others. Throws a
   * CrispcastError where it is refused. @returns {string | null}
   */
  baseOf(sha256, bytes) {
    if (!this.#rung.segments[this.#userOf(sha256)].experts.includes(sha256)) return null;
    const id = this.#runtime.baseOf(bytes);
    return id === null || this.#beside(id) ? null : id;
  }

  /**
   * Checks and prepares an asset; throws a CrispcastError where it is refused.
   * @param {string} sha256 @param {Uint8Array} bytes @param {Uint8Array | null} [base] that of `baseOf`
   */
  async add(sha256, bytes, base = null) {
    const user = this.#userOf(sha256);
    const { map, motion, experts, pieces } = this.#rung.segments[user];
    const piece = pieces.find((at) => at.sha256 === sha256 || at.chroma === sha256);
    if (sha256 === map) {
      const { width, height } = this.#rung;
      this.#maps.set(sha256, decodePatchMap(bytes, width, height, experts.length));
    } else if (sha256 === motion) {
      this.#motion.set(sha256, decodeMotion(bytes, this.#manifest.segments[user].frames));
    } else if (piece && this.#manifest.canvases[sha256]) {
      const [width, height] = this.#manifest.canvases[sha256];
      const luma = await decodePlate(bytes, width, height);
      this.#canvases.get(sha256)?.free();
      this.#canvases.set(sha256, this.#runtime.canvas(luma, width, height));
    } else if (piece) {
      const [, , width, height] = piece.region ?? [0, 0, ...this.#size];
      if (piece.sha256 === sha256) this.#plates.set(sha256, await decodePlate(bytes, width, height));
      else this.#chromas.set(sha256, await decodePlate(bytes, width / 2, height));
    } else {
      this.#addPlan(sha256, bytes, base);
    }
    this.#recipe.segment = -1;
  }

  /** How many assets of the segment are not there. */
  missing(segment) {
    const pictures = [this.#plates, this.#chromas, this.#canvases];
    const there = [this.#maps, this.#plans, this.#waiting, ...pictures, this.#motion];
    const assets = this.#manifest.assetsOf(this.#rungIndex, segment);
    return assets.filter((sha256) => !there.some((kept) => kept.has(sha256))).length;
  }

  /**
   * Lets go of what only segments before this one need.
   * @param {number} segment @param {number[]} [but] segments that will be needed all the same
   * @returns {string[]} hashes that must be fetched again after a seek back
   */
  forgetBefore(segment, but = []) {
    const needed = new Set();
    const left = this.#manifest.segments.map((_, at) => at).slice(segment);
    for (const at of [...left, ...but])
      for (const sha256 of this.#manifest.assetsOf(this.#rungIndex, at)) needed.add(sha256);
    const dropped = new Set();
    const owned = [this.#plans, this.#canvases];
    const others = [this.#maps, this.#motion, this.#waiting, this.#wires, this.#plates, this.#chromas];
    for (const kept of [...owned, ...others])
      for (const sha256 of [...kept.keys()]) {
        if (needed.has(sha256)) continue;
        if (owned.includes(kept)) kept.get(sha256).free();
        kept.delete(sha256);
        dropped.add(sha256);
      }
    this.#recipe.segment = -1;
    return [...dropped];
  }

  /**
   * Upscales what lies in `input`. `frame` null (not known): interpolation. `column`: patches left of
   * it, in LR samples, are interpolated. The planes hold until the next call.
   * @param {number | null} frame @param {number} [column]
   */
  upscale(frame, column = 0) {
    const { scale, width } = this.#rung;
    const segment = frame === null ? -1 : this.#manifest.segmentOf(frame);
    const recipe = this.#recipeOf(segment);
    const { patches, plans, plate, chroma, canvas, views, whole, networks } = recipe;
    const view = views && frame !== null ? views[frame - this.#manifest.segments[segment].start] : null;
    // Inside a segment only, and only if it is really the frame before.
    const follows =
      frame !== null && this.#last.frame === frame - 1 && frame !== this.#manifest.segments[segment].start;
    const previous = follows ? { y: this.#last.luma, strideY: width } : null;
    const picture = this.#runtime.upscale(this.input, {
      scale,
      previous,
      patches: patches && this.#cutAt(patches, column),
      plans: patches ? plans : [],
      plate,
      chroma,
      canvas,
      view,
    });
    const before = follows && this.keepPrevious ? this.#last.luma.slice() : null;
    this.#last.luma.set(this.input.y);
    this.#last.frame = frame ?? -2;
    return { picture, superResolved: networks && column < width, late: !whole, previous: before };
  }

  /** Takes note of what lies in `input`, which is not shown: the next frame may look back at it. */
  passOver(frame) {
    this.#last.luma.set(this.input.y);
    this.#last.frame = frame;
  }

  /** Whether `upscale` also gives a copy of the previous luma that it used. */
  keepPrevious = false;

  get #size() {
    const { width, height, scale } = this.#rung;
    return [width * scale, height * scale];
  }

  /** The first segment that needs it. */
  #userOf(sha256) {
    const user = this.#users.get(sha256);
    if (user === undefined) throw new CrispcastError(`asset ${sha256.slice(0, 16)} is not wanted`);
    return user;
  }

  /** The asset of this rung that is the base of that id. */
  #beside(id) {
    return [...this.#users.keys()].find((other) => other.startsWith(id));
  }

  #addPlan(sha256, bytes, shipped) {
    const id = this.#runtime.baseOf(bytes);
    const beside = id === null ? undefined : this.#beside(id);
    const base = beside ? this.#wires.get(beside) : shipped;
    if (beside && !base) {
      this.#waiting.set(sha256, bytes);
      return;
    }
    const plan = this.#runtime.plan(bytes, base);
    if (plan.scale !== this.#rung.scale) {
      plan.free();
      throw new CrispcastError(`a plan is for scale ${plan.scale}, not ${this.#rung.scale}`);
    }
    this.#plans.get(sha256)?.free();
    this.#plans.set(sha256, plan);
    this.#wires.set(sha256, bytes);
    for (const [other, wire] of [...this.#waiting]) {
      if (!sha256.startsWith(this.#runtime.baseOf(wire) ?? '?')) continue;
      this.#waiting.delete(other);
      this.#addPlan(other, wire, null);
    }
  }

  /** @returns {Recipe} */
  #recipeOf(segment) {
    if (segment < 0) return NOTHING;
    if (this.#recipe.segment !== segment) {
      const { experts, map, motion, pieces } = this.#rung.segments[segment];
      const patches = this.#maps.get(map) ?? null;
      const used = new Set(patches?.filter((_, at) => at % 5 === 4));
      // Nothing without a map; one that segments share may be of one with more experts.
      if (!patches || Math.max(0, ...used) > experts.length) {
        this.#recipe = { segment, value: NOTHING };
        return NOTHING;
      }
      const plans = experts.map((sha256) => this.#plans.get(sha256) ?? null);
      const there = [...used].every((expert) => !expert || plans[expert - 1]);
      // A record that segments share may be of one of another length.
      const views = this.#motion.get(motion ?? '') ?? null;
      const sees = views?.length === this.#manifest.segments[segment].frames;
      const canvas = sees ? (this.#canvases.get(pieces[0]?.sha256) ?? null) : null;
      const coloured = pieces.every((piece) => !piece.chroma || this.#chromas.has(piece.chroma));
      const plated = canvas || (coloured && pieces.every(({ sha256 }) => this.#plates.has(sha256)));
      const value = {
        patches,
        plans,
        ...this.#platesOf(pieces),
        canvas,
        views: canvas && views,
        whole: Boolean(there && plated),
        networks: Boolean(there && [...used].some((expert) => expert > 0)),
      };
      this.#recipe = { segment, value };
    }
    return this.#recipe.value;
  }

  /** The plate and its chroma, of the pieces that are there. */
  #platesOf(pieces) {
    const there = pieces.filter(({ sha256 }) => this.#plates.has(sha256));
    const colours = pieces.filter(({ chroma }) => chroma && this.#chromas.has(chroma));
    const key = [...there, null, ...colours].map((at) => `${at?.sha256}@${at?.region}`).join();
    if (key !== this.#composed.key) {
      this.#composed.plate?.free();
      this.#composed.chroma?.free();
      const [width, height] = this.#size;
      const lumas = there.map(({ sha256, region }) => ({ region, luma: this.#plates.get(sha256) }));
      const plate = there.length
        ? this.#runtime.plate(compose(lumas, width, height), width, height, this.#rung.scale)
        : null;
      this.#composed = { key, plate, chroma: this.#chromaOf(colours) };
    }
    return { plate: this.#composed.plate, chroma: this.#composed.chroma };
  }

  #chromaOf(colours) {
    if (!colours.length) return null;
    const [width, height] = this.#size;
    const { scale, tolerance } = this.#rung;
    const parts = colours.map(({ region, chroma }) => ({ region, chroma: this.#chromas.get(chroma) }));
    const [u, v] = composeChroma(parts, width, height);
    return this.#runtime.chromaPlate(u, v, width / 2, height / 2, scale, tolerance);
  }

  #cutAt(patches, column) {
    if (!column) return patches;
    if (this.#cut.patches !== patches || this.#cut.column !== column)
      this.#cut = { patches, column, value: interpolatedLeftOf(patches, column) };
    return this.#cut.value;
  }
}
