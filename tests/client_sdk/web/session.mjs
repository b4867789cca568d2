// What a session does before anything plays, in Node: node session.mjs CODE MODULES
//
// Reads {manifest, head, signature, trust} from stdin, the manifest in base64; prints what
// test_web_session.py asks about.

import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

const [, , code, modules] = process.argv;
const { CrispcastError } = await import(`${code}core.js`);
const { inModule, threadsFor } = await import(`${code}module.js`);
const { Session } = await import(`${code}session.js`);
const given = JSON.parse(readFileSync(0, 'utf8'));
const manifest = new Uint8Array(Buffer.from(given.manifest, 'base64'));

let ended = 0;
const { terminate } = Worker.prototype;
Worker.prototype.terminate = function () {
  ++ended;
  return terminate.call(this);
};

/** The kinds of tasks until there are none; each signature is right. */
function kinds(session) {
  const told = [];
  for (let task; (task = session.nextTask(0)); ) {
    told.push(task.kind);
    if (task.kind === 'verify') session.verified(task.count, true);
  }
  return told;
}

async function trusting(play) {
  const session = await Session.load(modules, { trust: given.trust, delivery: 'http' });
  const told = play(session);
  session.close();
  return told;
}

/** The sentence with which something fails, and how many threads ended. */
async function failing(load) {
  ended = 0;
  const error = await load().then(
    () => null,
    (error) => error,
  );
  return { refused: error instanceof CrispcastError, sentence: error?.message, ended };
}

const answer = {
  ahead: await trusting((session) => {
    session.manifest(manifest, 0, given.signature);
    return kinds(session);
  }),
  announced: await trusting((session) => {
    session.manifest(manifest);
    const before = kinds(session);
    session.connected();
    session.message(given.head);
    return [before, kinds(session)];
  }),
  wrong: await failing(() => trusting((session) => session.manifest(manifest, 0, 'ed25519:'))),
  noBytes: await failing(() => trusting((session) => session.manifest('{}'))),
  badKeys: await failing(() => Session.load(modules, { threads: 3, trust: 'abc' })),
  noEngine: await failing(() =>
    inModule(modules, { threads: 2 }, ({ core }) => core.create(() => 2)),
  ),
};
Object.defineProperty(globalThis, 'navigator', { value: { hardwareConcurrency: 1000 } });
answer.threads = [await threadsFor(0), await threadsFor(7)];
console.log(JSON.stringify(answer));
process.exit(0);
