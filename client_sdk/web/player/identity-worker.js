/**
 * Reads frame numbers out of coded frames before they are decoded (WebRTC Encoded Transform). The
 * frames go on untouched; what they say goes to all `ports`, one of them the upscaling worker's.
 *
 * @module
 */

import { identityIn } from './identity.js';

addEventListener('rtctransform', (event) => {
  const { readable, writable, options } = /** @type {any} */ (event).transformer;
  const read = new TransformStream({
    transform(frame, controller) {
      const { rtpTimestamp, mimeType } = frame.getMetadata();
      const codec = mimeType?.toLowerCase() === 'video/av1' ? 'av1' : 'h264';
      const identity = identityIn(new Uint8Array(frame.data), codec);
      const named = identity && { time: rtpTimestamp ?? frame.timestamp, ...identity };
      if (named) for (const port of options.ports) port.postMessage(named);
      controller.enqueue(frame);
    },
  });
  readable.pipeThrough(read).pipeTo(writable).catch(() => {}); // ends with the connection
});
