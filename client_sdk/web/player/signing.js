/**
 * Whose a manifest must be, and whether it is (docs/signing.md): Ed25519 by the browser's WebCrypto.
 *
 * @module
 */

import { CrispcastError } from '../core.js';

const MOST = 8;
const KEY = /^ed25519:[0-9a-f]{64}$/;
const DOMAIN = 'crispcast manifest 1\0';

/** @param {string} text with an algorithm before the digits */
const bytesOf = (text) =>
  Uint8Array.from(text.replace(/^\w+:/, '').match(/../g) ?? [], (digits) => parseInt(digits, 16));

/**
 * Public keys, 32 bytes each, out of a text with blanks or commas between them.
 * @param {string | null | undefined} text null: signatures are not asked for
 * @returns {Uint8Array[]} throws a CrispcastError on what is no key, and on a text without any
 */
export function parseTrust(text) {
  if (text === null || text === undefined) return [];
  const words = text.split(/[\s,]+/).filter(Boolean);
  if (!words.length || words.length > MOST || !words.every((word) => KEY.test(word)))
    throw new CrispcastError(
      `The keys to trust must be 1 to ${MOST}, each ed25519: and 64 hexadecimal digits, as ` +
        '`crispcast key public FILE` prints it.',
    );
  return words.map(bytesOf);
}

/**
 * Why a manifest may not be used; null where it may be.
 * @param {Uint8Array[]} trust @param {string} manifest its SHA-256, 64 hexadecimal digits
 * @param {string | null | undefined} signature as it was announced
 * @returns {Promise<string | null>}
 */
export async function whyUntrusted(trust, manifest, signature) {
  if (!trust.length) return null;
  if (!signature) return 'The manifest is not signed, and a signature is asked for';
  const message = Uint8Array.from([...new TextEncoder().encode(DOMAIN), ...bytesOf(manifest)]);
  for (const key of trust) {
    try {
      const owner = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
      if (await crypto.subtle.verify('Ed25519', owner, bytesOf(signature), message)) return null;
    } catch (error) {
      if (/** @type {Error} */ (error).name === 'NotSupportedError')
        return 'This browser cannot check signatures of Ed25519';
    }
  }
  return "The manifest's signature is by none of the trusted keys";
}
