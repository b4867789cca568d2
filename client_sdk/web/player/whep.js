/**
 * The HTTP half of WHEP (draft-ietf-wish-whep-03, sections 4.2 to 4.5): a POST, an answer, a DELETE.
 *
 * @module
 */

import { CrispcastError } from '../core.js';

const SDP = 'application/sdp';
const GATHERING = 1000; // milliseconds: the server takes no trickle, so candidates must be in the offer

/**
 * Offers what the peer holds and sets the answer.
 * @param {RTCPeerConnection} peer @param {string} url of the WHEP endpoint
 * @param {string} [token] a bearer token @param {string[]} [origins] who may see it, besides the URL's
 * @returns {Promise<{session: string, endpoint: string}>} the session's own URL, and who answered
 */
export async function connect(peer, url, token, origins = []) {
  await peer.setLocalDescription(await peer.createOffer());
  await gathered(peer);
  const body = peer.localDescription?.sdp ?? '';
  let reply = await post(url, body, token);
  // Where a redirect leads to another origin, browsers take the token off.
  const withheld = reply.redirected && reply.status === 401 && token;
  if (withheld && origins.includes(new URL(reply.url).origin)) reply = await post(reply.url, body, token);
  if (reply.status !== 201) {
    const said = await reply.json().catch(() => ({}));
    const refusal = new CrispcastError(said.detail ? `${said.detail}` : `the server says ${reply.status}`);
    const wait = Number(reply.headers.get('Retry-After') ?? 0) * 1000 || 0;
    throw Object.assign(refusal, { status: reply.status, wait });
  }
  const session = new URL(reply.headers.get('Location') ?? '', reply.url).href;
  await peer.setRemoteDescription({ type: 'answer', sdp: await reply.text() });
  return { session, endpoint: reply.url };
}

async function post(url, body, token) {
  const headers = { 'Content-Type': SDP, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  try {
    return await fetch(url, { method: 'POST', headers, body });
  } catch {
    throw new CrispcastError(`${url} does not answer: is the server there, and may this page ask it?`);
  }
}

/**
 * Ends the session, even while the page goes away. Its URL is all that takes; a token would be told to
 * whatever origin the answer named. @param {string} session
 */
export function leave(session) {
  fetch(session, { method: 'DELETE', keepalive: true }).catch(() => {});
}

function gathered(peer) {
  return new Promise((resolve) => {
    const look = () => peer.iceGatheringState === 'complete' && resolve(undefined);
    peer.addEventListener('icegatheringstatechange', look);
    setTimeout(resolve, GATHERING);
    look();
  });
}
