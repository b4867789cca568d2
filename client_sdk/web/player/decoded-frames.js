/**
 * Decoded frames, on their way to the upscaling worker: as a stream of the track where the browser
 * has MediaStreamTrackProcessor, else one by one as the element presents them.
 *
 * @module
 */

const BUFFERED = 4; // decoded frames that may wait; a slow machine skips the others
const IN_FLIGHT = 2; // likewise where frames are taken one by one
const SAME = 5000; // microseconds: pictures of one time lie closer, of two times further apart

/** Whether the track itself is taken, so that no element need play it. */
export const takesTrack = () => 'MediaStreamTrackProcessor' in globalThis;

export class DecodedFrames {
  #video;
  #figures;
  #send;
  #ahead = 0; // of what was told of it, a picture that it was told of; in microseconds
  #last = 0; // the same of the last picture, whether it was or not
  #taking = false;
  #plain = false;
  #stopped = false;

  /**
   * @param {HTMLVideoElement} video @param {import('./figures.js').Figures} figures
   * @param {(message: object, transfer: any[]) => void} send to the worker
   */
  constructor(video, figures, send) {
    this.#video = video;
    this.#figures = figures;
    this.#send = send;
  }

  /** From this track on; the ones before end by themselves. @param {MediaStreamTrack} track */
  from(track) {
    if (takesTrack()) {
      const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: BUFFERED });
      this.#send({ type: 'frames', frames: readable }, [readable]);
    } else if (!this.#taking) {
      this.#taking = true; // the element goes on with another stream
      this.#video.requestVideoFrameCallback(this.#take);
    }
  }

  /** The element shows them itself: tell only which, as far as the browser says it. */
  presented() {
    if (this.#plain || !('requestVideoFrameCallback' in this.#video)) return;
    this.#plain = true; // whatever was taken of them until now
    const told = (_, { rtpTimestamp: time, width, height }) => {
      if (this.#stopped) return;
      this.#video.requestVideoFrameCallback(told);
      if (time !== undefined) this.#send({ type: 'presented', time, width, height }, []);
    };
    this.#video.requestVideoFrameCallback(told);
  }

  stop() {
    this.#stopped = true;
  }

  #take = (_, { rtpTimestamp, mediaTime }) => {
    if (this.#stopped || this.#plain) return;
    this.#video.requestVideoFrameCallback(this.#take);
    if (this.#figures.inFlight >= IN_FLIGHT) return;
    let frame;
    try {
      frame = new VideoFrame(this.#video);
    } catch {
      return; // the element holds no picture just now
    }
    // While the page was busy the element may have gone on: then this is not the picture that was
    // told of, and which it is is not known.
    const ahead = frame.timestamp - mediaTime * 1e6;
    const known = [this.#ahead, this.#last].some((before) => Math.abs(ahead - before) < SAME);
    const time = known ? rtpTimestamp : undefined;
    if (known) this.#ahead = ahead;
    this.#last = ahead;
    this.#figures.inFlight += 1;
    this.#send({ type: 'frame', frame, time }, [frame]);
  };
}
