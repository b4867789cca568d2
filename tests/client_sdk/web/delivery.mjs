// What the player's modules make of what a server sends, or fails to: node delivery.mjs CODE MODULES
// SCENARIO PACKAGE.
//
// A scenario that fails throws. Servers are real ones, on this machine; PACKAGE is a folder.

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { setTimeout as tick } from 'node:timers/promises';

const [, , code, modules, scenario, folder] = process.argv;
const { CrispcastError } = await import(`${code}core.js`);
const { DAMAGED, Session } = await import(`${code}session.js`);
const { Bases } = await import(`${code}player/bases.js`);
const { HttpRoute } = await import(`${code}player/http-route.js`);
const { verify } = await import(`${code}player/signing.js`);
const { Tasks } = await import(`${code}player/tasks.js`);

const SIZE = 1000; // bytes of each asset
const PATIENCE = 500; // milliseconds
const FOREVER = 1e6;
const MEMORY = 2; // CRISPCAST_ERROR_MEMORY

const sha = (bytes) => createHash('sha256').update(bytes).digest('hex');
const body = (seed) => Buffer.alloc(SIZE, seed);
/** The bytes of each asset, by hash, in order. */
const ASSETS = new Map([...Array(40).keys()].map((seed) => [sha(body(seed)), body(seed)]));
const NAMES = [...ASSETS.keys()];

