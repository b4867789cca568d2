// What the player's modules make of what a server sends, or fails to: node delivery.mjs CODE SCENARIO FILE.
//
// A scenario that fails throws. Servers are real ones, on this machine; FILE is a manifest.

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { setTimeout as tick } from 'node:timers/promises';

const [, , code, scenario, file] = process.argv;
const { CrispcastError } = await import(`${code}core.js`);
const { Bases } = await import(`${code}player/bases.js`);
const { Conversation } = await import(`${code}player/conversation.js`);
const { Assembler } = await import(`${code}player/fetcher.js`);
const { FrameClock } = await import(`${code}player/frame-clock.js`);
const { Manifest } = await import(`${code}player/manifest.js`);
const { Routes } = await import(`${code}player/routes.js`);
const { parseTrust } = await import(`${code}player/signing.js`);

const SIZE = 1000; // bytes of each asset
const PATIENCE = 150; // milliseconds
const FOREVER = 1e6;

const sha = (bytes) => createHash('sha256').update(bytes).digest('hex');
const body = (seed) => Buffer.alloc(SIZE, seed);
/** The bytes of each asset, by hash, in order. */
const ASSETS = new Map([...Array(40).keys()].map((seed) => [sha(body(seed)), body(seed)]));
const NAMES = [...ASSETS.keys()];

