/**
 * Signatures of Ed25519 (RFC 8032), which manifests may have (docs/signing.md), by the browser's WebCrypto.
 *
 * @module
 */

const [KEY, SIGNATURE] = [32, 64]; // bytes

/**
 * @param {Uint8Array} bytes a public key, a signature, and the message, as a task `verify` has them
 * @returns {Promise<boolean | null>} whether it is right; null: this browser cannot tell
 */
export async function verify(bytes) {
  const [key, signature] = [bytes.subarray(0, KEY), bytes.subarray(KEY, KEY + SIGNATURE)];
  try {
    const owner = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', owner, signature, bytes.subarray(KEY + SIGNATURE));
  } catch (error) {
    // A key that is no point of the curve has signed nothing.
    return /** @type {Error} */ (error).name === 'NotSupportedError' ? null : false;
  }
}
