// What a session does before anything plays, in Node: node session.mjs CODE MODULES
//
// Reads {manifest, head, signature, trust} from stdin, the manifest in base64; prints what
// test_web_session.py asks about.

import { readFileSync } from 'node:fs';

const [, , code, modules] = process.argv;
const { CrispcastError } = await import(`${code}core.js`);
const { Session } = await import(`${code}session.js`);
const given = JSON.parse(readFileSync(0, 'utf8'));
const manifest = new Uint8Array(Buffer.from(given.manifest, 'base64'));

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

/** The sentence with which something fails. */
async function failing(load) {
  const error = await load().then(
    () => null,
    (error) => error,
  );
  return { refused: error instanceof CrispcastError, sentence: error?.message };
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
};
console.log(JSON.stringify(answer));
process.exit(0);
