/**
 * Where HR pictures are shown: as the track of a `<video>` where the browser takes frames of a page
 * (MediaStreamTrackGenerator), else on a canvas. The track is the way of the browser's own videos: it
 * turns I420 into RGB as it composes the page, outside of the thread that upscales.
 *
 * @module
 */

const showsTracks = () => 'MediaStreamTrackGenerator' in globalThis;

/** An element that nobody shows pictures on yet. @returns {HTMLVideoElement | HTMLCanvasElement} */
export function screenElement() {
  if (!showsTracks()) return document.createElement('canvas');
  const video = document.createElement('video');
  video.muted = video.autoplay = video.playsInline = true;
  return video;
}

/** The worker's end of such an element, to be transferred; there is one only. */
export function surfaceOf(element) {
  if (element instanceof HTMLCanvasElement) return element.transferControlToOffscreen();
  const track = new MediaStreamTrackGenerator({ kind: 'video' });
  element.srcObject = new MediaStream([track]);
  return track.writable;
}

/** Nothing will be shown there: a page that waits for its videos need not wait for this one. */
export function leave(element) {
  if (element instanceof HTMLVideoElement) element.srcObject = null;
}

/** Shows HR pictures, cropped to the source's size. */
export class Screen {
  #init;
  #show;
  #copy = null; // for browsers that take no shared memory

  /**
   * @param {OffscreenCanvas | WritableStream} surface
   * @param {{width: number, height: number}} size of the source @param {VideoColorSpaceInit} colorSpace
   */
  constructor(surface, { width, height }, colorSpace) {
    this.#init = { format: 'I420', visibleRect: { x: 0, y: 0, width, height }, colorSpace };
    this.#show = surface instanceof WritableStream ? onTrack(surface) : onCanvas(surface, width, height);
  }

  /**
   * Resolves once the picture is handed over and its planes are free.
   * @param {any} picture planes without gaps, one after the other in one memory @param {number} timestamp µs
   */
  async show({ y, u, v, width, height }, timestamp) {
    const bytes = new Uint8Array(y.buffer, y.byteOffset, y.length + u.length + v.length);
    const init = { ...this.#init, codedWidth: width, codedHeight: height, timestamp };
    await this.#show(this.#frame(bytes, init));
  }

  #frame(bytes, init) {
    if (!this.#copy) {
      try {
        return new VideoFrame(bytes, init);
      } catch (error) {
        const shared = typeof SharedArrayBuffer !== 'undefined' && bytes.buffer instanceof SharedArrayBuffer;
        if (!shared || !(error instanceof TypeError)) throw error;
        this.#copy = new Uint8Array(bytes.length);
      }
    }
    if (this.#copy.length !== bytes.length) this.#copy = new Uint8Array(bytes.length);
    this.#copy.set(bytes);
    return new VideoFrame(this.#copy, init);
  }
}

function onTrack(writable) {
  const writer = writable.getWriter();
  return (frame) => writer.write(frame); // which closes it
}

function onCanvas(canvas, width, height) {
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext('2d', { alpha: false });
  return (frame) => {
    context.drawImage(frame, 0, 0, width, height);
    frame.close();
  };
}
