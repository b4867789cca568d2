/**
 * What the server says in one play, over all its connections (docs/control.md).
 *
 *     manifest, its pieces ─► begin, or join where the play goes on; unreadable
 *     anchor, sought ─► timed           pieces of assets ─► asset
 *     switch ─► switched                bye ─► ended, lost or fail
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { readMessage, readPiece } from './channel.js';
import { Assembler } from './fetcher.js';
import { Manifest } from './manifest.js';
import { whyUntrusted } from './signing.js';

/**
 * @typedef {object} Play what follows from what is said
 * @property {(manifest: Manifest, rung: number, live: number | null, untrusted: string | null) => void}
 *   begin the manifest is here; `untrusted`: why nothing that it names may be used
 * @property {(why: string) => void} unreadable the manifest is none that is understood here
 * @property {(rung: number, live: number | null) => void} join another connection has the same video
 * @property {(time: {type: string, time: number, rung: number, frame: number}) => void} timed
 *   which frame has that RTP time
 * @property {(rung: number, frame: number) => void} switched another rung from that frame on
 * @property {(why: string) => void} refused what was asked for last is not done
 * @property {(piece: ReturnType<typeof readPiece>) => Promise<void>} asset a piece of one came
 * @property {() => void} ended the video is over
 * @property {(why: string) => void} lost the server goes, and may come again
 * @property {(why: string) => void} fail the play cannot go on
 */

export class Conversation {
  /** While a place is sought: anchors that come before `sought` are of before. */
  seeking = false;
  /** Public keys, one of which must have signed the manifest; none: nobody asks. @type {Uint8Array[]} */
  trust = [];
  /** Why the manifest that is announced may not be used. @type {Promise<string | null>} */
  #untrusted = Promise.resolve(null);
  #play;
  #head = null;
  #announced = false; // on this connection
  #assembler = new Assembler();
  /** @type {Manifest | null} */
  #manifest = null;

  /** @param {Play} play */
  constructor(play) {
    this.#play = play;
  }

  /** The minor version of the protocol that the server speaks, once the manifest is announced. */
  get minor() {
    return Number(this.#head.version.split('.')[1]);
  }

  /** It goes on over another connection. */
  connected() {
    this.#announced = false;
  }

  /** Obeys a message, or takes a piece. Throws a CrispcastError where it is none. */
  async hear(data) {
    if (typeof data === 'string') this.#obey(readMessage(data));
    else await this.#take(readPiece(data));
  }

  #obey(message) {
    if (message.type === 'manifest') {
      this.#met(message);
    } else if (message.type === 'anchor' || message.type === 'sought') {
      if (message.type === 'sought') this.seeking = false;
      if (this.seeking) return; // those that were under way count for nothing
      const { type, rtp_time: time, rung, frame } = message;
      this.#play.timed({ type, time, rung, frame });
    } else if (message.type === 'switch') {
      this.#play.switched(message.rung, message.frame);
    } else if (message.type === 'refused') {
      this.seeking = false;
      this.#play.refused(message.message || `The server refuses: ${message.what}.`);
    } else if (message.reason === 'end') {
      this.#play.ended();
    } else if (message.reason === 'shutdown') {
      this.#play.lost(message.message || 'The server stops.');
    } else {
      this.#play.fail(message.message || 'The server ended the play.');
    }
  }

  async #take(piece) {
    if (piece.sha256 === this.#head?.sha256) {
      const untrusted = this.#untrusted;
      const bytes = this.#manifest ? null : await this.#assembler.add(piece);
      if (bytes) this.#begin(bytes, await untrusted);
      return;
    }
    await this.#play.asset(piece);
  }

  /** The manifest is announced, once a connection: of the first one, or the same of another. */
  #met(head) {
    if (this.#announced) throw new CrispcastError('the manifest was announced already');
    this.#announced = true;
    if (!this.#manifest) {
      this.#head = head;
      this.#assembler.expect(head.sha256, head.bytes);
      this.#untrusted = whyUntrusted(this.trust, head.sha256, head.signature);
    } else if (head.sha256 === this.#head.sha256) {
      this.seeking = false; // what was asked for on the connection before is not answered
      this.#head = head;
      this.#play.join(this.#rungOf(this.#manifest), head.live ?? null);
    } else {
      this.#play.fail('Another video is played there by now.');
    }
  }

  #begin(bytes, untrusted) {
    let manifest, rung;
    try {
      manifest = Manifest.parse(bytes);
      rung = this.#rungOf(manifest);
    } catch (error) {
      if (!(error instanceof CrispcastError)) throw error;
      return this.#play.unreadable(error.message);
    }
    this.#manifest = manifest;
    return this.#play.begin(manifest, rung, this.#head.live ?? null, untrusted);
  }

  #rungOf(manifest) {
    const { rung } = this.#head;
    if (!manifest.rungs[rung]) throw new CrispcastError('the manifest lacks the rung');
    return rung;
  }
}
