/**
 * The HTTP half of WHEP (draft-ietf-wish-whep-03, sections 4.2 to 4.5): a POST, an answer, a DELETE.
 *
 * @module
 */

import { CrispcastError } from '../core.js';

const SDP = 'application/sdp';
const ANSWER = 15000; // milliseconds that a server may take to answer an offer
const GATHERING = 1000; // milliseconds: the server takes no trickle, so candidates must be in the offer

/**
 * Offers what the peer holds and sets the answer.
 * @param {RTCPeerConnection} peer @param {string} url of the WHEP endpoint
 * @param {string} [token] a bearer token @param {string[]} [origins] who may see it, besides the URL's
 * @returns {Promise<{session: string, endpoint: string, offer?: string}>} the session's own URL, empty
 *   where it is said to be of an origin that neither answered nor may see the token; who answered; `offer`:
 *   it would rather make one (406), which another peer is to answer by `answerOffer`
 */
export async function connect(peer, url, token, origins = []) {
  await peer.setLocalDescription(await peer.createOffer());
  await gathered(peer);
  const body = peer.localDescription?.sdp ?? '';
  let reply = await post(url, body, token);
  // Where a redirect leads to another origin, browsers take the token off.
  const withheld = reply.redirected && reply.status === 401 && token;
  if (withheld && origins.includes(new URL(reply.url).origin)) reply = await post(reply.url, body, token);
  const counters = reply.status === 406 && reply.headers.get('Content-Type')?.startsWith(SDP);
  if (reply.status !== 201 && !counters) {
    const said = await reply.json().catch(() => ({}));
    const refusal = new CrispcastError(said.detail ? `${said.detail}` : `the server says ${reply.status}`);
    const wait = Number(reply.headers.get('Retry-After') ?? 0) * 1000 || 0;
    throw Object.assign(refusal, { status: reply.status, wait });
  }
  const told = new URL(reply.headers.get('Location') ?? '', reply.url);
  // Nobody sends our DELETE and PATCH to others.
  const ours = [reply.url, url, ...origins].some((known) => new URL(known, reply.url).origin === told.origin);
  if (counters && !ours) throw new CrispcastError(`${reply.url} wants its offer answered at another origin.`);
  const session = ours ? told.href : '';
  if (counters) return { session, endpoint: reply.url, offer: await reply.text() };
  try {
    await peer.setRemoteDescription({ type: 'answer', sdp: await reply.text() });
  } catch (error) {
    leave(session, token, url); // as of a peer that was closed meanwhile: nobody else knows of it
    throw error;
  }
  return { session, endpoint: reply.url };
}

/**
 * Answers the offer that the peer has from a server.
 * @param {RTCPeerConnection} peer @param {string} session its URL @param {string} [token]
 */
export async function answerOffer(peer, session, token) {
  await peer.setLocalDescription(await peer.createAnswer());
  await gathered(peer);
  const headers = { 'Content-Type': SDP, ...bearer(token) };
  const body = peer.localDescription?.sdp;
  const reply = await fetch(session, { method: 'PATCH', headers, body, redirect: 'error' }).catch(() => null);
  if (!reply?.ok) throw new CrispcastError(`${session} does not take our answer`);
}

/** @returns {Record<string, string>} */
const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

async function post(url, body, token) {
  const headers = { 'Content-Type': SDP, ...bearer(token) };
  try {
    return await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout?.(ANSWER) });
  } catch {
    throw new CrispcastError(`${url} does not answer: is the server there, and may this page ask it?`);
  }
}

/**
 * Ends the session, even while the page goes away. For ours its URL is all that takes; others may want
 * their token, which is told to nobody but the endpoint's origin.
 * @param {string} session empty where it is not to be contacted @param {string} [token]
 * @param {string} [endpoint]
 */
export function leave(session, token, endpoint = session) {
  if (!session) return;
  const shown = new URL(session).origin === new URL(endpoint).origin ? token : undefined;
  fetch(session, { method: 'DELETE', keepalive: true, redirect: 'error', headers: bearer(shown) }).catch(() => {});
}

function gathered(peer) {
  return new Promise((resolve) => {
    const look = () => peer.iceGatheringState === 'complete' && resolve(undefined);
    peer.addEventListener('icegatheringstatechange', look);
    setTimeout(resolve, GATHERING);
    look();
  });
}
