// The player's element among stand-ins for a page, its worker and WebRTC: node player.mjs CODE SCENARIO
//
// A scenario that fails throws.

import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';

const [, , code, scenario] = process.argv;

class Element extends EventTarget {
  style = { setProperty() {} };
  classList = { toggle() {} };
  dataset = {};
  attributes = new Map();
  baseURI = 'https://a.example/';

  attachShadow = () => new Element();
  querySelector = () => new Element();
  hasAttribute = (name) => this.attributes.has(name);
  getAttribute = (name) => this.attributes.get(name) ?? null;
  setAttribute = (name, value) => this.attributes.set(name, value);
  replaceChildren() {}
  transferControlToOffscreen = () => ({});

  async play() {}
}

class Worker {
  static all = [];
  heard = [];

  constructor() {
    Worker.all.push(this);
  }

  postMessage(message) {
    assert.ok(!this.ended, `${message.type} is said to a worker that is gone`);
    this.heard.push(message);
  }

  terminate() {
    this.ended = true;
  }

  say(message) {
    this.onmessage({ data: message });
  }
}

class Peer extends EventTarget {
  static all = [];
  iceGatheringState = 'complete';

  constructor() {
    super();
    Peer.all.push(this);
  }

  createDataChannel = () => ({ readyState: 'open', send() {} });
  addTransceiver = () => ({ receiver: { track: {} } });
  createOffer = async () => ({});
  getStats = async () => new Map();

  async setRemoteDescription() {
    if (this.closed) throw new Error('the peer is closed');
  }

  close() {
    this.closed = true;
  }

  async setLocalDescription() {
    this.localDescription = { sdp: 'v=0' };
  }

  lose() {
    this.connectionState = 'failed';
    this.onconnectionstatechange();
  }
}

const headers = new Headers({ Location: '/s', 'Content-Type': 'application/sdp' });
Object.assign(globalThis, {
  HTMLElement: Element,
  HTMLCanvasElement: Element,
  HTMLVideoElement: class {},
  HTMLInputElement: class {},
  Option: class {},
  Worker,
  RTCPeerConnection: Peer,
  MediaStream: class {},
  MediaStreamTrackProcessor: class {},
  VideoFrame: class {},
  OffscreenCanvas: class {},
  location: new URL('https://a.example/'),
  document: { createElement: () => new Element() },
  customElements: { define() {} },
  addEventListener() {},
  removeEventListener() {},
  fetch: async (url) => ({ status: 201, ok: true, url, headers, text: async () => 'v=0' }),
});

const { CrispcastPlayer } = await import(`${code}player/crispcast-player.js`);
const { AssetCache } = await import(`${code}player/asset-cache.js`);
const { Frames } = await import(`${code}player/frames.js`);
const { Figures } = await import(`${code}player/figures.js`);

const FRAMES = 100;
const SHOWN = { landing: 0, counts: {}, totalMs: 1, networksMs: 1, resting: false };

async function until(condition) {
  const end = performance.now() + 10000;
  while (!condition()) {
    assert.ok(performance.now() < end, `never: ${condition}`);
    await turn();
  }
}

/** A player whose play has begun, and what it told. */
async function playing() {
  const player = new CrispcastPlayer();
  const told = [];
  for (const name of ['play', 'pause', 'ended', 'error']) player.addEventListener(name, () => told.push(name));
  player.setAttribute('src', 'https://a.example/whep/x');
  await begun(player);
  return { player, told };
}

async function begun(player) {
  void player.play();
  await until(() => Worker.all.at(-1)?.heard.some(({ type }) => type === 'reached'));
  const segments = [{ start: 0, frames: FRAMES }];
  const rungs = [{ name: 'x2', width: 8, height: 8, scale: 2, codec: 'h264' }];
  const manifest = { name: 'x', width: 16, height: 16, seconds: 4, frames: FRAMES, fps: [25, 1], segments, rungs };
  worker().say({ type: 'manifest', manifest, engine: 'x' });
  worker().say({ type: 'joined', rung: 0, live: null, adapts: true });
  worker().say({ type: 'ready' });
  assert.equal(player.state, 'playing');
}

const worker = () => Worker.all.at(-1);
const shown = (frame) => worker().say({ type: 'shown', frame, rung: 0, ...SHOWN });

