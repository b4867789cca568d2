/**
 * What the core wants done: words to the server, assets from the cache and by HTTP, pictures decoded;
 * and what it only tells (crispcast_session.h has the kinds), which goes to the window.
 *
 * @module
 */

import { DAMAGED } from '../session.js';
import { AssetCache } from './asset-cache.js';
import { Bases } from './bases.js';
import { HttpRoute } from './http-route.js';
import { decodePicture } from './picture.js';

const TRIES = 2; // of a base that comes damaged
/** CRISPCAST_ERROR_MANIFEST, CRISPCAST_ERROR_RUNG: it is none that is understood here. */
const UNREADABLE = [104, 114];

export class Tasks {
  #session;
  #say;
  #obey;
  #described;
  #cache;
  #http;
  #bases = new Bases();
  #httpBytes = 0;
  #looks = [];

  /**
   * @param {any} session of ../session.js
   * @param {{cacheLimit: number, cache?: any, say: (message: object) => void, obey: (call: () => void) => void,
   *   described: (manifest: any) => void}} options `obey` makes a call of the session, and what follows
   *   from it, and tells where it is refused; `described` hears of the manifest
   */
  constructor(session, { cacheLimit, cache = new AssetCache(cacheLimit), say, obey, described }) {
    this.#session = session;
    this.#say = say;
    this.#obey = obey;
    this.#described = described;
    this.#cache = cache;
    this.#http = new HttpRoute({
      take: (sha256, offset, bytes) => {
        this.#httpBytes += bytes.length;
        obey(() => session.fetched(sha256, offset, bytes));
      },
      failed: (sha256) => obey(() => session.lacks(sha256)),
    });
  }

  /** A server has answered. @param {string} endpoint @param {string} [token] that it may see */
  reached(endpoint, token) {
    this.#http.reached(endpoint, token);
    this.#bases.reached(endpoint);
  }

  /** The connection is lost: what is on its way by HTTP belongs to it. */
  disconnected() {
    this.#http.stop();
  }

  /** The core's counts, and how many bytes of assets came by HTTP. */
  get counts() {
    return { ...this.#session.figures, httpBytes: this.#httpBytes };
  }

  /** @param {any} task */
  do(task) {
    const { kind, sha256, bytes, text } = task;
    if (kind === 'send') this.#say({ type: 'send', text: new TextDecoder().decode(bytes) });
    else if (kind === 'look') this.#look(sha256);
    else if (kind === 'fetch') this.#http.get(task);
    else if (kind === 'store') void this.#cache.put(sha256, bytes);
    else if (kind === 'decode') void this.#decode(task);
    else if (kind === 'base') void this.#base(task.id);
    else if (kind === 'manifest') this.#describe(bytes);
    else if (kind === 'joined') this.#join(task);
    else if (kind === 'refused' || kind === 'not_done') this.#say({ type: 'notice', text });
    else if (kind === 'verify') this.#say({ type: 'verify', bytes, question: task.count });
    else if (kind === 'failed' && UNREADABLE.includes(task.status)) this.#say({ type: 'unreadable', text });
    else if (kind !== 'late') this.#say({ type: kind, text }); // ready, untrusted, ended, lost, failed
  }

  /** All that are looked for at once are found or not at once, and then asked for in one message. */
  #look(sha256) {
    if (!this.#looks.length) queueMicrotask(() => this.#lookAll());
    this.#looks.push(sha256);
  }

  async #lookAll() {
    const looks = this.#looks;
    this.#looks = [];
    const found = await Promise.all(looks.map((sha256) => this.#cache.get(sha256)));
    // Each by itself: one that is refused costs itself only.
    looks.forEach((sha256, at) => this.#obey(() => this.#found(sha256, found[at])));
  }

  #found(sha256, bytes) {
    if (!bytes) return this.#session.lacks(sha256);
    try {
      return this.#session.asset(sha256, bytes);
    } catch (error) {
      // A cache is storage, not truth: the core asks elsewhere.
      if (/** @type {any} */ (error).status !== DAMAGED) throw error;
      return void this.#cache.drop(sha256);
    }
  }

  async #decode({ sha256, bytes, width, height }) {
    const picture = await decodePicture(bytes, width, height);
    this.#obey(() => {
      try {
        this.#session.picture(sha256, picture?.width, picture?.height, picture?.write);
      } catch (error) {
        if (picture) this.#session.picture(sha256); // there is no room for its samples
        throw error;
      }
    });
  }

  async #base(id, tries = TRIES) {
    const bytes = await this.#bases.get(id);
    this.#obey(() => {
      try {
        this.#session.base(id, bytes);
      } catch (error) {
        if (/** @type {any} */ (error).status !== DAMAGED) throw error;
        this.#bases.forget(id);
        if (tries > 1) void this.#base(id, tries - 1);
        else this.#session.base(id, null);
      }
    });
  }

  /** The core has checked it: it is JSON, and all of it is what it must be. */
  #describe(bytes) {
    const { id, name, source, segments, rungs } = JSON.parse(new TextDecoder().decode(bytes));
    const { width, height, frames, fps, colour = {} } = source;
    const manifest = {
      id,
      name,
      width,
      height,
      frames,
      fps,
      seconds: (frames * fps[1]) / fps[0],
      colour: { range: colour.range ?? 'limited', matrix: colour.matrix ?? 2 },
      segments: segments.map(({ start, frames }) => ({ start, frames })),
      rungs: rungs.map(({ name, width, height, scale, codec = 'h264' }) => ({ name, width, height, scale, codec })),
    };
    this.#described(manifest);
    const { isa, threads } = this.#session;
    this.#say({ type: 'manifest', manifest, engine: `${isa} × ${threads}` });
  }

  #join({ rung, frame }) {
    this.#say({ type: 'joined', rung, live: frame < 0 ? null : frame, adapts: this.#session.adapts });
  }
}
