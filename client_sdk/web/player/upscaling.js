/**
 * The window's end of the upscaling worker: what is said to it, and what follows of its answers
 * (upscaling-worker.js has the messages).
 *
 * @module
 */

import { moduleWorker } from '../platform.js';
import { surfaceOf } from './screen.js';

/**
 * @typedef {object} Play what follows of its answers
 * @property {(shown: any) => void} shown a frame is on the screen
 * @property {(captured: any) => void} captured planes that were asked for
 * @property {(rung: number, assets: string[]) => void} dropped they were let go of
 * @property {(sha256: string) => void} settled an asset is prepared, or refused
 * @property {(why: string) => void} notice something small went wrong
 * @property {(why: string) => void} fallBack nothing can be upscaled here
 */

export class Upscaling {
  #worker = moduleWorker(new URL('./upscaling-worker.js', import.meta.url));
  #figures;
  #play;

  /** @param {import('./figures.js').Figures} figures @param {Play} play */
  constructor(figures, play) {
    this.#figures = figures;
    this.#play = play;
    this.#worker.onmessage = ({ data }) => this.#answer(data);
    this.#worker.onerror = () => play.fallBack('The upscaling worker did not start');
  }

  /**
   * @param {import('./manifest.js').Manifest} manifest @param {number} rung
   * @param {HTMLVideoElement | HTMLCanvasElement} screen
   * @param {{threads: number, bases: string}} options of the runtime, and the URL of the bases
   */
  start(manifest, rung, screen, options) {
    const surface = surfaceOf(screen);
    this.say({ type: 'start', manifest: { ...manifest }, rung, surface, ...options }, [surface]);
  }

  /** @param {object} message @param {Transferable[]} [transfer] */
  say(message, transfer = []) {
    this.#worker.postMessage(message, transfer);
  }

  end() {
    this.#worker.terminate();
  }

  #answer(message) {
    const { type } = message;
    if (type === 'shown') this.#play.shown(message);
    else if (type === 'captured') this.#play.captured(message);
    else if (type === 'dropped') this.#play.dropped(message.rung, message.assets);
    else if (type === 'skipped' || type === 'passed') this.#figures.inFlight -= 1;
    else if (type === 'ready') this.#figures.engine = `${message.isa} × ${message.threads}`;
    else if (type === 'failed' && message.fatal) this.#play.fallBack(message.message);
    else if (type === 'failed') {
      this.#figures.inFlight -= 1;
      this.#play.notice(message.message);
    } else {
      if (type === 'refused') {
        this.#figures.refused += 1;
        this.#play.notice(message.message);
      }
      this.#play.settled(message.sha256);
    }
  }
}