const scenarios = {
  async lost_at_the_end() {
    const { player, told } = await playing();
    shown(FRAMES - 1);
    Peer.all.at(-1).lose();
    assert.deepEqual([player.state, told], ['ended', ['play', 'ended']]);
    assert.ok(worker().ended);
    player.currentTime = 1; // there is nobody to seek
    assert.equal(player.state, 'ended');
    await begun(player);
    assert.equal(Worker.all.length, 2);
  },

  async again_at_the_end() {
    const { player } = await playing();
    player.addEventListener('ended', () => player.play(), { once: true });
    shown(FRAMES - 1);
    Peer.all.at(-1).lose();
    await begun(player);
    assert.deepEqual(Worker.all.map(({ ended = false }) => ended), [true, false]);
  },

  /** The last frames did not come, but the server said that there are no more. */
  async lost_after_the_end() {
    const { player, told } = await playing();
    shown(FRAMES - 5);
    worker().say({ type: 'ended' });
    Peer.all.at(-1).lose();
    assert.deepEqual([player.state, told], ['ended', ['play', 'ended']]);
  },

  async lost_in_the_middle() {
    const { player } = await playing();
    shown(FRAMES - 1);
    player.currentTime = 1;
    Peer.all.at(-1).lose();
    assert.equal(player.state, 'playing');
    assert.equal(worker().heard.at(-1).type, 'disconnected');
    const peers = Peer.all.length;
    await until(() => Peer.all.length > peers); // it is looked for
  },

  /** The page is left while the server thinks about its answer. */
  async left_early() {
    const answer = globalThis.fetch;
    const asked = [];
    let reply;
    globalThis.fetch = (url, { method }) => {
      asked.push(`${method} ${url}`);
      return new Promise((resolve) => (reply = () => resolve(answer(url))));
    };
    let intervals = 0;
    globalThis.setInterval = () => (intervals += 1);
    globalThis.clearInterval = (timer) => (intervals -= timer ? 1 : 0);
    const player = new CrispcastPlayer();
    player.setAttribute('src', 'https://a.example/whep/x');
    void player.play();
    await until(() => reply);
    player.disconnectedCallback();
    reply();
    await until(() => asked.length === 2);
    assert.deepEqual(asked, ['POST https://a.example/whep/x', 'DELETE https://a.example/s']);
    for (let i = 0; i < 10; ++i) await turn();
    assert.equal(intervals, 0);
    assert.equal(player.state, 'closed');
  },

  /** The server takes the offer and says nothing. */
  async silence() {
    const stop = new AbortController();
    AbortSignal.timeout = () => stop.signal;
    globalThis.fetch = (_, { signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const player = new CrispcastPlayer();
    player.setAttribute('src', 'https://a.example/whep/x');
    const said = [];
    player.addEventListener('error', ({ detail }) => said.push(detail));
    void player.play();
    await until(() => Peer.all.length);
    for (let i = 0; i < 10; ++i) await turn();
    assert.equal(player.state, 'connecting');
    stop.abort();
    await until(() => said.length);
    assert.match(said[0], /does not answer/);
  },

  async no_address() {
    const player = new CrispcastPlayer();
    const said = [];
    player.addEventListener('error', ({ detail }) => said.push(detail));
    player.setAttribute('src', 'https://');
    await player.play();
    assert.deepEqual(said, ["The player's src is no address: https://"]);
  },

  async captures() {
    const { player } = await playing();
    const taken = player.capture(1);
    worker().say({ type: 'captured', frame: 7 });
    assert.deepEqual((await taken).map(({ frame }) => frame), [7]);
    const open = player.capture(1);
    shown(FRAMES - 1);
    Peer.all.at(-1).lose();
    await assert.rejects(open);
    await assert.rejects(player.capture(1)); // of a play that is over
    await begun(player);
    const other = player.capture(1);
    worker().say({ type: 'captured', frame: 8 });
    assert.deepEqual((await other).map(({ frame }) => frame), [8]);
  },

  /** Two that are asked for at once are both answered. */
  async captures_at_once() {
    globalThis.WritableStream = class {};
    globalThis.VideoFrame = class {
      close() {}
    };
    const memory = new Uint8Array(6);
    const plane = () => ({ y: memory.subarray(0, 4), u: memory.subarray(4, 5), v: memory.subarray(5) });
    const session = {
      wants: () => true,
      frame: (width, height) => ({ width, height, strideU: 1, ...plane() }),
      upscale: () => ({ frame: 0, rung: 0, picture: { width: 2, height: 2, ...plane() } }),
    };
    const said = [];
    const say = ({ type }) => said.push(type);
    const frames = new Frames(session, { say, changed: () => {}, counts: () => ({}) });
    frames.describe({ fps: [25, 1], colour: {}, width: 2, height: 2 });
    frames.showOn({ getContext: () => ({ drawImage() {} }) });
    const rows = [0, 4, 5].map((offset) => ({ offset, stride: offset ? 1 : 2 }));
    const frame = {
      visibleRect: { width: 2, height: 2 },
      format: 'I420',
      allocationSize: () => 6,
      copyTo: async () => rows,
      close() {},
    };
    frames.capture(2);
    frames.capture(1);
    for (let i = 0; i < 4; ++i) await frames.one(frame, i);
    const both = ['captured', 'shown'];
    assert.deepEqual(said, [...both, ...both, ...both, 'shown']);
  },

  /** A database that never opens. */
  async no_cache() {
    globalThis.indexedDB = { open: () => ({}) };
    globalThis.setTimeout = (run, _, ...rest) => queueMicrotask(() => run(...rest));
    assert.equal(await new AssetCache(1 << 20).get('0'.repeat(64)), null);
  },

  async burst() {
    let now = 0;
    performance.now = () => now;
    const figures = new Figures();
    for (let frame = 0; frame < 30; ++frame) figures.shown(SHOWN);
    assert.ok(figures.fps <= 30, `${figures.fps}`);
    for (let frame = 0; frame < 100000; ++frame) figures.shown(SHOWN); // of a page that slept
    assert.ok(figures.fps <= 1000, `${figures.fps}`);
    for (; now < 5000; now += 40) figures.shown(SHOWN);
    assert.equal(figures.fps, 25);
  },
};

await scenarios[scenario]();
process.exit(0);
