/**
 * The window's end of the play's worker: what is said to it, and what follows of its answers
 * (play-worker.js has the messages).
 *
 * @module
 */

import { moduleWorker } from '../platform.js';
import { surfaceOf } from './screen.js';

export class Play {
  #worker = moduleWorker(new URL('./play-worker.js', import.meta.url));

  /** @param {Record<string, (answer: any) => void>} answers what follows, by the message's type */
  constructor(answers) {
    this.#worker.onmessage = ({ data }) => answers[data.type](data);
    this.#worker.onerror = () => answers.broken({ text: 'The worker of the play did not start' });
  }

  /**
   * @param {{threads: number, delivery: string, cacheLimit: number, plain: boolean, loops: boolean,
   *   trust: string | null}} options
   */
  start(options) {
    this.say({ type: 'start', ...options });
  }

  /** HR pictures are shown there; the manifest is here. @param {HTMLVideoElement | HTMLCanvasElement} screen */
  showOn(screen) {
    const surface = surfaceOf(screen);
    this.say({ type: 'surface', surface }, [surface]);
  }

  /** @param {object} message @param {Transferable[]} [transfer] */
  say(message, transfer = []) {
    this.#worker.postMessage(message, transfer);
  }

  end() {
    this.#worker.terminate();
  }
}
