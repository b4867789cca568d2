/**
 * One play of a stream, in a browser or in Node: the SDK core (client_sdk/core), which decides what is
 * asked for, what is shown and with which plans. It does no I/O of its own: it takes what comes, and
 * says by tasks what is to be done.
 *
 *     const session = await Session.load(undefined, { threads: 2 });
 *     session.connected();                                     // the data channel is open
 *     session.message(text); session.piece(bytes);             // what comes on it
 *     for (let task; (task = session.nextTask(now)); ) ...     // after any call, and now and then
 *     const { picture } = session.upscale(lr, { time });       // a decoded frame
 *     session.close();
 *
 * `session.d.ts` has the types, crispcast_session.h (client_sdk/core/include) says of each call what it
 * means. All calls are synchronous but `load`.
 *
 * @module
 */

import { CrispcastError, STATUS } from './core.js';
import { Frame } from './holdings.js';
import { inModule } from './module.js';

/** Bytes of the core's structures, and where their fields lie (client_sdk/core/wasm/layout.cpp). */
const OPTIONS = { size: 56, horizon: 32, memory: 40, trust: 48 };
const TASK = { size: 168, sha256: 8, id: 73, bytes: 108, offset: 120, total: 128, width: 136, frame: 152, count: 160 };
const FRAME = { size: 80, number: 8, rung: 16, in: 28, out: 52, columns: 76 };
const RESULT = 40;
const INFO = { size: 88, rungs: 24, isa: 76, adapts: 80 };
const RUNG = { size: 60, padded: 12 };
const FIGURES = ['frames', 'superResolved', 'lateAssets', 'assetBytes', 'cachedBytes', 'refusedAssets',
  'wrongMessages', 'memoryBytes', 'framesLost']; // prettier-ignore
const DELIVERY = ['auto', 'channel', 'http'];
/** Names of the kinds of tasks (crispcast_task_kind). */
const KINDS = new Map([
  [1, 'send'], [2, 'look'], [3, 'fetch'], [4, 'store'], [5, 'decode'], [6, 'base'], [7, 'verify'],
  [20, 'manifest'], [21, 'ready'], [22, 'late'], [23, 'refused'], [24, 'not_done'], [25, 'ended'],
  [26, 'lost'], [27, 'failed'],
  [28, 'untrusted'], [29, 'joined'],
]); // prettier-ignore
const [INTERPOLATE, PADDED, NUMBERED] = [1, 2, 4]; // crispcast_frame_flags
const WHY = 400;

/** The asset is not what its hash says: a cache that gave it should drop it. */
export const DAMAGED = 109;

export class Session {
  #core;
  #number;
  #workers;
  #padded = { width: 0, height: 0 }; // the largest of the rungs

  /** Use `Session.load`. */
  constructor(core, number, workers, threads) {
    this.#core = core;
    this.#number = number;
    this.#workers = workers;
    /** The caller's thread among them. */
    this.threads = threads;
  }

  /**
   * Fetches the module that this browser runs best, starts its threads, and makes a session in it.
   * See session.d.ts for the options.
   * @returns {Promise<Session>}
   */
  static async load(folder = new URL('./', import.meta.url), options = {}) {
    const { delivery = 'auto', horizon = 0, memoryLimit = 0, trust = null } = options;
    const keys = trust === null ? NOTHING : new TextEncoder().encode(`${trust}\0`);
    const flags = ['cache', 'plain', 'loops', 'offline'].map((name) => (options[name] ? 1 : 0));
    return inModule(folder, options, ({ core, threads, workers }) => {
      const number = core.withRoom(OPTIONS.size + keys.length, (room) => {
        core.bytes(room, OPTIONS.size).fill(0);
        core.bytes(room + OPTIONS.size, keys.length).set(keys);
        const view = core.view(room, OPTIONS.size);
        [threads, 0, DELIVERY.indexOf(delivery), ...flags].forEach((word, at) => view.setInt32(4 * at, word, true));
        view.setFloat64(OPTIONS.horizon, horizon, true);
        view.setBigUint64(OPTIONS.memory, BigInt(memoryLimit), true);
        view.setUint32(OPTIONS.trust, keys.length ? room + OPTIONS.size : 0, true);
        return core.withRoom(4, (slot) => {
          const status = core.session.create(room, slot);
          if (status !== 0) throw new CrispcastError(core.text(core.session.sentence(status)), status);
          return core.words(slot, 1)[0] >>> 0;
        });
      });
      return new Session(core, number, workers, threads);
    });
  }

  // -- what comes

