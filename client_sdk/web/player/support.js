/**
 * What this browser can do, in sentences for those who watch.
 *
 * @module
 */

import { simd } from '../platform.js';

/** Why the core cannot run here, or null where it can. @returns {string | null} */
export function whyNoCore() {
  return simd() ? null : 'This browser has no WebAssembly SIMD: plain video is shown.';
}

/** Why there can be no super-resolution here, or null where there can. @returns {string | null} */
export function whyPlain() {
  if (!globalThis.crypto?.subtle)
    return 'Pages that do not come by https cannot check what they are sent: plain video is shown.';
  if (!('VideoFrame' in globalThis) || !('OffscreenCanvas' in globalThis))
    return 'This browser gives pages no access to video frames: plain video is shown.';
  return null;
}

/** Why no video can come at all, or null. @returns {string | null} */
export function whyNothing() {
  return 'RTCPeerConnection' in globalThis ? null : 'This browser has no WebRTC: nothing can be played.';
}
