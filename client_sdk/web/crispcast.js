/**
 * The Crispcast runtime in a browser or in Node: low-resolution I420 in, high-resolution I420 out.
 *
 *     const runtime = await Runtime.load(undefined, { threads: 2 });
 *     const plan = runtime.plan(bytes);
 *     const { y, u, v } = runtime.upscale(picture, { scale: 4, previous, plans: [plan] });
 *     plan.free();
 *     runtime.close();
 *
 * `crispcast.d.ts` has the types; docs/wasm.md says how it is built and what it costs. All calls are
 * synchronous but `load`. A frame takes tens of milliseconds, so a page runs it in a worker.
 *
 * @module
 */

import { Core, CrispcastError, MAX_SIDE, STATUS } from './core.js';
import { Canvas, ChromaPlate, Frame, Plan, Plate } from './holdings.js';
import { inModule } from './module.js';

export { Canvas, ChromaPlate, CrispcastError, Frame, Plan, Plate };

/** Words of crispcast_frame_job (kernels/runtime/wasm/module.cpp). */
const JOB = {
  words: 32, in: 3, out: 9, previous: 15, plate: 17, patches: 18, plans: 20, canvas: 22, view: 23, chroma: 31,
};

/** One module, its memory and its threads. Not for use from several threads of the page. */
export class Runtime {
  #core;
  #engine;
  #workers;

  /** Use `Runtime.load`. */
  constructor(core, engine, workers) {
    this.#core = core;
    this.#engine = engine;
    this.#workers = workers;
  }

  /**
   * Fetches the module that this browser runs best and starts its threads.
   * @param {string | URL} [folder] where the modules lie; beside this file by default
   * @param {{threads?: number, relaxed?: boolean}} [options]
   * @returns {Promise<Runtime>}
   */
  static async load(folder = new URL('./', import.meta.url), options = {}) {
    return inModule(folder, options, ({ core, threads, workers }) => {
      const engine = core.create((slot) => core.call.crispcast_engine_create(threads, 0, slot));
      return new Runtime(core, engine, workers);
    });
  }

  /**
   * @param {Uint8Array} bytes a wire plan, of any origin
   * @param {Uint8Array | null} [base] the wire plan that it is a difference to
   * @returns {Plan}
   */
  plan(bytes, base = null) {
    const core = this.#core;
    for (const given of base === null ? [bytes] : [bytes, base])
      if (!(given instanceof Uint8Array))
        throw core.error(STATUS.ARGUMENT, 'a plan and its base are Uint8Arrays');
    const size = bytes.length;
    const baseSize = base?.length ?? 0;
    const pointer = core.withRoom(size + baseSize || 1, (wire) => {
      core.bytes(wire, size).set(bytes);
      if (base) core.bytes(wire + size, baseSize).set(base);
      const at = base ? wire + size : 0;
      return core.create((slot) =>
        core.call.crispcast_plan_create_with_base(wire, size, at, baseSize, slot),
      );
    });
    return new Plan(core, pointer);
  }

