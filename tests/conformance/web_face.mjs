// The browser player's modules, played by steps: node web_face.mjs CODE MODULES RECORDINGS OFF CASE...
// With - for RECORDINGS, plays are read from stdin, a line each, and what each shows is told (tampering.py).
//
// Prints a JSON object: for each case the differences, as sentences. Pictures, which Node cannot
// decode, are those of the recording; frames go to the modules as the player's worker gives them.

import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';

const [, , code, modules, recordings, off, ...cases] = process.argv;
const { CrispcastError } = await import(`${code}core.js`);
const { Runtime } = await import(`${code}crispcast.js`);
const { sha256Of } = await import(`${code}player/channel.js`);
const { Conversation } = await import(`${code}player/conversation.js`);
const { Fetcher, segmentsAhead } = await import(`${code}player/fetcher.js`);
const { FrameClock } = await import(`${code}player/frame-clock.js`);
const { identityIn } = await import(`${code}player/identity.js`);
const { Landing } = await import(`${code}player/landing.js`);
const { parseTrust } = await import(`${code}player/signing.js`);
const { Upscaler } = await import(`${code}player/upscaler.js`);

const blob = recordings === '-' ? new Uint8Array() : new Uint8Array(await readFile(`${recordings}/fixtures.bin`));
const runtime = await Runtime.load(modules, { threads: 1 });

/** Pictures by the hash of their AVIF, in the place of the browser's decoder. */
const pictures = new Map();
globalThis.createImageBitmap = async (source) => {
  const picture = pictures.get(await sha256Of(new Uint8Array(await source.arrayBuffer())));
  if (!picture) throw new Error('no picture');
  return { ...picture, close() {} };
};
globalThis.OffscreenCanvas = class {
  getContext() {
    return {
      drawImage: (image) => void (this.image = image),
      getImageData: () => ({ data: this.image.samples.flatMap((code) => [code, code, code, 255]) }),
    };
  }
};

const settled = () => new Promise((resolve) => setImmediate(resolve));

class Face {
  #kept = new Map(); // the cache
  #bases = new Map();
  #given = new Set(); // assets that are being prepared
  #upscalers = new Map();
  #fetchers = new Map();
  #manifest = null;
  #clock;
  #landing;
  #rung = 0;
  #segment = '';
  #next = 0;
  #asked = [];
  #loops = false;
  #untrusted = null;
  #conversation = new Conversation(this);

