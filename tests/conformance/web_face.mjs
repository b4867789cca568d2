// The browsers' session, played by steps: node web_face.mjs CODE MODULES RECORDINGS OFF CASE...
// With - for RECORDINGS, plays are read from stdin, a line each, and what each shows is told (tampering.py).
//
// Prints a JSON object: for each case the differences, as sentences. Pictures, which Node cannot
// decode, are those of the recording.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';

const [, , code, modules, recordings, off, ...cases] = process.argv;
const { CrispcastError } = await import(`${code}core.js`);
const { verify } = await import(`${code}player/signing.js`);
const { Session } = await import(`${code}session.js`);

const blob = recordings === '-' ? new Uint8Array() : new Uint8Array(await readFile(`${recordings}/fixtures.bin`));

class Face {
  #session;
  #kept = new Map(); // the cache
  #bases = new Map();
  #pictures = new Map(); // by the hash of their AVIF
  #asked = [];
  #manifest = null;
  #now = 0;

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
    this.#now += 40;
    for (let task; (task = this.#session.nextTask(this.#now)); ) await this.#do(task);
    if (this.#asked.length) facts.asked = this.#asked;
    return facts;
  }

  close() {
    this.#session.close();
  }

  // -- steps

  async open({ loops = 0, trust = null }) {
    const options = { threads: 1, delivery: 'channel', cache: true, loops: Boolean(loops), trust };
    this.#session = await Session.load(modules, options);
  }

  picture({ sha256, width, height, bytes }) {
    this.#pictures.set(sha256, { width, height, bytes });
  }

  signature() {
    // Signatures are checked here.
  }

  base({ id, bytes }) {
    this.#bases.set(id, bytes);
  }

  connected() {
    this.#session.connected();
  }

  message({ bytes }) {
    this.#session.message(new TextDecoder().decode(bytes));
  }

  piece({ bytes }) {
    this.#session.piece(bytes);
  }

  identify({ rtp, bytes }) {
    this.#session.identify(rtp, bytes);
  }

  coded({ rtp, av1, bytes }) {
    this.#session.coded(rtp, Boolean(av1), bytes);
  }

  seek({ frame }) {
    this.#session.seek(frame);
  }

  frame({ rtp, width, height, bytes, flags = 0, columns = 0 }) {
    const [luma, half] = [width * height, ((width + 1) >> 1) * ((height + 1) >> 1)];
    const [y, u, v] = [bytes.subarray(0, luma), bytes.subarray(luma, luma + half), bytes.subarray(luma + half)];
    const wanted = this.#session.wants(rtp);
    const picture = wanted ? { y, u, v, width, height } : { width, height };
    const made = this.#session.upscale(picture, { time: rtp, networks: !(flags & 1), columns });
    const facts = { number: made.frame ?? -1, shown: Number(made.shown) };
    if (!made.shown) return facts;
    this.planes = this.#cropped(made.picture);
    return {
      ...facts,
      rung: made.rung,
      landed: Number(made.landed),
      super_resolved: Number(made.superResolved),
      late: Number(made.late),
    };
  }

  // -- tasks

  async #do({ kind, sha256, id, bytes, count }) {
    const act = {
      send: () => {
        const { type, assets } = JSON.parse(new TextDecoder().decode(bytes));
        if (type === 'want') this.#asked.push(...assets.map((asset) => asset.sha256.slice(0, 16)));
      },
      manifest: () => (this.#manifest = JSON.parse(new TextDecoder().decode(bytes))),
      look: () => {
        if (this.#kept.has(sha256)) this.#session.asset(sha256, this.#kept.get(sha256));
        else this.#session.lacks(sha256);
      },
      store: () => this.#kept.set(sha256, bytes),
      decode: () => {
        const { width, height, bytes: samples } = this.#pictures.get(sha256);
        this.#session.picture(sha256, width, height, (room) => room.set(samples));
      },
      base: () => this.#session.base(id, this.#bases.get(id) ?? null),
      verify: async () => this.#session.verified(count, await verify(bytes)),
    };
    try {
      await act[kind]?.();
    } catch (error) {
      if (!(error instanceof CrispcastError)) throw error; // else its patches are interpolated
    }
  }

  /** Y, U and V of the source's size, without gaps. */
  #cropped({ y, u, v, strideY, strideU, strideV }) {
    const { width, height } = this.#manifest.source;
    const plane = (from, stride, w, h) =>
      Array.from({ length: h }, (_, row) => [...from.subarray(row * stride, row * stride + w)]).flat();
    const [half, halfRows] = [(width + 1) >> 1, (height + 1) >> 1];
    return [
      ...plane(y, strideY, width, height),
      ...plane(u, strideU, half, halfRows),
      ...plane(v, strideV, half, halfRows),
    ];
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
      const far = face.planes.reduce((most, sample, at) => Math.max(most, Math.abs(sample - blob[step.out + at])), 0);
      if (far > Number(off)) found.push(`${index + 1} frame: a sample is ${far} codes off`);
    }
  }
  face.close();
  return found;
}

/** A play's shown frame as the start of its SHA-256; empty where none is shown. */
async function shown(steps) {
  const face = new Face();
  let facts = {};
  for (const step of steps) {
    if ('base64' in step) step.bytes = Uint8Array.from(Buffer.from(step.base64, 'base64'));
    if ('text' in step) step.bytes = new TextEncoder().encode(JSON.stringify(step.text));
    facts = await face.play(step);
  }
  face.close();
  return facts.shown ? createHash('sha256').update(Uint8Array.from(face.planes)).digest('hex').slice(0, 24) : '';
}

if (recordings === '-') {
  for await (const line of createInterface({ input: process.stdin }))
    process.stdout.write(`${await shown(JSON.parse(line))}\n`);
} else {
  const all = {};
  for (const name of cases) all[name] = await differences(name);
  process.stdout.write(JSON.stringify(all));
}
