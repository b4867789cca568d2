/**
 * The little that is said to a server where no module of the core runs: as to any other viewer, it sends
 * the small video, from the beginning to the end.
 *
 * @module
 */

export class Stock {
  #send;
  #ended;
  #paused = false;

  /** @param {{send: (text: string) => void, ended: () => void}} options `ended`: the video is over */
  constructor({ send, ended }) {
    this.#send = send;
    this.#ended = ended;
  }

  /** The channel is open. */
  opened() {
    this.#say({ type: 'hello', version: '1.1', sr: false });
    this.pause(this.#paused);
  }

  /** @param {boolean} on */
  pause(on) {
    this.#paused = on;
    this.#say({ type: on ? 'pause' : 'resume' });
  }

  /** @param {string | ArrayBuffer} data */
  hear(data) {
    try {
      const { type, reason } = JSON.parse(String(data));
      if (type === 'bye' && reason === 'end') this.#ended();
    } catch {
      // pieces of the manifest, which nobody reads here
    }
  }

  #say(message) {
    this.#send(JSON.stringify(message));
  }
}
