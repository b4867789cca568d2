/**
 * The data channel (docs/control.md): messages of the server, checked; pieces of assets, read.
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { MAX_MANIFEST_BYTES } from './manifest.js';

export const LABEL = 'crispcast';
export const VERSION = '1.2';
export const MAX_WANTED = 128;
const MAX_BYTES = 16384;
const HEADER_BYTES = 41;

const whole = (high, low = 0) => (value) => Number.isInteger(value) && value >= low && value <= high;
const like = (pattern) => (value) => typeof value === 'string' && pattern.test(value);
const optional = (rule) => (value) => value === undefined || rule(value);
const orNull = (rule) => optional((value) => value === null || rule(value));
const sentence = (value) => typeof value === 'string' && [...value].length <= 300;

const frame = whole(0xffffffff);
const rung = whole(15);
const moment = { rtp_time: whole(0xffffffff), rung, frame };
/** The fields of each message, and what each must be; others are refused. */
const FIELDS = {
  manifest: {
    version: like(/^1\.\d{1,4}$/),
    package: like(/^[0-9a-f]{16}$/),
    rung,
    sha256: like(/^[0-9a-f]{64}$/),
    bytes: whole(MAX_MANIFEST_BYTES, 1),
    live: orNull(frame),
    signature: orNull(like(/^ed25519:[0-9a-f]{128}$/)),
  },
  anchor: moment,
  sought: moment,
  switch: { rung, frame },
  refused: { what: like(/^[a-z_]{1,32}$/), message: optional(sentence) },
  bye: {
    reason: like(/^(end|leaving|error|shutdown)$/),
    message: optional(sentence),
    frames: orNull(whole(2 ** 53)),
  },
};

function isMessage(message) {
  const { type, ...fields } = message ?? {};
  if (typeof type !== 'string' || !Object.hasOwn(FIELDS, type)) return false;
  const rules = FIELDS[type];
  return (
    Object.keys(fields).every((name) => Object.hasOwn(rules, name)) &&
    Object.entries(rules).every(([name, rule]) => rule(fields[name]))
  );
}

/** @param {string} text @returns {any} throws a CrispcastError on anything else than a good message */
export function readMessage(text) {
  let message = null;
  if (new TextEncoder().encode(text).length <= MAX_BYTES) {
    try {
      message = JSON.parse(text);
    } catch {
      // not JSON: refused below
    }
  }
  if (!isMessage(message)) throw new CrispcastError(`not a control message: ${text.slice(0, 60)}`);
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
