/**
 * Hands the beginnings of coded frames to all `ports` before they are decoded (WebRTC Encoded
 * Transform): frame numbers are read there (docs/frame-identity.md). The frames go on untouched.
 *
 * @module
 */

const BEGINNING = 1024; // bytes: what identifies a frame comes before its picture

addEventListener('rtctransform', (event) => {
  const { readable, writable, options } = /** @type {any} */ (event).transformer;
  const read = new TransformStream({
    transform(frame, controller) {
      const { rtpTimestamp, mimeType } = frame.getMetadata();
      const av1 = mimeType?.toLowerCase() === 'video/av1';
      const bytes = new Uint8Array(frame.data.slice(0, BEGINNING));
      for (const port of options.ports) port.postMessage({ time: rtpTimestamp ?? frame.timestamp, av1, bytes });
      controller.enqueue(frame);
    },
  });
  readable.pipeThrough(read).pipeTo(writable).catch(() => {}); // ends with the connection
});
