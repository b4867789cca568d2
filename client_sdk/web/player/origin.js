/**
 * Where a package's manifest and assets are by plain HTTP: a Crispcast server, a CDN, a bucket. An origin
 * that is away is asked again: what it has is of use whenever it comes.
 *
 *     GET ORIGIN/packages/NAME/manifest.json     GET ORIGIN/assets/SHA256
 *
 * @module
 */

import { CrispcastError } from '../core.js';
import { download } from './download.js';

const MOST = 32 << 20; // bytes of a manifest, or of an asset
const AGAIN = 2000; // milliseconds before an asset is asked for again
const LONGEST = 30000;
const SIGNATURE = /^ed25519:[0-9a-f]{128}$/;

/** The URL of a package without what may follow it. @param {string} url */
export function packageUrl(url) {
  const at = new URL(url);
  at.pathname = at.pathname.replace(/\/manifest\.json$/, '').replace(/\/+$/, '');
  at.search = at.hash = '';
  return at.href;
}

export class Origin {
  #package;
  #headers;
  #signed;
  /**
   * What was found there last.
   * @type {{bytes: Uint8Array, sha256: string, tree: any, signature: string | null} | null}
   */
  #described = null;
  /**
   * @param {string} url of a package @param {string} [token] that its origin wants
   * @param {boolean} [signed] its signature is asked for, too
   */
  constructor(url, token, signed = false) {
    this.#signed = signed;
    this.#package = packageUrl(url);
    this.#headers = /** @type {Record<string, string>} */ (token ? { Authorization: `Bearer ${token}` } : {});
  }

  get package() {
    return this.#package;
  }

  /** The manifest as it is now, or as it was where the origin is away by now. Throws a CrispcastError. */
  async describe() {
    try {
      this.#described = await this.#read(`${this.#package}/manifest.json`);
    } catch (error) {
      if (!this.#described || /** @type {any} */ (error).status) throw error;
    }
    return this.#described;
  }

  async #read(url) {
    const { bytes, reply } = await this.#get(url, MOST);
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    let signature = reply.headers.get('Crispcast-Signature');
    // A server of plain files has no headers of ours.
    const beside = () => this.#get(new URL('manifest.sig', url).href, 1024);
    if (this.#signed && !signature)
      signature = await beside().then(({ bytes: text }) => new TextDecoder().decode(text).trim(), () => null);
    if (!SIGNATURE.test(signature ?? '')) signature = null;
    try {
      return { bytes, sha256, signature, tree: JSON.parse(new TextDecoder().decode(bytes)) };
    } catch {
      throw new CrispcastError(`${url} is no manifest`);
    }
  }

  async #get(url, most) {
    const parts = [];
    const take = (bytes) => void parts.push(bytes.slice());
    let reply;
    try {
      reply = await download(url, { most, take, headers: this.#headers });
    } catch {
      throw new CrispcastError(`${url} does not answer: is the server there, and may this page ask it?`);
    }
    if (!reply.ok) {
      const refusal = new CrispcastError(`${url}: the server says ${reply.status}`);
      throw Object.assign(refusal, { status: reply.status });
    }
    return { bytes: new Uint8Array(await new Blob(parts).arrayBuffer()), reply };
  }

  /**
   * Brings an asset from an offset on, for as long as it takes, or until `signal` says that nobody waits.
   * @param {string} sha256 @param {number} offset
   * @param {(offset: number, total: number, bytes: Uint8Array) => void} take hears of each piece
   * @param {AbortSignal} signal
   */
  async bring(sha256, offset, take, signal) {
    const total = sizeOf(this.#described?.tree, sha256);
    for (let wait = AGAIN; total && offset < total && !signal.aborted; wait = Math.min(2 * wait, LONGEST)) {
      try {
        const range = offset ? { Range: `bytes=${offset}-` } : {};
        let first = true;
        await download(new URL(`../assets/${sha256}`, this.#package), {
          most: total,
          headers: { ...this.#headers, ...range },
          signal,
          take: (bytes, { status }) => {
            if (first && status === 200) offset = 0; // it does not do ranges
            first = false;
            const piece = bytes.subarray(0, total - offset);
            take(offset, total, piece);
            offset += piece.length;
            wait = AGAIN;
            return offset < total;
          },
        });
      } catch {
        // broken off: again, from there on
      }
      if (offset < total) await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

/** Bytes of an asset or a record, as the manifest has them; 0 where it does not name it. */
function sizeOf(tree, sha256) {
  const asset = tree?.assets?.[sha256];
  const segments = (tree?.rungs ?? []).flatMap((rung) => rung?.segments ?? []);
  const records = segments.flatMap((segment) => [segment?.map, segment?.motion]);
  const bytes = asset?.bytes ?? records.find((record) => record?.sha256 === sha256)?.bytes;
  return Number.isInteger(bytes) && bytes > 0 && bytes <= MOST ? bytes : 0;
}
