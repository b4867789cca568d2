/**
 * The thread in which a play's core lives: it decides, and touches the pixels.
 *
 * In:  start {threads, delivery, cacheLimit, trust, plain, loops}, reached {endpoint, token},
 *      surface {surface}: see screen.js; opened {identities, landing}, message {data}, disconnected, seek {frame, landing},
 *      pause {on, landing}, loop {on}, rung {rung}, report {fps}, split {at}, capture {count},
 *      verified {question, answer}, plain: no frame is upscaled any more;
 *      decoded frames: a stream {frames}, or one by one {frame, time}; or, of plain video, that one was
 *      presented {time, width, height}
 * Out: broken {text}: nothing runs here; send {text}, manifest {manifest, engine},
 *      joined {rung, live, adapts}, ready, ended, lost {text}, failed {text}, unreadable {text},
 *      verify {bytes, question}, untrusted {text}, notice {text},
 *      counts {counts, ahead}, shown {...}, presented {frame, rung}, passed, unshown {text},
 *      captured {...}
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { Session } from '../session.js';
import { Frames } from './frames.js';
import { Tasks } from './tasks.js';

const TICK = 500; // milliseconds between looks for what time alone makes due
const WRONG_KEYS = 120; // CRISPCAST_ERROR_KEYS
const MEMORY = 256 << 20; // bytes of assets: a module has a GiB at most

const say = (message, transfer = []) => postMessage(message, { transfer });

/** One play: what comes from the window goes to the core, what the core wants is done. */
class Play {
  #session;
  #tasks;
  #frames;
  #identities = null;

  /** @param {Session} session @param {{cacheLimit: number}} options */
  constructor(session, { cacheLimit }) {
    const changed = () => this.#pump();
    const frames = new Frames(session, { say, changed, counts: () => this.#tasks.counts });
    const obey = (call) => this.#obey(call);
    const described = (manifest) => frames.describe(manifest);
    this.#session = session;
    this.#frames = frames;
    this.#tasks = new Tasks(session, { cacheLimit, say, obey, described });
    setInterval(() => this.#tick(), TICK);
  }

  reached({ endpoint, token }) {
    this.#tasks.reached(endpoint, token);
  }

  surface({ surface }) {
    this.#frames.showOn(surface);
  }

  opened({ identities, landing }) {
    if (this.#identities) this.#identities.onmessage = null;
    this.#identities = identities;
    if (identities)
      identities.onmessage = ({ data: { time, av1, bytes } }) => this.#session.coded(time, av1, bytes);
    this.#frames.landing = landing;
    this.#obey(() => this.#session.connected());
  }

  message({ data }) {
    this.#obey(() => {
      if (typeof data === 'string') this.#session.message(data);
      else this.#session.piece(new Uint8Array(data));
    });
  }

  disconnected() {
    this.#tasks.disconnected();
    this.#obey(() => this.#session.disconnected());
  }

  seek({ frame, landing }) {
    this.#frames.landing = landing;
    this.#obey(() => this.#session.seek(frame));
  }

  pause({ on, landing }) {
    this.#frames.landing = landing;
    this.#obey(() => this.#session.pause(on));
  }

  loop({ on }) {
    this.#obey(() => this.#session.loop(on));
  }

  rung({ rung }) {
    this.#obey(() => this.#session.chooseRung(rung));
  }

  report({ fps }) {
    const { networksMs, resting } = this.#frames.pace;
    this.#obey(() => this.#session.report({ upscaleMs: networksMs, fps, interpolating: resting }));
  }

  verified({ question, answer }) {
    this.#obey(() => this.#session.verified(question, answer));
  }

  plain() {
    this.#frames.end();
  }

  split({ at }) {
    this.#frames.split(at);
  }

  capture({ count }) {
    this.#frames.capture(count);
  }

  frames({ frames }) {
    return this.#frames.all(frames);
  }

  frame({ frame, time }) {
    return this.#frames.one(frame, time);
  }

  presented({ time, width, height }) {
    this.#obey(() => {
      const { frame, rung, shown } = this.#session.place({ width, height }, { time });
      if (shown && frame !== null) say({ type: 'presented', frame, rung });
    });
  }

  /** Does it, and what follows from it; where it is refused, that costs itself and is told. */
  #obey(call) {
    try {
      call();
    } catch (error) {
      if (!(error instanceof CrispcastError)) throw error;
      say({ type: 'notice', text: error.message });
    }
    this.#pump();
  }

  #pump() {
    for (let task; (task = this.#session.nextTask(performance.now())); ) this.#tasks.do(task);
  }

  #tick() {
    this.#pump();
    say({ type: 'counts', counts: this.#tasks.counts, ahead: this.#frames.ahead });
  }
}

/** @type {Play | null} */
let play = null;

async function start(data) {
  const { threads, delivery, cacheLimit, trust, plain, loops } = data;
  const options = { delivery, trust, plain, loops, cache: cacheLimit > 0, memoryLimit: MEMORY };
  play = new Play(await Session.load(undefined, { threads: plain ? 1 : threads, ...options }), data);
}

let begun = Promise.resolve();
addEventListener('message', ({ data }) => {
  if (data.type === 'start')
    begun = start(data).catch(({ status, message: text }) =>
      say({ type: status === WRONG_KEYS ? 'failed' : 'broken', text }),
    );
  else begun.then(() => void play?.[data.type]?.(data));
});
