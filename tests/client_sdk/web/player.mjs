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
  setRemoteDescription = async () => {};
  getStats = async () => new Map();
  close() {}

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
