/**
 * Bytes by HTTP, bounded in time and in number: a server that stops in mid-answer, or lets it trickle,
 * must not hold up what waits for it.
 *
 * @module
 */

export const PATIENCE = 4000; // milliseconds without a byte after which it counts as stuck
const SLOWEST = 8; // bytes a millisecond that it must bring on the whole

/** It took too long; what came so far was given. */
export class Stalled extends Error {}

/**
 * Gives `take` the body of a good answer as it comes, and waits for it; at most so many bytes, or until
 * `take` says false. Throws Stalled where nothing comes for `patience` milliseconds or the whole is too
 * slow, the reason of `signal` where that aborts, and what fetch throws.
 * @param {string | URL} address
 * @param {{most: number, take: (bytes: Uint8Array, reply: Response) => unknown,
 *   headers?: Record<string, string>, signal?: AbortSignal, patience?: number}} options
 * @returns {Promise<Response>} the answer, whatever its status; its body is used up
 */
export async function download(address, options) {
  const { most, take, headers, signal, patience = PATIENCE } = options;
  const stop = new AbortController();
  const abort = () => stop.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  const stall = () => stop.abort(new Stalled('the server stopped in the middle of an answer'));
  const end = setTimeout(stall, patience + most / SLOWEST);
  let still = setTimeout(stall, patience);
  try {
    const reply = await fetch(address, { headers, signal: stop.signal });
    if (!reply.ok || !reply.body) return reply;
    const reader = reply.body.getReader();
    for (let got = 0; got < most; ) {
      const { value, done } = await reader.read();
      if (done) return reply;
      clearTimeout(still);
      still = setTimeout(stall, patience);
      const bytes = value.subarray(0, most - got);
      got += bytes.length;
      if ((await take(bytes, reply)) === false) break;
    }
    await reader.cancel();
    return reply;
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    clearTimeout(end);
    clearTimeout(still);
    signal?.removeEventListener('abort', abort);
    stop.abort(); // also the body of an answer that is an error
  }
}
