/**
 * What holds a play to its server: one connection after the other, and notice of silence.
 *
 *     connect ─► lost, or silent ─► comeBack: wait, connect, until its manifest is here ─► joined
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { moduleWorker } from '../platform.js';
import { comeBack } from './backoff.js';
import { Connection } from './connection.js';
import { Origin } from './origin.js';
import { SfuConnection } from './sfu-connection.js';

const SILENCE = 4; // times asked without a packet, while it plays: the server is gone
const CONNECTING = 10000; // milliseconds until another connection must have brought its manifest
const RECONNECT = 30; // seconds for which a lost server is looked for

/**
 * @typedef {object} Play whose lifeline it is
 * @property {() => boolean} reads whether frame numbers are wanted
 * @property {() => boolean} over whether no connection is wanted any more
 * @property {(connection: Connection) => void} made a connection is there, and not yet open
 * @property {(endpoint: string, token: string | undefined) => void} answered the server has answered
 * @property {() => void} opened the data channel can be spoken on
 * @property {(data: any) => void} message something came over it
 * @property {(why: string) => void} lost the connection is over
 */

export class Lifeline {
  /** The connection there is now. @type {Connection | SfuConnection | null} */
  connection = null;
  /** Whether a lost server is looked for. */
  looking = false;
  #options;
  /** Where all but the media is, if that comes from an SFU. @type {Origin | null} */
  #origin = null;
  #answered; // by whom, the last time
  #play;
  /** Of frame numbers, for all connections: a server that is lost hands out no file. @type {Worker | null} */
  #reader = null;
  #unread = false; // no reader starts here
  #connecting = false;
  #begun = false; // a manifest was here
  #silent = { packets: 0, reports: 0 };

  /**
   * @param {{url: string, token?: string, tokenOrigins?: string[], reconnect?: number,
   *   media?: string, mediaToken?: string, trust?: string | null}} options
   *   `media`: an SFU's WHEP endpoint; `url` is then a package's
   * @param {Play} play
   */
  constructor(options, play) {
    this.#options = options;
    if (options.media) this.#origin = new Origin(options.url, options.token, Boolean(options.trust));
    this.#answered = options.url;
    this.#play = play;
  }

  /** Says it, where there is a connection. */
  send(text) {
    this.connection?.send(text);
  }

  /** Another connection; resolves once the server has answered. Throws a CrispcastError. */
  async connect(url = this.#options.url) {
    const token = this.#sees(url) ? this.#options.token : undefined;
    const { tokenOrigins } = this.#options;
    const { reads, made, opened, message, lost } = this.#play;
    const reader = reads() ? this.#readerOnce() : null;
    const { media, mediaToken } = this.#options;
    const connection = this.#origin
      ? new SfuConnection({ media, mediaToken, origin: this.#origin, reader, made, opened, message, lost })
      : new Connection({ token, tokenOrigins, reader, opened, message, lost });
    this.close();
    this.connection = connection;
    this.#silent = { packets: 0, reports: 0 };
    this.#play.made(connection);
    this.#connecting = true;
    const endpoint = await connection.open(url).finally(() => (this.#connecting = false));
    if (connection !== this.connection || this.#play.over()) return; // nobody waits for it any more
    // Coded frames that nobody reads never come out.
    if (reader && this.#unread) return this.connect(url);
    // Without what a redirect said of the way there.
    this.#answered = endpoint === url ? url : endpoint.split('?')[0];
    this.#play.answered(endpoint, this.#sees(endpoint) ? this.#options.token : undefined);
  }

  /** Whether the token may be told there. */
  #sees(url) {
    const { origin } = new URL(url);
    const { url: first, tokenOrigins = [] } = this.#options;
    return origin === new URL(first).origin || tokenOrigins.includes(origin);
  }

  /**
   * Looks for the server until it is there again, the play is over, or patience is. Where the play
   * was sent on to another server, that one is asked in turn with the first.
   * @param {string} why @returns {Promise<string | null>} a sentence where it gave up
   */
  comeBack(why) {
    this.looking = true;
    this.close();
    const places = [this.#answered, this.#options.url];
    return comeBack(this.#options.reconnect ?? RECONNECT, why, async () => {
      if (this.#play.over()) return true;
      places.reverse();
      await this.connect(places[0]);
      await this.#joined();
      return true;
    });
  }

  /** This connection's manifest is here. */
  joined() {
    this.#begun = true;
    this.looking = false;
  }

  /**
   * Asked again and again: whether nothing came for so long that the server must be gone.
   * @param {() => boolean} plays whether something should come
   */
  async silent(plays) {
    const { connection } = this;
    const packets = await connection?.packets();
    if (connection !== this.connection || this.#play.over()) return false;
    const still = plays() && packets === this.#silent.packets;
    this.#silent = { packets: packets ?? 0, reports: still ? this.#silent.reports + 1 : 0 };
    return this.#silent.reports >= SILENCE;
  }

  /** Ends the connection; safe to call twice. */
  close() {
    this.connection?.close();
  }

  /** Ends it for good. */
  end() {
    this.close();
    this.#reader?.terminate();
  }

  #readerOnce() {
    if (!this.#reader && !this.#unread && 'RTCRtpScriptTransform' in globalThis) {
      this.#reader = moduleWorker(new URL('./identity-worker.js', import.meta.url));
      this.#reader.onerror = () => this.#doWithout();
    }
    return this.#reader;
  }

  /** Another connection, whose frames are known by `anchor`. */
  #doWithout() {
    this.#reader = null;
    this.#unread = true;
    const why = 'The reader of frame numbers did not start.';
    if (this.#begun) this.#play.lost(why);
    else if (!this.#connecting && !this.#play.over())
      this.connect().catch(({ message }) => this.#play.lost(message ?? why));
  }

  /** Waits until this connection's manifest is there; throws where it does not come. */
  async #joined() {
    const until = performance.now() + CONNECTING;
    while (this.looking && !this.#play.over()) {
      if (performance.now() > until) throw new CrispcastError('The server answers, but nothing comes.');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