  async play(step) {
    this.#asked = [];
    const facts = {};
    try {
      Object.assign(facts, await this[step.do](step));
      if (['message', 'piece'].includes(step.do)) facts.refused = 0;
    } catch (error) {
      if (!(error instanceof CrispcastError)) throw error;
      facts.refused = 1;
    }
    // What is looked for in the cache, and what was found, is there before the next step.
    do {
      await Promise.all(this.#given);
      for (let turn = 0; turn < 20; ++turn) await settled();
    } while (this.#given.size);
    if (this.#asked.length) facts.asked = this.#asked.map((sha256) => sha256.slice(0, 16));
    return facts;
  }

  /** Lets go of what is held in the runtime's memory. */
  free() {
    for (const upscaler of this.#upscalers.values()) {
      upscaler.forgetBefore(this.#manifest.segments.length);
      upscaler.input.free();
    }
  }

  // -- steps

  open({ loops = 0, trust = null }) {
    this.#loops = Boolean(loops);
    this.#conversation.trust = parseTrust(trust);
  }

  signature() {} // checked by Node's WebCrypto

  picture({ sha256, width, height, bytes }) {
    pictures.set(sha256, { width, height, samples: [...bytes] });
  }

  base({ id, bytes }) {
    this.#bases.set(id, bytes);
  }

  connected() {
    this.#conversation.connected();
  }

  async message({ bytes }) {
    await this.#conversation.hear(new TextDecoder().decode(bytes));
  }

  async piece({ bytes }) {
    await this.#conversation.hear(bytes.slice().buffer);
  }

  identify({ rtp, bytes }) {
    // A SEI of one message, as the coded frame would have it.
    const escaped = [];
    for (const byte of [5, bytes.length, ...bytes, 0x80]) {
      if (byte <= 3 && escaped.at(-1) === 0 && escaped.at(-2) === 0) escaped.push(3);
      escaped.push(byte);
    }
    this.#identify(rtp, Uint8Array.from([0, 0, 0, 1, 6, ...escaped]), 'h264');
  }

  coded({ rtp, av1, bytes }) {
    this.#identify(rtp, bytes, av1 ? 'av1' : 'h264');
  }

  #identify(rtp, unit, codec) {
    const identity = identityIn(unit, codec);
    if (identity) this.#clock?.anchor(rtp, identity);
  }

  seek({ frame }) {
    this.#clock.forget();
    this.#landing.begin(frame);
    this.#next = frame;
    this.#advance(this.#rung, this.#manifest.segmentOf(frame));
  }

  async frame({ rtp, width, height, bytes, flags = 0 }) {
    const known = this.#clock.identify(rtp);
    const rung = known?.rung ?? this.#rung;
    const upscaler = this.#upscaler(rung);
    const facts = { number: known?.frame ?? -1 };
    const fits = width === this.#manifest.rungs[rung].width && height === this.#manifest.rungs[rung].height;
    const { y, u, v } = upscaler.input;
    const fill = () => {
      const [luma, half] = [width * height, ((width + 1) >> 1) * ((height + 1) >> 1)];
      y.set(bytes.subarray(0, luma));
      u.set(bytes.subarray(luma, luma + half));
      v.set(bytes.subarray(luma + half));
    };
    const landing = this.#landing.active;
    if (!this.#landing.shows(rtp, known?.frame ?? null)) {
      if (known && fits) {
        fill();
        upscaler.passOver(known.frame);
      }
      return { ...facts, shown: 0 };
    }
    if (known) this.#next = known.frame + 1;
    if (!fits) throw new CrispcastError('a frame of another size');
    fill();
    if (known) await this.#enter(upscaler, known);
    // Where nobody is trusted the page shows the small video: interpolated, here.
    const number = this.#untrusted ? null : (known?.frame ?? null);
    const made = upscaler.upscale(number, flags & 1 ? width : 0);
    this.planes = this.#cropped(made.picture);
    return {
      ...facts,
      rung,
      shown: 1,
      landed: Number(landing),
      super_resolved: Number(made.superResolved),
      // Where no network is wanted, the player does not ask what is late.
      late: Number(made.late || Boolean(flags & 1)),
    };
  }

  // -- what the conversation tells

  begin(manifest, rung, live, untrusted) {
    this.#manifest = manifest;
    this.#untrusted = untrusted;
    this.#rung = rung;
    this.#clock = new FrameClock(manifest);
    this.#landing = new Landing(manifest);
    this.#advance(rung, 0);
  }

  join() {
    this.#clock.forget();
    this.#landing.reconnected();
    this.#landing.begin(this.#next);
    for (const fetcher of this.#fetchers.values()) fetcher.renew();
    this.#advance(this.#rung, this.#manifest.segmentOf(this.#next));
  }

  timed({ type, time, rung, frame }) {
    if (!this.#manifest) throw new CrispcastError('a message came before the manifest');
    this.#clock.anchor(time, { package: this.#manifest.id, rung, frame });
    if (type === 'sought') this.#landing.sought(time, frame);
  }

  switched(rung, frame) {
    if (!this.#manifest?.rungs[rung] || frame >= this.#manifest.frames)
      throw new CrispcastError('a switch to what is not there');
    this.#advance(rung, this.#manifest.segmentOf(frame));
  }

  refused() {
    if (!this.#manifest) throw new CrispcastError('a message came before the manifest');
    this.#landing.cancel();
  }

  async asset(piece) {
    const takers = [...this.#fetchers].filter(([, fetcher]) => fetcher.expects(piece.sha256));
    if (!takers.length) {
      if ([...this.#fetchers.values()].some((fetcher) => fetcher.knows(piece.sha256))) return;
      throw new CrispcastError('an asset that was not asked for');
    }
    for (const [rung, fetcher] of takers) {
      const bytes = await fetcher.piece(piece);
      if (!bytes) continue;
      await this.#give(rung, piece.sha256, bytes);
      if (!this.#manifest.shared().has(piece.sha256)) continue;
      for (const [other, waits] of this.#fetchers) if (other !== rung) waits.again();
    }
  }

  ended() {}
  lost() {}
  fail() {}

  // -- as the player's session and worker do it

  #advance(rung, segment) {
    if (!this.#untrusted) this.#fetcher(rung).advance(segment);
  }

  #fetcher(rung) {
    if (!this.#fetchers.has(rung)) {
      const cache = {
        get: async (sha256) => this.#kept.get(sha256) ?? null,
        put: async (sha256, bytes) => void this.#kept.set(sha256, bytes),
      };
      const ask = (assets) => this.#asked.push(...assets.map(({ sha256 }) => sha256));
      const found = (sha256, bytes) => this.#give(rung, sha256, bytes);
      // What another rung has or waits for is not asked for again.
      const shared = (sha256) => {
        if (!this.#manifest.shared().has(sha256)) return false;
        const bytes = this.#kept.get(sha256);
        if (bytes) void this.#give(rung, sha256, bytes);
        else if ([...this.#fetchers.values()].some((other) => other.expects(sha256))) return null;
        return Boolean(bytes);
      };
      const fetcher = new Fetcher(this.#manifest, rung, ask, cache, found, shared);
      fetcher.loops = this.#loops;
      this.#fetchers.set(rung, fetcher);
    }
    return this.#fetchers.get(rung);
  }

  #give(rung, sha256, bytes) {
    const given = this.#prepare(rung, sha256, bytes).finally(() => this.#given.delete(given));
    this.#given.add(given);
    return given;
  }

  async #prepare(rung, sha256, bytes) {
    const upscaler = this.#upscaler(rung);
    try {
      const base = upscaler.baseOf(sha256, bytes);
      await upscaler.add(sha256, bytes, base === null ? null : (this.#bases.get(base) ?? null));
    } catch (error) {
      if (!(error instanceof CrispcastError)) throw error; // else its patches are interpolated
    }
  }

  async #enter(upscaler, { frame, rung }) {
    const segment = this.#manifest.segmentOf(frame);
    if (this.#segment === `${rung}/${segment}`) return;
    this.#segment = `${rung}/${segment}`;
    this.#rung = rung;
    const but = this.#loops ? segmentsAhead(this.#manifest, segment, true) : [];
    this.#fetcher(rung).forget(upscaler.forgetBefore(segment, but));
    this.#advance(rung, segment);
  }

  #upscaler(rung) {
    if (!this.#upscalers.has(rung)) {
      this.#upscalers.set(rung, new Upscaler(runtime, this.#manifest, rung));
    }
    return this.#upscalers.get(rung);
  }

  /** Y, U and V of the source's size, without gaps. */
  #cropped({ y, u, v, width }) {
    const { width: columns, height: rows } = this.#manifest;
    const plane = (from, stride, w, h) =>
      Array.from({ length: h }, (_, row) => from.subarray(row * stride, row * stride + w));
    const [half, halfRows] = [(columns + 1) >> 1, (rows + 1) >> 1];
    const stride = (width + 1) >> 1;
    return [
      ...plane(y, width, columns, rows),
      ...plane(u, stride, half, halfRows),
      ...plane(v, stride, half, halfRows),
    ].flatMap((row) => [...row]);
  }
}

const FACTS = ['refused', 'asked', 'number', 'rung', 'shown', 'landed', 'super_resolved', 'late'];

async function differences(name) {
  const found = [];
  const face = new Face();
  const lines = (await readFile(`${recordings}/${name}.jsonl`, 'utf8')).trim().split('\n');
  for (const [index, line] of lines.entries()) {
    const step = JSON.parse(line);
    if ('at' in step) step.bytes = blob.subarray(step.at, step.at + step.size);
    if ('text' in step) step.bytes = new TextEncoder().encode(JSON.stringify(step.text));
    const facts = await face.play(step);
    for (const fact of FACTS) {
      const [wanted, got] = [JSON.stringify(step[fact]), JSON.stringify(facts[fact])];
      if (step.do !== 'picture' && (fact !== 'rung' || step.do === 'frame') && wanted !== got)
        found.push(`${index + 1} ${step.do}: ${fact} is ${got}, not ${wanted}`);
    }
    if (step.do === 'frame' && step.shown && facts.shown) {
      const far = face.planes.reduce((most, code, at) => Math.max(most, Math.abs(code - blob[step.out + at])), 0);
      if (far > Number(off)) found.push(`${index + 1} frame: a sample is ${far} codes off`);
    }
  }
  return found;
}

/** A play's shown frame as the start of its SHA-256; empty where none is shown. */
async function shown(steps) {
  const face = new Face();
  let facts = {};
  for (const step of steps) {
    if (step.base64 !== undefined) step.bytes = Uint8Array.from(Buffer.from(step.base64, 'base64'));
    if ('text' in step) step.bytes = new TextEncoder().encode(JSON.stringify(step.text));
    facts = await face.play(step);
  }
  const picture = facts.shown ? (await sha256Of(Uint8Array.from(face.planes))).slice(0, 24) : '';
  face.free();
  return picture;
}

if (recordings === '-') {
  for await (const line of createInterface({ input: process.stdin }))
    process.stdout.write(`${await shown(JSON.parse(line))}\n`);
} else {
  const all = {};
  for (const name of cases) all[name] = await differences(name);
  process.stdout.write(JSON.stringify(all));
}
runtime.close();