  /**
   * @param {Uint8Array} bytes a wire plan
   * @returns {string | null} the id of its base, 32 hex digits, or null for a full plan
   */
  baseOf(bytes) {
    const core = this.#core;
    return core.withRoom(bytes.length + 24, (room) => {
      core.bytes(room + 24, bytes.length).set(bytes);
      core.check(core.call.crispcast_plan_base_id(room + 24, bytes.length, room, room + 16));
      if (!core.words(room + 16, 1)[0]) return null;
      return Array.from(core.bytes(room, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
    });
  }

  /**
   * @param {Uint8Array} luma HR luma @param {number} width @param {number} height of it
   * @param {number} scale @param {number} [stride] @returns {Plate}
   */
  plate(luma, width, height, scale, stride = width) {
    const core = this.#core;
    for (const side of [width, height])
      if (!Number.isInteger(side) || side < 1 || side > 4 * MAX_SIDE)
        throw core.error(STATUS.SIZE, `a plate of ${width}×${height}`);
    try {
      const [[data, row]] = core.planes([['plate', luma, width, height, stride]]);
      const pointer = core.create((slot) =>
        core.call.crispcast_plate_create(data, row, width, height, scale, slot),
      );
      return new Plate(core, pointer, [width, height, scale]);
    } finally {
      core.release('plate');
    }
  }

  /**
   * @param {Uint8Array} u HR chroma @param {Uint8Array} v @param {number} width @param {number} height
   * of each @param {number} scale @param {number} tolerance @param {number} [stride] of both
   * @returns {ChromaPlate}
   */
  chromaPlate(u, v, width, height, scale, tolerance, stride = width) {
    const core = this.#core;
    for (const side of [width, height])
      if (!Number.isInteger(side) || side < 1 || side > 2 * MAX_SIDE)
        throw core.error(STATUS.SIZE, `a chroma plate of ${width}×${height}`);
    if (!Number.isInteger(tolerance))
      throw core.error(STATUS.ARGUMENT, `a tolerance of ${tolerance}`);
    try {
      const planes = core.planes([
        ['plate U', u, width, height, stride],
        ['plate V', v, width, height, stride],
      ]);
      const pointer = core.create((slot) =>
        core.call.crispcast_chroma_plate_create(...planes.flat(), width, height, scale, tolerance, slot),
      );
      return new ChromaPlate(core, pointer, [width, height, scale]);
    } finally {
      core.release('plate U');
      core.release('plate V');
    }
  }

  /**
   * @param {Uint8Array} luma @param {number} width @param {number} height of it
   * @returns {Canvas}
   */
  canvas(luma, width, height) {
    const core = this.#core;
    core.checkSize(width, height);
    try {
      const [[data, row]] = core.planes([['canvas', luma, width, height, width]]);
      const pointer = core.create((slot) =>
        core.call.crispcast_canvas_create(data, row, width, height, slot),
      );
      return new Canvas(core, pointer, width, height);
    } finally {
      core.release('canvas');
    }
  }

  /** Room for an LR picture within the runtime. @returns {Frame} */
  frame(width, height) {
    return new Frame(this.#core, width, height);
  }

  /** See crispcast.d.ts. The planes it gives are views that hold until the next call of the runtime, and in it. */
  upscale(picture, options) {
    const { scale, previous = null, patches = null, plans = [], plate = null } = options;
    const { chroma = null, canvas = null, view = null } = options;
    const core = this.#core;
    if (!core.open) throw new CrispcastError('the runtime is closed; load another');
    const { width, height } = picture;
    core.checkSize(width, height, scale);
    const halfWidth = (width + 1) >> 1;
    const halfHeight = (height + 1) >> 1;
    const job = new Int32Array(JOB.words);
    job.set([width, height, scale]);
    const planes = [
      ['y', picture.y, width, height, picture.strideY ?? width],
      ['u', picture.u, halfWidth, halfHeight, picture.strideU ?? halfWidth],
      ['v', picture.v, halfWidth, halfHeight, picture.strideV ?? halfWidth],
    ];
    if (previous) planes.push(['previous', previous.y, width, height, previous.strideY ?? width]);
    const [y, u, v, before] = core.planes(planes);
    job.set([...y, ...u, ...v], JOB.in);
    if (before) job.set(before, JOB.previous);
    if (plate) job[JOB.plate] = plate.pointerIn(core);
    if (chroma) job[JOB.chroma] = chroma.pointerIn(core);
    if (canvas) {
      if (!(view instanceof Int32Array) || view.length !== 8)
        throw core.error(STATUS.ARGUMENT, 'a view of a canvas is an Int32Array of eight numbers');
      job[JOB.canvas] = canvas.pointerIn(core);
      job.set(view, JOB.view);
    }
    if (patches) {
      if (!(patches instanceof Int32Array) || patches.length % 5)
        throw core.error(STATUS.ARGUMENT, 'patches are an Int32Array, five words each');
      // One patch too much room, so that no patches at all are still refused as such by the core.
      const pointer = core.room('patches', patches.byteLength + 20);
      core.words(pointer, patches.length).set(patches);
      job.set([pointer, patches.length / 5], JOB.patches);
    }
    if (plans.length) {
      const pointers = plans.map((plan) => (plan ? plan.pointerIn(core) : 0));
      const pointer = core.room('plans', 4 * pointers.length);
      core.words(pointer, pointers.length).set(pointers);
      job.set([pointer, pointers.length], JOB.plans);
    }
    const outWidth = scale * width;
    const outHeight = scale * height;
    const luma = outWidth * outHeight;
    const stride = (outWidth + 1) >> 1;
    const quarter = stride * ((outHeight + 1) >> 1);
    const out = core.room('out', luma + 2 * quarter);
    job.set([out, outWidth, out + luma, stride, out + luma + quarter, stride], JOB.out);
    const pointer = core.room('job', 4 * JOB.words);
    core.words(pointer, JOB.words).set(job);
    core.check(core.call.crispcast_upscale(this.#engine, pointer));
    return {
      y: core.bytes(out, luma),
      u: core.bytes(out + luma, quarter),
      v: core.bytes(out + luma + quarter, quarter),
      width: outWidth,
      height: outHeight,
      strideY: outWidth,
      strideU: stride,
      strideV: stride,
    };
  }

  get threads() {
    return this.#core.call.crispcast_engine_threads(this.#engine);
  }

  get isa() {
    return this.#core.text(this.#core.call.crispcast_engine_isa(this.#engine));
  }

  get version() {
    return this.#core.text(this.#core.call.crispcast_version());
  }

  /** Bytes of the module's memory, all told. */
  get memoryBytes() {
    return this.#core.memory.buffer.byteLength;
  }

  /** Ends the threads and lets go of the memory; plans, plates and views end with it. */
  close() {
    if (!this.#core.open) return;
    this.#core.open = false;
    this.#core.call.crispcast_engine_destroy(this.#engine);
    for (const worker of this.#workers) worker.terminate();
  }
}
