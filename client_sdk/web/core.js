/**
 * The module's memory and calls, from JavaScript's side: allocation, copies, statuses.
 *
 * @module
 */

export const MAX_SIDE = 16384;

/** Those of crispcast.h that JavaScript gives by itself. */
export const STATUS = { ARGUMENT: 1, SIZE: 5, STRIDE: 6 };

/** Everything that the runtime refuses; `status` is the code of crispcast.h, or 0. */
export class CrispcastError extends Error {
  /** @param {string} message @param {number} [status] */
  constructor(message, status = 0) {
    super(message);
    this.name = 'CrispcastError';
    this.status = status;
  }
}

/** The module's memory and calls, and memory that grows with what upscale needs. */
export class Core {
  open = true;
  #rooms = new Map();

  /** @param {WebAssembly.Exports} call @param {WebAssembly.Memory} memory */
  constructor(call, memory) {
    this.call = /** @type {any} */ (call);
    this.memory = memory;
    const prefix = 'crispcast_session_';
    const named = Object.entries(call).filter(([name]) => name.startsWith(prefix));
    /** Those of crispcast_session.h. */
    this.session = Object.fromEntries(named.map(([name, of]) => [name.slice(prefix.length), /** @type {any} */ (of)]));
  }

  bytes(pointer, size) {
    return new Uint8Array(this.memory.buffer, pointer, size);
  }

  view(pointer, size) {
    return new DataView(this.memory.buffer, pointer, size);
  }

  words(pointer, count) {
    return new Int32Array(this.memory.buffer, pointer, count);
  }

  allocate(size) {
    if (!this.open) throw new CrispcastError('the runtime is closed; load another');
    const pointer = this.call.malloc(size) >>> 0;
    if (!pointer) throw new CrispcastError(`the browser gave no ${size} bytes of memory`);
    return pointer;
  }

  /** Room for `size` bytes that lasts until the name asks for more. */
  room(name, size) {
    const room = this.#rooms.get(name);
    if (room && room.size >= size) return room.pointer;
    if (room) this.call.free(room.pointer);
    this.#rooms.delete(name);
    const pointer = this.allocate(size);
    this.#rooms.set(name, { pointer, size });
    return pointer;
  }

  release(name) {
    const room = this.#rooms.get(name);
    if (room) this.call.free(room.pointer);
    this.#rooms.delete(name);
  }

  withRoom(size, use) {
    const pointer = this.allocate(size);
    try {
      return use(pointer);
    } finally {
      this.call.free(pointer);
    }
  }

  /** What a *_create call leaves behind the pointer it is given. */
  create(make) {
    return this.withRoom(4, (slot) => {
      this.check(make(slot));
      return this.words(slot, 1)[0] >>> 0;
    });
  }

  text(pointer) {
    const bytes = new Uint8Array(this.memory.buffer, pointer >>> 0);
    // A copy: shared memory is not decoded.
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }

  check(status) {
    if (status !== 0) throw this.error(status);
  }

  error(status, detail = '') {
    const sentence = this.text(this.call.crispcast_status_sentence(status));
    return new CrispcastError(detail ? `${detail}: ${sentence}` : sentence, status);
  }

  checkSize(width, height, scale = 2) {
    const side = (x) => Number.isInteger(x) && x >= 1 && x <= MAX_SIDE;
    if (side(width) && side(height) && scale >= 1 && scale <= 4 && Number.isInteger(scale)) return;
    throw this.error(STATUS.SIZE, `${width}×${height} at scale ${scale}`);
  }

  /**
   * Addresses and strides of planes that a call reads: where they lie if that is our memory, else of
   * copies. What lies in the room `out` is copied too, for upscale writes there.
   * @param {[string, Uint8Array, number, number, number][]} planes name, samples, width, height, stride
   * @returns {[number, number][]}
   */
  planes(planes) {
    // Places and rooms first: where memory grows for a room, views of it end.
    const places = planes.map((plane) => this.#place(...plane));
    const rooms = planes.map(([name, , width, height, stride], i) =>
      this.#stays(places[i], (height - 1) * stride + width) ? 0 : this.room(name, width * height),
    );
    return planes.map(([, plane, width, height, stride], i) => {
      if (!rooms[i]) return [places[i], stride];
      const needed = (height - 1) * stride + width;
      const from = places[i] ? this.bytes(places[i], needed) : plane;
      const copy = this.bytes(rooms[i], width * height);
      if (stride === width) copy.set(from.subarray(0, needed));
      else
        for (let y = 0; y < height; ++y)
          copy.set(from.subarray(y * stride, y * stride + width), y * width);
      return [rooms[i], width];
    });
  }

  /** The address of a plane in our memory, 0 where it lies elsewhere; throws where it is none. */
  #place(name, plane, width, height, stride) {
    const what = `plane ${name} of ${width}×${height}`;
    if (!(plane instanceof Uint8Array)) throw this.error(STATUS.ARGUMENT, `${what} is no Uint8Array`);
    if (!Number.isInteger(stride) || stride < width) throw this.error(STATUS.STRIDE, what);
    const needed = (height - 1) * stride + width;
    if (plane.length < needed)
      throw new CrispcastError(`${what} holds ${plane.length} bytes; at stride ${stride} it needs ${needed}`);
    return plane.buffer === this.memory.buffer ? plane.byteOffset : 0;
  }

  #stays(place, size) {
    const out = this.#rooms.get('out');
    return place && !(out && place < out.pointer + out.size && out.pointer < place + size);
  }
}
