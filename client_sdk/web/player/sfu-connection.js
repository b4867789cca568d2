/**
 * A connection whose media comes from an SFU and everything else from an origin, by HTTP.
 *
 *     SFU     ── WHEP, RTP ──────────────► frames, which name themselves (docs/frame-identity.md)
 *     origin  ── GET manifest, assets ───► what a server would say and bring over its data channel
 *
 * To who uses it it looks as a Connection does to a channel of a server: joined where it is, without
 * seeking. Where frames cannot be told from each other a sentence says so.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { identityIn } from './identity.js';
import { answerOffer, connect, leave } from './whep.js';

const VERSION = '1.2'; // of docs/control.md
const PIECE = 16384 - 41; // bytes of an asset in a message
const NAMED = 2500; // milliseconds in which a stream names a frame, as each segment does, and so its rung
const UNNAMED = 10; // times that frames came, and none of them named, before a sentence says so
const START = 500; // milliseconds after which a channel is joined by who has not said `resume`
const NOT_YET = [404, 409]; // what SFUs answer while nobody publishes

export class SfuConnection {
  /** The port that frame numbers come through, or null where the browser hands out no coded frames. */
  identities = null;
  #options;
  /** Its URL; null where there is none. @type {string | null} */
  #session = null;
  #described = null;
  #announced = false;
  #joined = false;
  /** The last frame that named itself. @type {{time: number, rung: number, frame: number} | null} */
  #last = null;
  #told = false;
  #resting = false;
  #unnamed = 0; // times that packets were counted since a frame was named
  #stop = new AbortController();
  #timer = 0;

  /**
   * @param {{media: string, mediaToken?: string, origin: import('./origin.js').Origin, reader: Worker | null,
   *   made: (connection: any) => void, opened: () => void, message: (data: any) => void,
   *   lost: (why: string) => void}} options
   *   `made`: its tracks are others than before; `reader`: reads frame numbers
   */
  constructor(options) {
    this.#options = options;
    this.peer = this.#newPeer();
    this.picture = this.peer.addTransceiver('video', { direction: 'recvonly' }).receiver;
    this.sound = this.peer.addTransceiver('audio', { direction: 'recvonly' }).receiver;
    this.#read();
  }

  /** Gets the manifest, offers and takes the answer. Resolves with the URL beside which the assets are. */
  async open() {
    const { media, mediaToken, origin, opened } = this.#options;
    this.#described = await origin.describe();
    let answered;
    try {
      answered = await connect(this.peer, media, mediaToken);
    } catch (error) {
      const { status, message } = /** @type {any} */ (error);
      if (NOT_YET.includes(status)) throw new CrispcastError(`${message}: is anything published there?`);
      throw error;
    }
    this.#session = answered.session;
    if (answered.offer && !this.#closed) await this.#counter(answered);
    if (this.#closed) {
      this.peer.close(); // it may be another by now
      this.#leave();
      return origin.package;
    }
    this.#timer = setTimeout(() => this.#announce(), NAMED);
    opened();
    return origin.package;
  }

  /** The SFU would rather make the offer (406): a new peer answers it. */
  async #counter({ offer, session }) {
    const { media, mediaToken, made } = this.#options;
    this.peer.close();
    this.peer = this.#newPeer();
    await this.peer.setRemoteDescription({ type: 'offer', sdp: offer });
    for (const { receiver } of this.peer.getTransceivers()) {
      if (receiver.track.kind === 'video') this.picture = receiver;
      else this.sound = receiver;
    }
    this.#read();
    made(this);
    const shown = new URL(session).origin === new URL(media).origin ? mediaToken : undefined;
    await answerOffer(this.peer, session, shown);
  }

  /** Does what a server would. @param {string} said a message of docs/control.md */
  send(said) {
    const { type, assets, rung } = JSON.parse(said);
    if (type === 'want') for (const wanted of assets) this.#bring(wanted);
    else if (type === 'pause') this.#rest();
    else if (type === 'resume') this.#resume();
    else if (type === 'seek') this.#refuse('seek', 'The media comes from an SFU: all see the same moment of it.');
    else if (type === 'rung' && rung !== null)
      this.#refuse('rung', 'The media comes from an SFU, which has one rung.');
  }

  /** Nothing can be held back at an SFU: who pauses hangs up, and joins again. */
  #rest() {
    this.#resting = true;
    this.peer.close();
    this.#leave();
    this.#session = null;
  }

  #resume() {
    if (this.#resting) this.#options.lost('The channel goes on.');
    else this.#join();
  }

  /** Says from which frame on all is to be shown, once. */
  #join() {
    if (this.#joined || !this.#last) return;
    this.#joined = true;
    const { time, rung, frame } = this.#last;
    this.#say({ type: 'sought', rtp_time: time >>> 0, rung, frame });
  }

  /** Packets of video that came, up to now. @returns {Promise<number>} */
  async packets() {
    let packets = 0;
    for (const report of (await this.peer.getStats()).values())
      if (report.type === 'inbound-rtp' && report.kind === 'video') packets += report.packetsReceived;
    this.#unnamed += packets > 0 ? 1 : 0;
    if (this.identities && this.#unnamed > UNNAMED)
      this.#tellOnce('The SFU’s video names no frames (was it encoded anew?): it is interpolated.');
    return packets;
  }

  /** Ends it; safe to call twice. Nothing is heard of it any more. */
  close() {
    if (this.#closed) return;
    this.#stop.abort();
    clearTimeout(this.#timer);
    this.peer.close();
    this.#leave();
  }

  get #closed() {
    return this.#stop.signal.aborted;
  }

  #leave() {
    leave(this.#session ?? '', this.#options.mediaToken, this.#options.media);
  }

  #newPeer() {
    const peer = new RTCPeerConnection();
    peer.onconnectionstatechange = () => {
      const gone = ['failed', 'closed'].includes(peer.connectionState);
      if (gone && peer === this.peer && !this.#closed && !this.#resting)
        this.#options.lost('The connection to the SFU is lost.');
    };
    return peer;
  }

  /** Has the beginnings of coded frames told, to who upscales and to us. */
  #read() {
    const { reader } = this.#options;
    if (!reader) return;
    const [theirs, ours] = [new MessageChannel(), new MessageChannel()];
    const ports = [theirs.port1, ours.port1];
    this.picture.transform = new RTCRtpScriptTransform(reader, { ports }, ports);
    ours.port2.onmessage = ({ data }) => this.#look(data);
    this.identities = theirs.port2;
  }

  #look({ time, av1, bytes }) {
    const named = identityIn(bytes, av1 ? 'av1' : 'h264');
    if (!named) return;
    const { package: id, rung, frame } = named;
    this.#unnamed = 0;
    const { id: ours, rungs } = this.#described?.tree ?? {};
    if (id === ours && rungs?.[rung]) {
      this.#last = { time, rung, frame };
      this.#announce(this.#last);
    } else if (ours && id !== ours) {
      this.#tellOnce(`The SFU plays package ${id}, and the origin has ${ours}: the video is interpolated.`);
    }
  }

  /**
   * Says which manifest it is and brings it, once, as a server answers `hello`. Without a frame it is a
   * stream whose frames nobody knows: all of it is to be shown.
   * @param {{rung: number, frame: number} | null} [at]
   */
  #announce(at = null) {
    if (this.#announced || this.#closed || this.#session === null) return;
    this.#announced = true;
    const { bytes, sha256, tree, signature } = this.#described;
    const place = at ? { rung: at.rung, live: at.frame } : { rung: 0 };
    const head = { type: 'manifest', version: VERSION, package: tree?.id, sha256, bytes: bytes.length };
    this.#say({ ...head, signature, ...place });
    this.#pieces(sha256, 0, bytes.length, bytes);
    if (at) this.#timer = setTimeout(() => this.#join(), START);
  }

  #bring({ sha256, offset }) {
    const take = (at, total, bytes) => this.#pieces(sha256, at, total, bytes);
    this.#options.origin.bring(sha256, offset, take, this.#stop.signal);
  }

  /** Binary messages of an asset's bytes. */
  #pieces(sha256, offset, total, bytes) {
    const digest = Uint8Array.from(sha256.match(/../g), (pair) => parseInt(pair, 16));
    for (let at = 0; at < bytes.length; at += PIECE) {
      const part = bytes.subarray(at, at + PIECE);
      const message = new Uint8Array(41 + part.length);
      const view = new DataView(message.buffer);
      message[0] = 1;
      message.set(digest, 1);
      view.setUint32(33, offset + at, true);
      view.setUint32(37, total, true);
      message.set(part, 41);
      this.#hear(message.buffer);
    }
  }

  #tellOnce(why) {
    if (this.#told) return;
    this.#told = true;
    this.#announce();
    this.#refuse('super_resolution', why);
  }

  #refuse(what, message) {
    this.#say({ type: 'refused', what, message });
  }

  #say(message) {
    this.#hear(JSON.stringify(message));
  }

  #hear(data) {
    if (!this.#closed) this.#options.message(data);
  }
}
