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
import {
  FIGURES, FRAME, INFO, OPTIONS, RESULT, RUNG, TASK,
  keysOf, layFrame, layOptions, layOut, readFigures, readInfo, readPadded, readResult, readTask,
} from './records.js'; // prettier-ignore

const WHY = 400; // bytes of the longest sentence

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
    const keys = keysOf(options);
    return inModule(folder, options, ({ core, threads, workers }) => {
      const number = core.withRoom(OPTIONS + keys.length, (room) => {
        layOptions(core, room, { ...options, threads, keys });
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
    const at = this.#core.room('task', TASK);
    this.#check(this.#call.next_task(this.#number, BigInt(Math.floor(now)), at));
    return readTask(this.#core, at);
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
    return this.#info().adapts;
  }

  /** The engine's name; throws before the manifest is here. */
  get isa() {
    return this.#core.text(this.#info().isa);
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
    return this.#read(FIGURES, call, readFigures);
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
    const result = this.#result(this.#call.upscale(this.#number, at, at + FRAME), at);
    return { ...result, picture: result.shown ? this.#planesAt(out) : null };
  }

  /** The same without pixels: moves the play on. @param {{width: number, height: number}} size of the LR */
  place(size, options = {}) {
    const at = this.#lay(size, options);
    return this.#result(this.#call.place(this.#number, at, at + FRAME), at);
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

  #info() {
    return this.#read(INFO, (at) => this.#call.get_info(this.#number, at), readInfo);
  }

  /** The size that the engine makes of a rung's frames. */
  #paddedOf(rung) {
    return this.#read(RUNG, (at) => this.#call.get_rung(this.#number, rung, at), readPadded);
  }

  /** A crispcast_session_frame, and behind it a crispcast_session_result. */
  #lay(picture, options) {
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
    const at = core.room('frame', FRAME + RESULT);
    layFrame(core, at, picture, planes, options);
    return at;
  }

  /** Room for the HR planes, one behind the other: of the largest rung, for a frame may be of any. */
  #layOut(at) {
    const core = this.#core;
    if (!this.#padded.width) {
      const sizes = Array.from({ length: this.#info().rungs }, (_, rung) => this.#paddedOf(rung));
      const most = (side) => Math.max(...sizes.map((size) => size[side]));
      this.#padded = { width: most('width'), height: most('height') };
    }
    const { width, height } = this.#padded;
    const [luma, half] = [width * height, width / 2];
    const out = core.room('out', luma + luma / 2);
    layOut(core, at, [out, width, out + luma, half, out + luma + luma / 4, half]);
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
    return readResult(this.#core.view(at + FRAME, RESULT));
  }
}

const NOTHING = new Uint8Array(0);