/** Answers by `answer(reply, bytes, offset, name)`; counts what was asked and what broke off. */
async function serving(answer) {
  const state = { broken: 0, asked: 0, answer };
  const server = createServer((request, reply) => {
    state.asked += 1;
    reply.on('close', () => (state.broken += reply.writableFinished ? 0 : 1));
    const name = request.url.split('/').pop();
    const offset = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    state.answer(reply, ASSETS.get(name), offset, name);
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
  hangs(reply, bytes);
  let at = 10;
  const timer = setInterval(() => reply.write(bytes.subarray(at, ++at)), 20);
  reply.on('close', () => clearInterval(timer));
};

/** A route, how much of each asset it brought, and what it gave up. */
function routes(patience = PATIENCE) {
  const [brought, failed] = [new Map(), new Set()];
  const route = new HttpRoute({
    patience,
    take: (sha256, offset, bytes) => brought.set(sha256, offset + bytes.length),
    failed: (sha256) => failed.add(sha256),
  });
  const get = (sha256) => route.get({ sha256, offset: brought.get(sha256) ?? 0, total: SIZE });
  const whole = (sha256) => brought.get(sha256) === SIZE;
  return { route, get, brought, failed, whole };
}

async function until(condition) {
  while (!condition()) await tick(5);
}

async function stalled(answer) {
  const server = await serving(answer);
  const { route, get, brought, failed, whole: here } = routes();
  route.reached(server.endpoint);
  const names = NAMES.slice(0, 5);
  names.forEach(get);
  await until(() => names.every((name) => failed.has(name)));
  assert.ok(!names.some(here));
  assert.ok(Math.max(...brought.values()) >= 10); // from where the channel goes on
  await until(() => server.broken === server.asked); // nothing is left open
  // Asked for anew, HTTP is tried again in a while.
  server.answer = whole;
  for (const name of NAMES.slice(5)) {
    get(name);
    await until(() => failed.has(name) || here(name));
    if (here(name)) return;
    await tick(PATIENCE / 3);
  }
  assert.fail('HTTP was never tried again');
}

/** A session of the package, with what it says; `tasks` does what it wants, as told. */
async function playing(change = (manifest) => manifest, options = {}) {
  const read = JSON.parse(await readFile(`${folder}/manifest.json`, 'utf8'));
  const manifest = Buffer.from(JSON.stringify(change(read)));
  const session = await Session.load(modules, { threads: 1, delivery: 'http', ...options });
  const tasks = (act = () => {}) => {
    const kinds = [];
    for (let task; (task = session.nextTask(0)); act(task)) kinds.push(task.kind);
    return kinds;
  };
  return { session, manifest, tree: read, tasks };
}

function announced(session, manifest, more = {}) {
  const head = { type: 'manifest', version: '1.1', package: '0'.repeat(16), rung: 0 };
  session.message(JSON.stringify({ ...head, sha256: sha(manifest), bytes: manifest.length, ...more }));
}

/** The manifest comes, piece by piece. */
function bring(session, manifest) {
  for (let at = 0; at < manifest.length; at += 8192) {
    const head = Buffer.concat([Buffer.from([1]), Buffer.from(sha(manifest), 'hex'), Buffer.alloc(8)]);
    head.writeUInt32LE(at, 33);
    head.writeUInt32LE(manifest.length, 37);
    session.piece(Uint8Array.from(Buffer.concat([head, manifest.subarray(at, at + 8192)])));
  }
}

const scenarios = {
  hanging: () => stalled(hangs),
  trickling: () => stalled(trickles),

  async reconnecting() {
    const [before, after] = [await serving(hangs), await serving(whole)];
    const { route, get, brought, failed, whole: here } = routes(FOREVER);
    route.reached(before.endpoint);
    const names = NAMES.slice(0, 4);
    names.forEach(get);
    await until(() => brought.size > 0);
    route.reached(after.endpoint);
    names.forEach(get); // as the core asks again
    await until(() => names.every(here));
    await until(() => before.broken === before.asked);
    assert.equal(failed.size, 0);
  },

  async parting() {
    const server = await serving(hangs);
    const { route, get, brought, failed } = routes();
    route.reached(server.endpoint);
    NAMES.slice(0, 4).forEach(get);
    await until(() => brought.size > 0);
    route.stop(); // the connection is lost
    await until(() => server.broken === server.asked);
    await tick(2 * PATIENCE);
    assert.equal(failed.size, 0); // the next one asks for all of them again
  },

  async refused_of_cache() {
    const [given, told] = [[], []];
    const session = {
      asset(name) {
        if (name === NAMES[1]) throw new CrispcastError('a plan of another version', 107);
        given.push(name);
      },
    };
    const obey = (call) => {
      try {
        call();
      } catch (error) {
        told.push(error.message);
      }
    };
    const cache = { get: async (name) => ASSETS.get(name) };
    const tasks = new Tasks(session, { cacheLimit: 1, cache, say: () => {}, obey, described: () => {} });
    for (const sha256 of NAMES.slice(0, 4)) tasks.do({ kind: 'look', sha256 });
    await until(() => given.length === 3);
    assert.deepEqual(given, [NAMES[0], NAMES[2], NAMES[3]]);
    assert.deepEqual(told, ['a plan of another version']);
  },

  async damaged() {
    const { session, manifest, tree, tasks } = await playing();
    const [expert] = tree.rungs[0].segments[0].experts;
    const plan = await readFile(`${folder}/plans/${expert}.plan`);
    let times = 0;
    const server = await serving((reply, _, offset) => {
      times += 1;
      const sent = Buffer.from(plan);
      if (times === 1) sent[0] ^= 1;
      whole(reply, sent, offset);
    });
    const refused = [];
    const route = new HttpRoute({
      take: (sha256, offset, bytes) => {
        try {
          session.fetched(sha256, offset, bytes);
        } catch (error) {
          refused.push(error.status);
        }
        pump();
      },
      failed: (sha256) => session.lacks(sha256),
    });
    const pump = () => tasks((task) => task.kind === 'fetch' && task.sha256 === expert && route.get(task));
    route.reached(server.endpoint);
    session.manifest(manifest);
    pump();
    await until(() => session.figures.assetBytes === 2 * plan.length);
    assert.deepEqual([times, refused], [2, [DAMAGED]]);
    assert.deepEqual(tasks(), []);
    session.close();
  },

  async bases() {
    const id = NAMES[1].slice(0, 32);
    const server = await serving((reply) => hangs(reply, body(1)));
    const bases = new Bases(PATIENCE);
    bases.reached(server.endpoint);
    assert.equal(await bases.get(id), null);
    await until(() => server.broken === server.asked);
    server.answer = (reply) => {
      const more = () => {
        while (!reply.destroyed && reply.write(Buffer.alloc(1 << 16)));
      };
      reply.on('drain', more); // without an end
      more();
    };
    const endless = await bases.get(id);
    assert.ok(endless === null || endless.length === 4 << 20); // a busy machine is slow; no more is read
    bases.forget(id);
    server.answer = (reply) => whole(reply, body(1), 0);
    assert.deepEqual(Buffer.from(await bases.get(id)), body(1));
  },

  async wrong_bases() {
    const given = [];
    const session = {
      base: (_, bytes) => {
        given.push(bytes && bytes.length);
        if (bytes) throw new CrispcastError('another', DAMAGED);
      },
    };
    const server = await serving((reply) => whole(reply, body(2), 0));
    const tasks = new Tasks(session, { cacheLimit: 0, say: () => {}, obey: (call) => call(), described: () => {} });
    tasks.reached(server.endpoint);
    tasks.do({ kind: 'base', id: NAMES[1].slice(0, 32) });
    await until(() => given.at(-1) === null);
    assert.deepEqual(given, [SIZE, SIZE, null]);
  },

  async pictures() {
    const answers = [];
    let room = true; // in the core's memory
    const session = {
      picture(sha256, width, height, write) {
        if (write && !room) throw new CrispcastError('no memory', MEMORY);
        answers.push([sha256, Boolean(write)]);
      },
    };
    const told = [];
    const obey = (call) => {
      try {
        call();
      } catch (error) {
        told.push(error.message);
      }
    };
    const tasks = new Tasks(session, { cacheLimit: 0, say: () => {}, obey, described: () => {} });
    let fails = '';
    const step = (name, result) => () => {
      if (name === fails) throw new RangeError('no memory');
      return result;
    };
    globalThis.createImageBitmap = async () => ({ width: 2, height: 2, close() {} });
    globalThis.OffscreenCanvas = class {
      constructor() {
        step('canvas')();
      }

      getContext = step('context', {
        drawImage: step('drawing'),
        getImageData: step('samples', { data: new Uint8ClampedArray(16) }),
      });
    };
    const decoded = async (sha256) => {
      tasks.do({ kind: 'decode', sha256, bytes: body(1), width: 2, height: 2 });
      await until(() => answers.at(-1)?.[0] === sha256);
      return answers.at(-1)[1];
    };
    assert.equal(await decoded('whole'), true);
    for (fails of ['canvas', 'context', 'drawing', 'samples']) assert.equal(await decoded(fails), false);
    [fails, room] = ['', false];
    assert.equal(await decoded('no room'), false);
    assert.deepEqual(told, ['no memory']);
  },

  async memory() {
    const large = (manifest) => {
      for (const asset of Object.values(manifest.assets)) if (asset.kind === 'plate') asset.bytes = 32 << 20;
      return manifest;
    };
    const { session, manifest, tree, tasks } = await playing(large);
    session.manifest(manifest);
    tasks();
    const before = session.memoryBytes;
    const plates = Object.keys(tree.assets).filter((sha256) => tree.assets[sha256].kind === 'plate');
    assert.ok(plates.length > 0);
    for (const sha256 of plates) session.fetched(sha256, 0, new Uint8Array(100));
    assert.ok(session.memoryBytes - before < 8 << 20);
    session.close();
  },

  async announced_twice() {
    const { session, manifest, tree, tasks } = await playing((given) => given, { delivery: 'channel' });
    const announce = (more) => announced(session, manifest, { package: tree.id, ...more });
    session.connected();
    announce();
    assert.throws(() => announce({ sha256: 'f'.repeat(64), bytes: 32 << 20 }), CrispcastError);
    bring(session, manifest);
    assert.ok(tasks().includes('joined')); // the first one holds
    assert.throws(() => announce(), CrispcastError);
    session.connected();
    announce();
    assert.ok(tasks().includes('joined'));
    assert.throws(() => announce(), CrispcastError);
    assert.equal(session.figures.wrongMessages, 3);
    session.close();
  },

  async another_version() {
    const { session, tree, manifest } = await playing();
    for (const [given, more, why] of [
      [Buffer.from('{"format":"crispcast","version":"9.0"}'), {}, /version/],
      [manifest, { package: tree.id, rung: 7 }, /rung 7/],
    ]) {
      const other = given === manifest ? session : (await playing()).session;
      other.connected();
      announced(other, given, more);
      assert.throws(() => bring(other, given), CrispcastError);
      const said = new Map();
      const tasks = new Tasks(other, {
        cacheLimit: 0,
        say: ({ type, text }) => said.set(type, text),
        obey: (call) => call(),
        described: () => {},
      });
      for (let task; (task = other.nextTask(0)); ) tasks.do(task);
      assert.match(said.get('unreadable'), why); // the small video is shown as it comes
      other.close();
    }
  },

  async signed() {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const key = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    const said = Buffer.from('crispcast');
    const task = (by, signature) => Uint8Array.from(Buffer.concat([by, signature, said]));
    const signature = sign(null, said, privateKey);
    assert.equal(await verify(task(key, signature)), true);
    assert.equal(await verify(task(key, sign(null, Buffer.from('other'), privateKey))), false);
    // A key that is no point of the curve has signed nothing.
    assert.equal(await verify(task(Buffer.alloc(32, 255), signature)), false);
    crypto.subtle.importKey = async () => {
      throw new DOMException('Unrecognized name.', 'NotSupportedError');
    };
    assert.equal(await verify(task(key, signature)), null);
    for (const wrong of ['', ' ', 'ed25519:00', `ed25519:${'F'.repeat(64)}`])
      await assert.rejects(playing(undefined, { trust: wrong }), /64 hexadecimal digits/);
  },
};

await scenarios[scenario]();
process.exit(0); // what a server still holds open is of no interest