  /**
   * A manifest that did not come over a data channel.
   * @param {Uint8Array} bytes @param {number} [rung] to begin with
   * @param {string | null} [signature] its manifest.sig, or the header Crispcast-Signature; null: not known
   */
  manifest(bytes, rung = 0, signature = null) {
    this.#named(signature ?? '', bytes, (text, at) =>
      this.#call.signed_manifest(this.#number, at, bytes.length, signature === null ? 0 : text, rung),
    );
  }

  /** A data channel is open. */
  connected() {
    this.#check(this.#call.connected(this.#number));
  }

  /** The connection is over. @returns {boolean} whether the last frame was shown, and there is nothing to come */
  disconnected() {
    const call = (at) => this.#call.disconnected(this.#number, at);
    return this.#read(4, call, (view) => view.getInt32(0, true) === 1);
  }

  /** A text message came. @param {string} text */
  message(text) {
    const bytes = new TextEncoder().encode(text);
    this.#give(bytes, (at) => this.#call.message(this.#number, at, bytes.length));
  }

  /** A binary message came. @param {Uint8Array} bytes */
  piece(bytes) {
    this.#give(bytes, (at) => this.#call.frame_bytes(this.#number, at, bytes.length));
  }

  /** Bytes of an asset from `offset` on. @param {string} sha256 @param {number} offset @param {Uint8Array} bytes */
  fetched(sha256, offset, bytes) {
    this.#named(sha256, bytes, (name, at) =>
      this.#call.piece(this.#number, name, BigInt(offset), at, bytes.length),
    );
  }

  /** A whole asset. @param {string} sha256 @param {Uint8Array} bytes */
  asset(sha256, bytes) {
    this.#named(sha256, bytes, (name, at) => this.#call.asset(this.#number, name, at, bytes.length));
  }

  /** Neither cache nor HTTP has it. @param {string} sha256 */
  lacks(sha256) {
    this.#named(sha256, NOTHING, (name) => this.#call.lacks(this.#number, name));
  }

  /**
   * The samples of a picture that was decoded: `write` puts them, without gaps, into the room that it
   * is given. Without it: this browser cannot decode it.
   * @param {string} sha256 @param {number} [width] @param {number} [height]
   * @param {((room: Uint8Array) => void) | null} [write]
   */
  picture(sha256, width = 0, height = 0, write = null) {
    const samples = { length: width * height, write };
    this.#named(sha256, samples, (name, at) =>
      this.#call.picture(this.#number, name, write ? at : 0, width, width, height),
    );
  }

  /** A shipped base; null: there is none. @param {string} id @param {Uint8Array | null} bytes */
  base(id, bytes) {
    this.#named(id, bytes ?? NOTHING, (name, at) =>
      this.#call.base(this.#number, name, bytes ? at : 0, bytes?.length ?? 0),
    );
  }

  /** What came of a task `verify`. @param {number} question its `count` @param {boolean | null} answer null: nobody can tell */
  verified(question, answer) {
    this.#check(this.#call.verified(this.#number, BigInt(question), answer === null ? -1 : Number(answer)));
  }

  /** A coded frame, or its first bytes. @param {number} time RTP @param {boolean} av1 @param {Uint8Array} bytes */
  coded(time, av1, bytes) {
    this.#give(bytes, (at) => this.#call.coded(this.#number, time, av1 ? 1 : 0, at, bytes.length));
  }

  /** User data of a SEI message. @param {number} time RTP @param {Uint8Array} payload */
  identify(time, payload) {
    this.#give(payload, (at) => this.#call.identify(this.#number, time, at, payload.length));
  }

  // -- what is to be done

  /** The next thing to do, or null; see session.d.ts. @param {number} now milliseconds */
  nextTask(now) {
    const core = this.#core;
    const at = core.room('task', TASK.size);
    this.#check(this.#call.next_task(this.#number, BigInt(Math.floor(now)), at));
    const view = core.view(at, TASK.size);
    const int = (place) => view.getInt32(place, true);
    const kind = KINDS.get(int(0));
    if (!kind) return null;
    const text = core.text(int(TASK.bytes + 8));
    return {
      kind,
      status: int(4),
      sha256: core.text(at + TASK.sha256),
      id: core.text(at + TASK.id),
      bytes: core.bytes(int(TASK.bytes) >>> 0, int(TASK.bytes + 4) >>> 0).slice(),
      text,
      offset: Number(view.getBigUint64(TASK.offset, true)),
      total: Number(view.getBigUint64(TASK.total, true)),
      width: int(TASK.width),
      height: int(TASK.width + 4),
      rung: int(TASK.width + 8),
      segment: int(TASK.width + 12),
      frame: Number(view.getBigInt64(TASK.frame, true)),
      count: Number(view.getBigInt64(TASK.count, true)),
    };
  }

  // -- what is wanted

  /** @param {number} frame */
  seek(frame) {
    this.#check(this.#call.seek(this.#number, BigInt(frame)));
  }

  /** @param {boolean} on */
  pause(on) {
    this.#check(this.#call.pause(this.#number, Number(on)));
  }

  /** @param {boolean} on */
  loop(on) {
    this.#check(this.#call.loop(this.#number, Number(on)));
  }

  /** @param {number | null} rung null: whichever the server sees fit */
  chooseRung(rung) {
    this.#check(this.#call.choose_rung(this.#number, rung ?? -1));
  }

  /** @param {{upscaleMs: number, fps: number, interpolating: boolean}} how it goes */
  report({ upscaleMs, fps, interpolating }) {
    this.#check(this.#call.report(this.#number, upscaleMs, fps, Number(interpolating)));
  }

  leave() {
    this.#check(this.#call.leave(this.#number));
  }

  // -- facts

  /** Whether the server can choose rungs by itself. Throws before the manifest is here. */
  get adapts() {
    return this.#info((view) => view.getInt32(INFO.adapts, true) === 1);
  }

  /** The engine's name; throws before the manifest is here. */
  get isa() {
    return this.#info((view) => this.#core.text(view.getUint32(INFO.isa, true)));
  }

  /** @param {number} frame @returns {number} the segment that holds it */
  segmentOf(frame) {
    const call = (at) => this.#call.segment_of(this.#number, BigInt(frame), at);
    return this.#read(4, call, (view) => view.getInt32(0, true));
  }

  /** Whether all that the segment needs is prepared or refused. @param {number} rung @param {number} segment */
  ready(rung, segment) {
    const call = (at) => this.#call.ready(this.#number, rung, segment, at);
    return this.#read(4, call, (view) => view.getInt32(0, true) === 1);
  }

  /** Counts since the beginning. */
  get figures() {
    const call = (at) => this.#call.get_figures(this.#number, at);
    return this.#read(8 * FIGURES.length, call, (view) =>
      Object.fromEntries(FIGURES.map((name, i) => [name, Number(view.getBigUint64(8 * i, true))])),
    );
  }

  /** Bytes of the module's memory, all told. */
  get memoryBytes() {
    return this.#core.memory.buffer.byteLength;
  }

  // -- frames

  /** Room for an LR picture in the core's memory, which is not copied again. */
  frame(width, height) {
    return new Frame(this.#core, width, height);
  }

  /** Whether the pixels of the frame with that RTP time are wanted. @param {number} time */
  wants(time) {
    const call = (at) => this.#call.wants(this.#number, time, at);
    return this.#read(4, call, (view) => view.getInt32(0, true) === 1);
  }

  /**
   * Makes the HR frame; see session.d.ts. The planes that it gives hold until the next call.
   * @param {any} picture LR; its planes may be left out where nobody wants them
   */
  upscale(picture, options = {}) {
    const at = this.#lay(picture, options);
    const out = this.#layOut(at);
    const result = this.#result(this.#call.upscale(this.#number, at, at + FRAME.size), at);
    return { ...result, picture: result.shown ? this.#planesAt(out) : null };
  }

  /** The same without pixels: moves the play on. @param {{width: number, height: number}} size of the LR */
  place(size, options = {}) {
    const at = this.#lay(size, options);
    return this.#result(this.#call.place(this.#number, at, at + FRAME.size), at);
  }

  /** Ends it, its threads, and lets go of the memory; frames and views end with it. */
  close() {
    if (!this.#core.open) return;
    this.#call.destroy(this.#number);
    this.#core.open = false;
    for (const worker of this.#workers) worker.terminate();
  }

  // -- between JavaScript's memory and the core's

  /** The core's functions, by their names without `crispcast_session_`. */
  get #call() {
    if (!this.#core.open) throw new CrispcastError('the session is closed; load another');
    return this.#core.session;
  }

  #check(status) {
    if (status === 0) return;
    const core = this.#core;
    throw core.withRoom(WHY, (room) => {
      this.#call.why(this.#number, room, WHY);
      return new CrispcastError(core.text(room) || core.text(this.#call.sentence(status)), status);
    });
  }

  #give(bytes, call) {
    this.#named('', bytes, (_, at) => call(at));
  }

  /** With a name before the bytes, or before a room that `write` fills. */
  #named(name, content, call) {
    const core = this.#core;
    if (!(content instanceof Uint8Array) && content?.write === undefined)
      throw core.error(STATUS.ARGUMENT, 'bytes are a Uint8Array');
    const room = Math.ceil((name.length + 1) / 16) * 16;
    core.withRoom(room + content.length, (at) => {
      const text = core.bytes(at, name.length + 1);
      for (let i = 0; i < name.length; ++i) text[i] = name.charCodeAt(i) & 127;
      text[name.length] = 0;
      const bytes = core.bytes(at + room, content.length);
      if (content instanceof Uint8Array) bytes.set(content);
      else content.write?.(bytes);
      this.#check(call(at, at + room));
    });
  }

  /** What a call leaves in a structure of so many bytes. */
  #read(size, call, read) {
    return this.#core.withRoom(size, (at) => {
      this.#check(call(at));
      return read(this.#core.view(at, size), at);
    });
  }

  #info(read) {
    return this.#read(INFO.size, (at) => this.#call.get_info(this.#number, at), read);
  }

  /** The size that the engine makes of a rung's frames. */
  #paddedOf(rung) {
    return this.#read(RUNG.size, (at) => this.#call.get_rung(this.#number, rung, at), (view) => ({
      width: view.getInt32(RUNG.padded, true),
      height: view.getInt32(RUNG.padded + 4, true),
    }));
  }

  /** A crispcast_session_frame, and behind it a crispcast_session_result. */
  #lay(picture, { time = null, number = null, rung = 0, networks = true, columns = 0 }) {
    const core = this.#core;
    const { width, height } = picture;
    core.checkSize(width, height);
    const halves = [(width + 1) >> 1, (height + 1) >> 1];
    const planes = picture.y
      ? core.planes([
          ['y', picture.y, width, height, picture.strideY ?? width],
          ['u', picture.u, ...halves, picture.strideU ?? halves[0]],
          ['v', picture.v, ...halves, picture.strideV ?? halves[0]],
        ])
      : [0, 0, 0].map(() => [0, 0]);
    const at = core.room('frame', FRAME.size + RESULT);
    core.bytes(at, FRAME.size).fill(0);
    const view = core.view(at, FRAME.size);
    view.setInt32(0, time ?? 0, true);
    view.setInt32(4, (networks ? 0 : INTERPOLATE) | PADDED | (time === null ? NUMBERED : 0), true);
    view.setBigInt64(FRAME.number, BigInt(number ?? -1), true);
    [rung, width, height].forEach((word, i) => view.setInt32(FRAME.rung + 4 * i, word, true));
    planes.flat().forEach((word, i) => view.setInt32(FRAME.in + 4 * i, word, true));
    view.setInt32(FRAME.columns, columns, true);
    return at;
  }

  /** Room for the HR planes, one behind the other: of the largest rung, for a frame may be of any. */
  #layOut(at) {
    const core = this.#core;
    if (!this.#padded.width) {
      const count = this.#info((view) => view.getInt32(INFO.rungs, true));
      const sizes = Array.from({ length: count }, (_, rung) => this.#paddedOf(rung));
      const most = (side) => Math.max(...sizes.map((size) => size[side]));
      this.#padded = { width: most('width'), height: most('height') };
    }
    const { width, height } = this.#padded;
    const [luma, half] = [width * height, width / 2];
    const out = core.room('out', luma + luma / 2);
    const planes = [out, width, out + luma, half, out + luma + luma / 4, half];
    const view = core.view(at, FRAME.size);
    planes.forEach((word, i) => view.setInt32(FRAME.out + 4 * i, word, true));
    return out;
  }

  #planesAt(out) {
    const { width, height } = this.#padded;
    const [luma, quarter] = [width * height, (width * height) / 4];
    return {
      y: this.#core.bytes(out, luma),
      u: this.#core.bytes(out + luma, quarter),
      v: this.#core.bytes(out + luma + quarter, quarter),
      width,
      height,
      strideY: width,
      strideU: width / 2,
      strideV: width / 2,
    };
  }

  #result(status, at) {
    this.#check(status);
    const view = this.#core.view(at + FRAME.size, RESULT);
    const word = (index) => view.getInt32(8 + 4 * index, true);
    const frame = Number(view.getBigInt64(0, true));
    return {
      frame: frame < 0 ? null : frame,
      rung: word(0),
      segment: word(1) < 0 ? null : word(1),
      shown: word(2) === 1,
      landed: word(3) === 1,
      superResolved: word(4) === 1,
      late: word(5) === 1,
      follows: word(6) === 1,
      missing: word(7),
    };
  }
}

const NOTHING = new Uint8Array(0);