/** Answers by `answer(reply, bytes, offset)`; `port`, and `broken`: how many answers broke off. */
async function serving(answer) {
  const state = { broken: 0, asked: 0, answer };
  const server = createServer((request, reply) => {
    state.asked += 1;
    reply.on('close', () => (state.broken += reply.writableFinished ? 0 : 1));
    const bytes = ASSETS.get(request.url.split('/').pop());
    const offset = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    state.answer(reply, bytes, offset);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return Object.assign(state, { endpoint: `http://127.0.0.1:${server.address().port}/whep/tiny` });
}

const whole = (reply, bytes, offset) => {
  reply.writeHead(offset ? 206 : 200);
  reply.end(bytes.subarray(offset));
};
const hangs = (reply, bytes) => {
  reply.writeHead(200);
  reply.write(bytes.subarray(0, 10));
};
const trickles = (reply, bytes) => {
  reply.writeHead(200);
  let at = 0;
  const timer = setInterval(() => reply.write(bytes.subarray(at, ++at)), 20);
  reply.on('close', () => clearInterval(timer));
};

/** Routes over an assembler, what they wanted over the channel and what HTTP brought. */
function routes(patience = PATIENCE) {
  const assembler = new Assembler();
  const [wanted, brought] = [new Map(), new Set()];
  const missing = (sha256) =>
    assembler.expects(sha256) ? { sha256, offset: assembler.have(sha256), size: SIZE } : null;
  const made = new Routes({
    preference: 'http',
    patience,
    missing,
    send: ({ assets }) => assets.forEach(({ sha256, offset }) => wanted.set(sha256, offset)),
    take: async (piece) => {
      const { sha256 } = piece;
      if (!assembler.expects(sha256)) return;
      try {
        if (await assembler.add(piece)) brought.add(sha256);
      } catch {
        ask([sha256]);
      }
    },
  });
  const ask = (names) => {
    for (const name of names) assembler.expect(name, SIZE);
    made.ask(names.map(missing));
  };
  return { made, ask, missing, wanted, brought };
}

async function until(condition) {
  while (!condition()) await tick(5);
}

async function stalled(answer) {
  const server = await serving(answer);
  const { made, ask, wanted, brought } = routes();
  made.connected(server.endpoint);
  const names = NAMES.slice(0, 5);
  ask(names);
  await until(() => names.every((name) => wanted.has(name)));
  assert.equal(brought.size, 0);
  assert.ok(Math.max(...wanted.values()) >= 10); // the channel goes on where HTTP stopped
  await until(() => server.broken === server.asked); // nothing is left open
  // Asked for anew, HTTP is tried again in a while.
  server.answer = whole;
  for (const name of NAMES.slice(5)) {
    ask([name]);
    await until(() => wanted.has(name) || brought.has(name));
    if (brought.has(name)) return;
    await tick(PATIENCE / 3);
  }
  assert.fail('HTTP was never tried again');
}

/** Somebody who signs: the key to trust, and a signature of a manifest of this hash. */
function signer() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const message = (sha256) => Buffer.concat([Buffer.from('crispcast manifest 1\0'), Buffer.from(sha256, 'hex')]);
  return {
    key: `ed25519:${raw.toString('hex')}`,
    sign: (sha256) => `ed25519:${sign(null, message(sha256), privateKey).toString('hex')}`,
  };
}

/** Why a manifest that comes with this signature is not trusted; null where it is. */
async function verdict(trust, signature) {
  const { conversation, announce, deliver, said } = heads();
  conversation.trust = parseTrust(trust);
  await announce(signature === undefined ? {} : { signature });
  await deliver();
  assert.equal(said[0][0], 'begin');
  return said[0][4];
}

function heads(data = readFile(file)) {
  const said = [];
  const note = (name) => (...what) => void said.push([name, ...what]);
  const names = ['begin', 'unreadable', 'join', 'timed', 'switched', 'refused', 'ended', 'lost', 'fail'];
  const conversation = new Conversation(Object.fromEntries(names.map((name) => [name, note(name)])));
  const announce = async (more = {}) => {
    const bytes = await data;
    const { id = '0'.repeat(16) } = JSON.parse(bytes.toString());
    const head = { type: 'manifest', version: '1.1', package: id, rung: 0, sha256: sha(bytes), bytes: bytes.length };
    await conversation.hear(JSON.stringify({ ...head, ...more }));
  };
  const deliver = async () => {
    const bytes = await data;
    const frame = Buffer.concat([Buffer.from([1]), Buffer.from(sha(bytes), 'hex'), Buffer.alloc(8)]);
    frame.writeUInt32LE(bytes.length, 37);
    for (let at = 0; at < bytes.length; at += 8192) {
      frame.writeUInt32LE(at, 33);
      const piece = Uint8Array.from(Buffer.concat([frame, bytes.subarray(at, at + 8192)]));
      await conversation.hear(piece.buffer);
    }
  };
  const anchor = () => conversation.hear('{"type":"anchor","rtp_time":5,"rung":0,"frame":0}');
  const last = () => said[said.length - 1]?.[0];
  return { conversation, announce, deliver, anchor, said, last };
}

const scenarios = {
  hanging: () => stalled(hangs),
  trickling: () => stalled(trickles),

  async reconnecting() {
    const [before, after] = [await serving(hangs), await serving(whole)];
    const { made, ask, missing, brought, wanted } = routes(FOREVER);
    made.connected(before.endpoint);
    const names = NAMES.slice(0, 4);
    ask(names);
    await until(() => names.some((name) => missing(name).offset >= 10));
    made.connected(after.endpoint);
    made.ask(names.map(missing));
    await until(() => brought.size === names.length);
    await until(() => before.broken === before.asked);
    assert.equal(wanted.size, 0);
    made.close();
  },

  async damaged() {
    const server = await serving(whole);
    const { made, ask, brought } = routes(FOREVER);
    made.connected(server.endpoint);
    server.answer = (reply, bytes, offset) => whole(reply, server.asked > 1 ? bytes : body(99), offset);
    ask(NAMES.slice(0, 1));
    await until(() => brought.size === 1);
    assert.equal(server.asked, 2);
  },

  async bases() {
    const id = NAMES[1].slice(0, 32);
    const server = await serving(hangs);
    const named = (answer) => (reply) => answer(reply, body(1), 0);
    server.answer = named(hangs);
    const bases = new Bases(new URL('../bases/', server.endpoint).href, PATIENCE);
    assert.equal(await bases.get(id), null);
    await until(() => server.broken === server.asked);
    server.answer = (reply) => reply.end(body(2)); // another one
    assert.equal(await bases.get(id), null);
    server.answer = (reply) => {
      const more = () => {
        while (!reply.destroyed && reply.write(Buffer.alloc(1 << 16)));
      };
      reply.on('drain', more); // without an end
      more();
    };
    assert.equal(await bases.get(id), null);
    server.answer = named(whole);
    assert.deepEqual(Buffer.from(await bases.get(id)), body(1));
  },

  async memory() {
    const before = process.memoryUsage().arrayBuffers;
    const assembler = new Assembler();
    for (let asset = 0; asset < 50; ++asset) {
      const sha256 = asset.toString(16).padStart(64, '0');
      assembler.expect(sha256, 32 << 20);
      await assembler.add({ sha256, offset: 0, total: 32 << 20, bytes: new Uint8Array(100) });
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < 8 << 20);
  },

  async announced_twice() {
    const { conversation, announce, deliver, said, last } = heads();
    await announce();
    await assert.rejects(announce({ sha256: 'f'.repeat(64), bytes: 32 << 20 }), CrispcastError);
    await deliver();
    assert.equal(last(), 'begin'); // the first one holds
    await assert.rejects(announce(), CrispcastError);
    conversation.connected();
    await announce();
    assert.equal(last(), 'join');
    await assert.rejects(announce(), CrispcastError);
    conversation.connected();
    await assert.rejects(announce({ rung: 7 }), CrispcastError);
    assert.equal(said.length, 2);
  },

  async another_version() {
    const data = Buffer.from('{"format":"crispcast","version":"9.0"}');
    const { announce, deliver, anchor, said, last } = heads(data);
    await announce();
    await deliver(); // nothing is thrown: the video is shown as it comes
    assert.equal(last(), 'unreadable');
    assert.match(said[0][1], /version/);
    await anchor();
    assert.equal(last(), 'timed');
    const { announce: again, deliver: bring, last: then } = heads();
    await again({ rung: 7 });
    await bring();
    assert.equal(then(), 'unreadable');
  },

  async seeking_ends_with_its_connection() {
    const { conversation, announce, deliver, anchor, last } = heads();
    await announce();
    await deliver();
    conversation.seeking = true;
    await anchor();
    assert.equal(last(), 'begin'); // it counts for nothing while a place is sought
    conversation.connected();
    await announce();
    await anchor();
    assert.equal(last(), 'timed');
  },

  async signed() {
    const [one, other] = [signer(), signer()];
    const sha256 = sha(await readFile(file));
    assert.equal(await verdict(null), null);
    assert.equal(await verdict(null, other.sign(sha256)), null);
    assert.equal(await verdict(`${other.key}, ${one.key}`, one.sign(sha256)), null);
    assert.match(await verdict(one.key), /is not signed/);
    assert.match(await verdict(one.key, other.sign(sha256)), /none of the trusted keys/);
    assert.match(await verdict(one.key, one.sign(sha('{}'))), /none of the trusted keys/);
    // A key that is no point of the curve is passed over.
    const none = `ed25519:${'f'.repeat(64)}`;
    assert.equal(await verdict(`${none} ${one.key}`, one.sign(sha256)), null);
    for (const wrong of ['', ' , ', one.key.slice(1), one.key.toUpperCase(), `${one.key} x`, `${one.key} `.repeat(9)])
      assert.throws(() => parseTrust(wrong), CrispcastError);
    crypto.subtle.importKey = async () => {
      throw new DOMException('Unrecognized name.', 'NotSupportedError');
    };
    assert.match(await verdict(one.key, one.sign(sha256)), /cannot check/);
  },

  async the_last_word() {
    const manifest = Manifest.parse(await readFile(file));
    const [rate, per] = manifest.fps;
    const time = (frame) => 1000 + Math.round((frame * 90000 * per) / rate);
    const say = (clock, frame, rung, at = time(frame)) => clock.anchor(at, { package: manifest.id, rung, frame });
    const rungs = (clock, frames) => frames.map((frame) => clock.identify(time(frame))?.rung);
    const [first, second] = manifest.segments;
    const landed = first.start + 5;
    let clock = new FrameClock(manifest);
    say(clock, landed, 0); // `sought`, before the IDR that leads there says what it is
    say(clock, first.start, 1);
    assert.deepEqual(rungs(clock, [first.start, landed, landed + 2]), [1, 1, 1]);
    clock = new FrameClock(manifest);
    say(clock, first.start, 0);
    say(clock, landed, 1);
    assert.deepEqual(rungs(clock, [landed, landed + 2]), [1, 1]);
    say(clock, second.start, 0); // from there on another one plays
    assert.deepEqual(rungs(clock, [landed, second.start]), [1, 0]);
    const again = time(landed) + 900000; // the same segment, later: a loop
    say(clock, landed, 0, again);
    assert.deepEqual(rungs(clock, [landed]), [1]);
    assert.equal(clock.identify(again).rung, 0);
  },
};

await scenarios[scenario]();
