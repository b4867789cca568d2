/**
 * One play of a stream: WHEP, the data channel, and what goes to the upscaling worker.
 *
 *     coded frames ─► identity worker ─► frame numbers ─┐
 *     decoded frames ──────────────────────────────────┼─► upscaling worker ─► canvas
 *     data channel ─► manifest, anchors, assets ───────┘
 *
 * Events: `manifest`, `state`, `shown`, `captured`, and `notice`, whose `detail` is a sentence.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { moduleWorker } from '../platform.js';
import { LABEL, VERSION, readMessage, readPiece } from './channel.js';
import { Assembler, Fetcher } from './fetcher.js';
import { Figures } from './figures.js';
import { Manifest } from './manifest.js';
import { whyNothing, whyPlain } from './support.js';
import { connect, leave } from './whep.js';

const REPORT = 1000; // milliseconds between `stats`
const LANDING = 5; // seconds after the place that was sought
const DRAIN = 800; // milliseconds for the last frames once the server said that it is over
const BUFFERED = 4; // decoded frames that may wait; a slow machine skips the others
const IN_FLIGHT = 2; // likewise where frames are taken one by one

/** @typedef {'connecting' | 'playing' | 'paused' | 'ended' | 'failed' | 'closed'} State */

export class Session extends EventTarget {
  /** @type {State} */
  state = 'connecting';
  /** @type {Manifest | null} */
  manifest = null;
  rung = 0;
  figures = new Figures();
  /** The last frame shown. */
  frame = 0;
  /** Why plain video is shown, or null. @type {string | null} */
  plain = whyPlain();
  #options;
  #peer;
  #channel;
  #worker;
  #reader = null; // the worker that reads frame numbers
  #identities = null; // the port that they come through
  #url = '';
  #head = null;
  #assembler = new Assembler();
  /** @type {Map<number, Fetcher>} */
  #fetchers = new Map();
  /** Assets that several rungs need, which are sent once. @type {Map<string, Uint8Array | null>} */
  #shared = new Map();
  #prepared = new Set();
  #resumed = false;
  #sought = -1; // frame of the anchor that is waited for after a seek
  #landing = -1; // frame that a seek goes to, until it is shown
  #segment = -1;
  #timers = [];

  /** @param {{url: string, canvas: HTMLCanvasElement, video: HTMLVideoElement, threads?: number,
   *   token?: string, plain?: boolean}} options */
  constructor(options) {
    super();
    this.#options = options;
    if (options.plain) this.plain = 'Plain video was asked for.';
    this.figures.plain = Boolean(this.plain);
  }

