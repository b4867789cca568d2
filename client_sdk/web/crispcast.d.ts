/** The Crispcast runtime in a browser or in Node: see crispcast.js and docs/wasm.md. */

/** Everything that the runtime refuses: a sentence that says what was wrong and what to do. */
export class CrispcastError extends Error {
  /** The status of crispcast.h, or 0 where JavaScript refused. */
  readonly status: number;
}

/** An LR picture, I420. Chroma planes are ceil(width / 2) × ceil(height / 2). */
export interface Picture {
  readonly y: Uint8Array;
  readonly u: Uint8Array;
  readonly v: Uint8Array;
  /** Luma pixels, 1 to 16384 a side. */
  readonly width: number;
  readonly height: number;
  /** Bytes from a row to the next; the row's width where left out. */
  readonly strideY?: number;
  readonly strideU?: number;
  readonly strideV?: number;
}

/**
 * An HR picture: views of the runtime's memory, rows without gaps. They hold until the next call of
 * the runtime, which may read them; copy what must live longer. With threads their buffer is a SharedArrayBuffer.
 */
export type HighPicture = Required<Picture>;

/** A checked and prepared wire plan. */
export class Plan {
  private constructor();
  /** HR size / LR size: 1, 2, 3 or 4. */
  readonly scale: number;
  /** The planes that the plan takes, in this order. */
  readonly inputs: readonly ('luma' | 'previous' | 'plate')[];
  /** Receptive radius in LR pixels, without the 2 of the bicubic base. */
  readonly radius: number;
  /** Convolutions. */
  readonly layers: number;
  /** Surviving taps, each shared by a block of output channels. */
  readonly taps: number;
  /** Weights of those taps: multiply-adds for each LR pixel. */
  readonly weights: number;
  /** weights / weights without pruning. */
  readonly density: number;
  /** Row memory for each thread. */
  readonly workingBytes: number;
  /** Gives its memory back; it must not be used afterwards. */
  free(): void;
}

/** A still high-resolution picture of the place. */
export class Plate {
  private constructor();
  /** LR size and HR size / LR size. */
  readonly width: number;
  readonly height: number;
  readonly scale: number;
  free(): void;
}

/** The chroma of a plate: colour that the LR is too coarse for, where it stands still. */
export class ChromaPlate {
  private constructor();
  /** Size of the LR's chroma, and HR size / LR size. */
  readonly width: number;
  readonly height: number;
  readonly scale: number;
  free(): void;
}

/** A plate larger than the frame (docs/canvas.md). */
export class Canvas {
  private constructor();
  readonly width: number;
  readonly height: number;
  free(): void;
}

/** An LR picture in the runtime's memory: planes written here are upscaled without a copy. */
export class Frame implements Picture {
  private constructor();
  /** Ask for a view when you write, and do not keep it: memory that grows takes views away. */
  get y(): Uint8Array;
  get u(): Uint8Array;
  get v(): Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly strideY: number;
  readonly strideU: number;
  readonly strideV: number;
  free(): void;
}

export interface LoadOptions {
  /**
   * 1 by default; 0: one a core. The caller's thread is one of them. More than one needs a
   * cross-origin isolated page; with 0 a page that is not gets one.
   */
  threads?: number;
  /**
   * false: never fused multiply-adds, so that every browser gives the same bits, those of the
   * portable kernels. By default they are used where the browser has relaxed SIMD: twice as fast, and
   * a sample may differ by one code value.
   */
  relaxed?: boolean;
}

export interface UpscaleOptions {
  /** 1, 2, 3 or 4, as the plans were compiled for. */
  scale: number;
  /** The LR picture before, of the same size; only its luma is read. Left out: the picture itself. */
  previous?: Pick<Picture, 'y' | 'strideY'> | null;
  /**
   * x, y, width, height in LR luma pixels and the expert, five words a patch; they tile the picture.
   * Left out: the whole picture by expert 1, or by 0 without plans.
   */
  patches?: Int32Array | null;
  /** plans[i] is expert i + 1; expert 0 and null are bicubic interpolation. */
  plans?: readonly (Plan | null)[];
  /** Of the same LR size and scale; left out: code 128. */
  plate?: Plate | null;
  /** Of the same LR size and scale; left out: chroma is interpolated. */
  chroma?: ChromaPlate | null;
  /** Instead of a plate, and the frame's view of it: eight numbers, in 1/16 of its samples. */
  canvas?: Canvas | null;
  view?: Int32Array | null;
}

export class Runtime {
  private constructor();
  /** Fetches the best module that this browser runs from `folder`, by default beside crispcast.js. */
  static load(folder?: string | URL, options?: LoadOptions): Promise<Runtime>;
  /** Any bytes may be given; those that are no plan are refused with a CrispcastError. */
  plan(bytes: Uint8Array, base?: Uint8Array | null): Plan;
  /** The id of the base that a wire plan is a difference to, 32 hex digits; null: a full plan. */
  baseOf(bytes: Uint8Array): string | null;
  /** From HR luma of width × height samples, multiples of `scale`; it is copied. */
  plate(luma: Uint8Array, width: number, height: number, scale: number, stride?: number): Plate;
  /**
   * From HR chroma planes of width × height samples each, `scale` times those of the LR; they are
   * copied. Code 0 of U: no plate there. `tolerance`, 1 to 2295: as the manifest says.
   */
  chromaPlate(
    u: Uint8Array,
    v: Uint8Array,
    width: number,
    height: number,
    scale: number,
    tolerance: number,
    stride?: number,
  ): ChromaPlate;
  /** From luma of width × height samples, 1 to 16384 a side; it is copied. */
  canvas(luma: Uint8Array, width: number, height: number): Canvas;
  /** Room for an LR picture within the runtime. */
  frame(width: number, height: number): Frame;
  /** Upscales one picture; synchronous. */
  upscale(picture: Picture, options: UpscaleOptions): HighPicture;
  /** The caller's thread among them. */
  get threads(): number;
  /** "wasm", "wasm-relaxed", or "wasm-dot" where that also multiplies four bytes at once. */
  get isa(): string;
  get version(): string;
  /** Bytes of the module's memory, all told. */
  get memoryBytes(): number;
  /** Ends the threads and lets go of the memory; plans, plates, frames and views end with it. */
  close(): void;
}
