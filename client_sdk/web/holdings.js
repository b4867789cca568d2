/**
 * What a page holds in the runtime's memory until it frees it: plans, plates, canvases, frames.
 *
 * @module
 */

import { Core, CrispcastError } from './core.js';

/** Words of crispcast_plan_info (kernels/runtime/wasm/module.cpp). */
const INFO_WORDS = 14;

/** Something at an address of the core, which the core itself destroys. */
class Holding {
  #core;
  #pointer;
  #name;
  #destroy;

  /** @param {Core} core @param {number} pointer @param {string} name @param {(at: number) => void} destroy */
  constructor(core, pointer, name, destroy) {
    this.#core = core;
    this.#pointer = pointer;
    this.#name = name;
    this.#destroy = destroy;
  }

  /** The address in the core; throws once freed. @param {Core} core */
  pointerIn(core) {
    if (core !== this.#core) throw new CrispcastError(`the ${this.#name} belongs to another runtime`);
    if (!this.#pointer) throw new CrispcastError(`the ${this.#name} was freed; make it again`);
    return this.#pointer;
  }

  free() {
    if (this.#pointer && this.#core.open) this.#destroy(this.#pointer);
    this.#pointer = 0;
  }
}

/** A checked and prepared wire plan, in the runtime's memory until `free`. */
export class Plan extends Holding {
  /** @param {Core} core @param {number} pointer */
  constructor(core, pointer) {
    super(core, pointer, 'plan', core.call.crispcast_plan_destroy);
    const words = core.withRoom(INFO_WORDS * 4, (info) => {
      core.check(core.call.crispcast_plan_get_info(pointer, info));
      return core.words(info, INFO_WORDS).slice();
    });
    this.scale = words[0];
    this.inputs = ['luma', ...(words[1] ? ['previous'] : []), ...(words[2] ? ['plate'] : [])];
    this.radius = words[3];
    this.layers = words[4];
    this.taps = words[6];
    this.weights = words[8];
    this.density = words[8] / words[10];
    this.workingBytes = words[12];
    Object.freeze(this);
  }
}

/** What a `Plate` and a `ChromaPlate` are: something of one size. */
class Still extends Holding {
  constructor(core, pointer, [width, height, scale], name, destroy) {
    super(core, pointer, name, destroy);
    this.width = width / scale;
    this.height = height / scale;
    this.scale = scale;
    Object.freeze(this);
  }
}

/** A still high-resolution picture of the place, in the runtime's memory until `free`. */
export class Plate extends Still {
  /** @param {Core} core @param {number} pointer @param {number[]} size of it, and the scale */
  constructor(core, pointer, size) {
    super(core, pointer, size, 'plate', core.call.crispcast_plate_destroy);
  }
}

/** The chroma of a plate, in the runtime's memory until `free`. */
export class ChromaPlate extends Still {
  /** @param {Core} core @param {number} pointer @param {number[]} size of a plane, and the scale */
  constructor(core, pointer, size) {
    super(core, pointer, size, 'chroma plate', core.call.crispcast_chroma_plate_destroy);
  }
}

/** A plate larger than the frame, in the runtime's memory until `free`. */
export class Canvas extends Holding {
  /** @param {Core} core @param {number} pointer @param {number} width @param {number} height */
  constructor(core, pointer, width, height) {
    super(core, pointer, 'canvas', core.call.crispcast_canvas_destroy);
    this.width = width;
    this.height = height;
    Object.freeze(this);
  }
}

/** An LR picture in the runtime's memory: what is written into its planes is not copied again. */
export class Frame {
  #core;
  #pointer;
  #sizes;

  /** @param {Core} core @param {number} width @param {number} height */
  constructor(core, width, height) {
    core.checkSize(width, height);
    this.#core = core;
    this.width = width;
    this.height = height;
    this.strideY = width;
    this.strideU = this.strideV = (width + 1) >> 1;
    const chroma = this.strideU * ((height + 1) >> 1);
    this.#sizes = [width * height, chroma, chroma];
    this.#pointer = core.allocate(width * height + 2 * chroma);
    Object.freeze(this);
  }

  // Made anew each time: a view is lost when the memory of a one-thread runtime grows.
  get y() {
    return this.#plane(0);
  }
  get u() {
    return this.#plane(1);
  }
  get v() {
    return this.#plane(2);
  }

  /** @param {number} i */
  #plane(i) {
    if (!this.#pointer) throw new CrispcastError('the frame was freed; make another');
    const before = this.#sizes.slice(0, i).reduce((sum, size) => sum + size, 0);
    return this.#core.bytes(this.#pointer + before, this.#sizes[i]);
  }

  free() {
    if (this.#pointer && this.#core.open) this.#core.call.free(this.#pointer);
    this.#pointer = 0;
  }
}