  /** Connects; resolves once the server has answered. Throws a CrispcastError where it cannot. */
  async start() {
    const nothing = whyNothing();
    if (nothing) throw new CrispcastError(nothing);
    const { url, video, token } = this.#options;
    this.#peer = new RTCPeerConnection();
    this.#channel = this.#peer.createDataChannel(LABEL);
    this.#channel.binaryType = 'arraybuffer';
    this.#channel.onopen = () => this.#send({ type: 'hello', version: VERSION, sr: !this.plain });
    this.#channel.onclose = () => this.#watch(true);
    this.#channel.onmessage = ({ data }) => void this.#receive(data);
    this.#peer.onconnectionstatechange = () => this.#watch();
    const picture = this.#peer.addTransceiver('video', { direction: 'recvonly' }).receiver;
    const sound = this.#peer.addTransceiver('audio', { direction: 'recvonly' }).receiver;
    if (!this.plain) this.#startWorkers(picture);
    const tracks = this.#takesTrack ? [sound.track] : [picture.track, sound.track];
    video.srcObject = new MediaStream(tracks);
    this.#startSound();
    this.#url = await connect(this.#peer, url, token);
    if (this.state === 'closed') leave(this.#url, token);
    this.#timers.push(setInterval(() => this.#report(), REPORT));
  }

  pause() {
    this.#send({ type: 'pause' });
    this.#enter('paused');
  }

  /** Goes on; frame numbers are counted anew, because stream time ran on. */
  resume() {
    this.#worker?.postMessage({ type: 'forget' });
    this.#send({ type: 'resume' });
    this.#enter('playing');
  }

  /** From the IDR at or before this frame. @param {number} frame */
  seek(frame) {
    if (!this.manifest) return;
    const segment = this.manifest.segmentOf(Math.min(Math.max(frame, 0), this.manifest.frames - 1));
    this.#sought = this.manifest.segments[segment].start;
    this.#worker?.postMessage({ type: 'forget' });
    this.#fetchers.get(this.rung)?.advance(segment);
    this.#send({ type: 'seek', frame: this.#sought });
    this.frame = this.#landing = this.#sought;
    if (this.state !== 'paused') this.#enter('playing');
  }

  /** Whether the server changes rungs by itself, and can be told to. */
  get adaptive() {
    return this.manifest !== null && Number(this.#head.version.split('.')[1]) >= 1;
  }

  /** Changes to this rung at the next segment; null: as the server sees fit. @param {number | null} rung */
  chooseRung(rung) {
    if (rung === null && !this.adaptive) return;
    if (rung !== null && !this.plain) this.#fetcher(rung).advance(this.manifest.segmentOf(this.frame));
    this.#send({ type: 'rung', rung });
  }

  /** Interpolation left of this part of the width, from 0 to 1. @param {number} at */
  split(at) {
    this.#worker?.postMessage({ type: 'split', at });
  }

  /** Posts the planes of the next frames as `captured`. @param {number} count */
  capture(count) {
    this.#worker?.postMessage({ type: 'capture', count });
  }

  /** Ends it; safe to call twice. @param {State} [state] */
  close(state = 'closed') {
    if (this.#over) return;
    this.#send({ type: 'bye', reason: 'leaving' });
    this.#enter(state);
    for (const timer of this.#timers) clearInterval(timer);
    this.#peer?.close();
    this.#worker?.terminate();
    this.#reader?.terminate();
    if (this.#url) leave(this.#url, this.#options.token);
  }

  /** Seconds of video ahead for which all assets are there. */
  get buffered() {
    return this.#fetchers.get(this.rung)?.ahead(this.frame) ?? 0;
  }

  get #over() {
    return this.state === 'closed' || this.state === 'failed';
  }

  get #takesTrack() {
    return !this.plain && 'MediaStreamTrackProcessor' in globalThis;
  }

  #startWorkers(receiver) {
    this.#worker = moduleWorker(new URL('./upscaling-worker.js', import.meta.url));
    this.#worker.onmessage = ({ data }) => this.#answer(data);
    this.#worker.onerror = () => this.#fallBack('The upscaling worker did not start');
    if (!('RTCRtpScriptTransform' in globalThis)) return; // `anchor` it is
    const { port1, port2 } = new MessageChannel();
    const reader = moduleWorker(new URL('./identity-worker.js', import.meta.url));
    receiver.transform = new RTCRtpScriptTransform(reader, { port: port1 }, [port1]);
    this.#identities = port2;
    this.#reader = reader;
  }

  /** Where sound needs a gesture it is off at first, and the mute button gives it. */
  #startSound() {
    const { video } = this.#options;
    video.play().catch((error) => {
      if (error.name !== 'NotAllowedError') return;
      video.muted = true;
      video.play().catch(() => {});
    });
  }

  #startFrames() {
    const { video } = this.#options;
    if (this.#takesTrack) {
      const [{ track }] = this.#peer.getReceivers();
      const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: BUFFERED });
      this.#worker.postMessage({ type: 'frames', frames: readable }, [readable]);
      return;
    }
    const take = (_, { rtpTimestamp }) => {
      if (this.#over) return;
      video.requestVideoFrameCallback(take);
      if (this.figures.inFlight >= IN_FLIGHT) return;
      let frame;
      try {
        frame = new VideoFrame(video);
      } catch {
        return; // the element holds no picture just now
      }
      this.figures.inFlight += 1;
      this.#worker.postMessage({ type: 'frame', frame, time: rtpTimestamp }, [frame]);
    };
    video.requestVideoFrameCallback(take);
  }

  // -- the data channel -----------------------------------------------------------------------

  #send(message) {
    if (this.#channel?.readyState === 'open') this.#channel.send(JSON.stringify(message));
  }

  async #receive(data) {
    try {
      if (typeof data === 'string') this.#obey(readMessage(data));
      else await this.#take(readPiece(data));
    } catch (error) {
      // A bad message costs itself; frames go on, interpolated where it was needed.
      this.figures.refused += 1;
      this.#tell('notice', /** @type {Error} */ (error).message);
    }
  }

  #obey(message) {
    if (message.type === 'manifest') {
      this.#head = message;
      this.#assembler.expect(message.sha256, message.bytes);
    } else if (message.type === 'anchor') {
      // After a seek, those that were under way count for nothing.
      if (this.#sought >= 0 && message.frame !== this.#sought) return;
      this.#sought = -1;
      const { rtp_time: time, rung, frame } = message;
      this.#worker?.postMessage({ type: 'anchor', time, rung, frame });
      if (this.plain) this.frame = frame;
    } else if (message.type === 'switch') {
      const { rung, frame } = message;
      if (!this.manifest?.rungs[rung] || this.plain) return;
      this.#fetcher(rung).advance(this.manifest.segmentOf(frame));
    } else if (message.reason === 'end') {
      this.#timers.push(setTimeout(() => this.#enter('ended'), DRAIN));
    } else {
      this.#fail(message.message || 'The server ended the play.');
    }
  }

  async #take(piece) {
    if (piece.sha256 === this.#head?.sha256) {
      const bytes = await this.#assembler.add(piece);
      if (bytes) this.#begin(Manifest.parse(bytes));
      return;
    }
    this.figures.planBytes += piece.bytes.length;
    // Rungs may share assets, which are then sent once.
    const takers = [...this.#fetchers].filter(([, fetcher]) => fetcher.expects(piece.sha256));
    if (!takers.length) throw new CrispcastError(`asset ${piece.sha256.slice(0, 16)} was not asked for`);
    for (const [rung, fetcher] of takers) {
      const bytes = await fetcher.piece(piece);
      if (bytes && this.#shared.has(piece.sha256)) this.#shared.set(piece.sha256, bytes);
      if (bytes) this.#worker.postMessage({ type: 'asset', rung, sha256: piece.sha256, bytes });
    }
  }

  #begin(manifest) {
    if (!manifest.rungs[this.#head.rung]) throw new CrispcastError('the manifest lacks the rung');
    this.manifest = manifest;
    this.rung = this.#head.rung;
    this.#shared = new Map([...manifest.shared()].map((sha256) => [sha256, null]));
    this.#tell('manifest');
    if (this.plain) return this.#ready();
    const canvas = this.#options.canvas.transferControlToOffscreen();
    const identities = this.#identities;
    const threads = this.#options.threads ?? 0;
    const bases = new URL('../bases/', this.#options.url).href; // beside /whep/NAME
    const start = { type: 'start', manifest: { ...manifest }, rung: this.rung, canvas, threads, bases, identities };
    this.#worker.postMessage(start, identities ? [canvas, identities] : [canvas]);
    this.#fetcher(this.rung).advance(0);
    this.#startFrames();
    return undefined;
  }

  #fetcher(rung) {
    if (!this.#fetchers.has(rung))
      this.#fetchers.set(
        rung,
        new Fetcher(this.manifest, rung, (want) => this.#send(want), (sha256) => this.#find(rung, sha256)),
      );
    return /** @type {Fetcher} */ (this.#fetchers.get(rung));
  }

  /** An asset that came for another rung; null: it is still to come for that one. */
  #find(rung, sha256) {
    const bytes = this.#shared.get(sha256);
    if (bytes) this.#worker.postMessage({ type: 'asset', rung, sha256, bytes });
    else if ([...this.#fetchers.values()].some((fetcher) => fetcher.expects(sha256))) return null;
    return Boolean(bytes);
  }

  /** Start the media: what the first segment needs is there, or nothing is wanted. */
  #ready() {
    if (this.#resumed) return;
    this.#resumed = true;
    if (this.state === 'connecting') this.#enter('playing');
    if (this.state === 'playing') this.#send({ type: 'resume' });
  }

  // -- the worker -----------------------------------------------------------------------------

  #answer(message) {
    if (message.type === 'shown') this.#shown(message);
    else if (message.type === 'captured') this.#tell('captured', message);
    else if (message.type === 'dropped') this.#fetchers.get(message.rung)?.forget(message.assets);
    else if (message.type === 'skipped') this.figures.inFlight -= 1;
    else if (message.type === 'ready') this.figures.engine = `${message.isa} × ${message.threads}`;
    else if (message.type === 'failed' && message.fatal) this.#fallBack(message.message);
    else if (message.type === 'failed') {
      this.figures.inFlight -= 1;
      this.#tell('notice', message.message);
    } else {
      if (message.type === 'refused') {
        this.figures.refused += 1;
        this.#tell('notice', message.message);
      }
      this.#prepared.add(message.sha256);
      const first = this.manifest.assetsOf(this.rung, 0);
      if (first.every((sha256) => this.#prepared.has(sha256))) this.#ready();
    }
  }

  #shown(shown) {
    this.figures.shown(shown);
    if (shown.frame !== null && this.#landed(shown.frame)) {
      this.frame = shown.frame;
      this.rung = shown.rung;
      const segment = this.manifest.segmentOf(shown.frame);
      if (segment !== this.#segment) {
        this.#segment = segment;
        this.#fetcher(this.rung).advance(segment);
      }
    }
    if (this.state === 'connecting') this.#enter('playing');
    this.#tell('shown', shown);
  }

  /** Whether a frame is none of those that were on their way when a seek was asked for. */
  #landed(frame) {
    const [rate, per] = this.manifest.fps;
    const past = frame - this.#landing;
    if (this.#landing >= 0 && (past < 0 || past * per >= LANDING * rate)) return false;
    this.#landing = -1;
    return true;
  }

  /** The engine does not run here after all: plain video from now on. */
  #fallBack(why) {
    if (this.plain) return;
    this.plain = `${why}: plain video is shown.`;
    this.figures.plain = true;
    this.#worker.terminate();
    const tracks = this.#peer.getReceivers().map(({ track }) => track);
    this.#options.video.srcObject = new MediaStream(tracks);
    this.#startSound();
    this.#tell('state');
    this.#ready();
  }

  // -- life -----------------------------------------------------------------------------------

  #watch(gone = false) {
    if (!gone && !['failed', 'closed'].includes(this.#peer.connectionState)) return;
    if (this.state === 'ended') this.close();
    else this.#fail('The connection to the server is lost.');
  }

  #report() {
    if (this.manifest) this.#send({ type: 'stats', ...this.figures.stats(this.adaptive) });
  }

  #fail(why) {
    if (this.#over) return;
    this.#tell('notice', why);
    this.close('failed');
  }

  /** @param {State} state */
  #enter(state) {
    if (this.#over || this.state === state) return;
    this.state = state;
    this.#tell('state');
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
