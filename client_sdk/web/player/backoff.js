/**
 * Coming back to a server that is lost: waits that double, each a little longer by chance, so that a
 * server that comes back is not met by all its viewers at once; and an end to it.
 *
 * @module
 */

const FIRST = 250; // milliseconds
const LONGEST = 5000;
/** Statuses of an answer that another try will not change. */
const HOPELESS = [400, 401, 403, 404, 405, 415];

/**
 * Tries until it succeeds. Resolves with null then, or else with a sentence that says why it gave up.
 * @param {number} seconds after which it gives up @param {string} why the server is looked for
 * @param {() => Promise<boolean>} attempt whether it is over; throws where it fails, perhaps with
 *   `status` and `wait`, milliseconds that the server asks for
 */
export async function comeBack(seconds, why, attempt) {
  const until = performance.now() + seconds * 1000;
  let [said, next, asked] = [why, FIRST, 0];
  for (;;) {
    const left = until - performance.now();
    if (left <= 0) return `${said} The server was not there again within ${seconds} s.`;
    const wait = Math.max(asked, next) * (1 + Math.random() / 4);
    next = Math.min(2 * next, LONGEST);
    await new Promise((resolve) => setTimeout(resolve, Math.min(wait, left)));
    try {
      if (await attempt()) return null;
    } catch (error) {
      const failure = /** @type {any} */ (error);
      if (HOPELESS.includes(failure.status)) return failure.message;
      said = failure.message;
      asked = failure.wait ?? 0;
    }
  }
}
