/**
 * One connection to a server: WHEP, the data channel, tracks, and the reader of frame numbers. It
 * never comes back by itself: the session makes another one.
 *
 * @module
 */

import { connect, leave } from './whep.js';

const LABEL = 'crispcast';

export class Connection {
  /** The port that frame numbers come through, or null where the browser hands out no coded frames. */
  identities = null;
  #token;
  #tokenOrigins;
  #session = '';
  #closed = false;

  /**
   * @param {{token?: string, tokenOrigins?: string[], reader: Worker | null, opened: () => void,
   *   message: (data: any) => void, lost: (why: string) => void}} options `reader`: reads frame numbers
   */
  constructor({ token, tokenOrigins, reader, opened, message, lost }) {
    this.#token = token;
    this.#tokenOrigins = tokenOrigins;
    this.peer = new RTCPeerConnection();
    this.channel = this.peer.createDataChannel(LABEL);
    this.channel.binaryType = 'arraybuffer';
    this.channel.onopen = opened;
    this.channel.onmessage = ({ data }) => !this.#closed && message(data);
    this.channel.onclose = () => !this.#closed && lost('The connection to the server was closed.');
    this.peer.onconnectionstatechange = () => {
      const gone = ['failed', 'closed'].includes(this.peer.connectionState);
      if (gone && !this.#closed) lost('The connection to the server is lost.');
    };
    this.picture = this.peer.addTransceiver('video', { direction: 'recvonly' }).receiver;
    this.sound = this.peer.addTransceiver('audio', { direction: 'recvonly' }).receiver;
    if (reader) this.#readBy(reader); // else `anchor` it is
  }

  /** Offers and takes the answer. @param {string} url of the WHEP endpoint */
  async open(url) {
    const { session, endpoint } = await connect(this.peer, url, this.#token, this.#tokenOrigins);
    this.#session = session;
    if (this.#closed) leave(session);
    return endpoint;
  }

  /** @param {string} text */
  send(text) {
    if (this.channel.readyState === 'open') this.channel.send(text);
  }

  /** Packets of video that came, up to now. @returns {Promise<number>} */
  async packets() {
    let packets = 0;
    for (const report of (await this.peer.getStats()).values())
      if (report.type === 'inbound-rtp' && report.kind === 'video') packets += report.packetsReceived;
    return packets;
  }

  /** Ends it; safe to call twice. Nothing is heard of it any more. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.peer.close();
    leave(this.#session);
  }

  #readBy(reader) {
    const { port1, port2 } = new MessageChannel();
    this.picture.transform = new RTCRtpScriptTransform(reader, { ports: [port1] }, [port1]);
    this.identities = port2;
  }
}
