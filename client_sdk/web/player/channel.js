/**
 * The data channel (docs/control.md): messages of the server, checked; pieces of assets, read.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { MAX_MANIFEST_BYTES } from './manifest.js';

export const LABEL = 'crispcast';
export const VERSION = '1.1';
export const MAX_WANTED = 128;
const MAX_BYTES = 16384;
const HEADER_BYTES = 41;

const whole = (value, high, low = 0) => Number.isInteger(value) && value >= low && value <= high;
/** What each message must hold to be believed. */
const RULES = {
  manifest: ({ version, package: id, rung, sha256, bytes, live = 0 }) =>
    /^1\.\d+$/.test(version) && /^[0-9a-f]{16}$/.test(id) && whole(rung, 15) &&
    /^[0-9a-f]{64}$/.test(sha256) && whole(bytes, MAX_MANIFEST_BYTES, 1) && whole(live, 0xffffffff),
  anchor: ({ rtp_time: time, rung, frame }) =>
    whole(time, 0xffffffff) && whole(rung, 15) && whole(frame, 0xffffffff),
  switch: ({ rung, frame }) => whole(rung, 15) && whole(frame, 0xffffffff),
  sought: ({ rtp_time: time, rung, frame }) =>
    whole(time, 0xffffffff) && whole(rung, 15) && whole(frame, 0xffffffff),
  refused: ({ what }) => /^[a-z_]{1,32}$/.test(what),
  bye: ({ reason }) => ['end', 'error', 'shutdown'].includes(reason),
}; // prettier-ignore

/** @param {string} text @returns {any} throws a CrispcastError on anything else than a good message */
export function readMessage(text) {
  let message = null;
  if (text.length <= MAX_BYTES) {
    try {
      message = JSON.parse(text);
    } catch {
      // not JSON: refused below
    }
  }
  const rule = Object.hasOwn(RULES, message?.type ?? '') ? RULES[message.type] : null;
  if (!rule?.(message)) throw new CrispcastError(`not a control message: ${text.slice(0, 60)}`);
  return message;
}

/** @param {ArrayBuffer} data @returns {{sha256: string, offset: number, total: number, bytes: Uint8Array}} */
export function readPiece(data) {
  const bytes = new Uint8Array(data);
  if (bytes.length <= HEADER_BYTES || bytes.length > MAX_BYTES || bytes[0] !== 1)
    throw new CrispcastError(`a piece of an asset of ${bytes.length} bytes, version ${bytes[0]}`);
  const view = new DataView(data);
  const [offset, total] = [view.getUint32(33, true), view.getUint32(37, true)];
  const body = bytes.subarray(HEADER_BYTES);
  if (offset + body.length > total) throw new CrispcastError('a piece ends after its asset');
  return { sha256: hex(bytes.subarray(1, 33)), offset, total, bytes: body };
}

/** @param {Uint8Array} bytes @returns {Promise<string>} 64 hexadecimal digits */
export async function sha256Of(bytes) {
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
