// The web player's readers against mutated inputs: the core in its module, and identity.js:
//   node player.mjs MODULES PARSER [-runs=N] [-max_total_time=SECONDS] [-seed=N] [-artifact_prefix=P] FOLDER…
//
// Takes libFuzzer's flags and tells its figures, without its coverage. A finding: what is thrown is no
// CrispcastError, an input takes more than a second of processor time, or 256 MiB of memory.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const web = new URL('../../client_sdk/web/', import.meta.url);
const { CrispcastError } = await import(new URL('core.js', web));
const { Session } = await import(new URL('session.js', web));
const { identityIn } = await import(new URL('player/identity.js', web));

const MOST_BYTES = 8192;
const MOST_SECONDS = 1;
const MOST_MEMORY = 256 << 20;

const MOST_TASKS = 1000; // that one input gives
const KNOWN = readFileSync(new URL('corpus/manifest/tiny', import.meta.url));

/**
 * What is done with a session and an input, whether the session has the seeds' manifest before, and
 * after how many inputs that it took there is a new one: what a coded frame leaves is little.
 */
const PARSERS = {
  manifest: {
    read(session, bytes) {
      session.manifest(bytes);
      session.segmentOf(0);
      session.ready(0, 0);
    },
  },
  server_message: { known: true, read: (session, bytes) => session.message(new TextDecoder().decode(bytes)) },
  // One message of the seeds' asset: what is before it is for the reader in Python.
  asset_frames: { known: true, read: (session, bytes) => session.piece(bytes.slice(38)) },
  sei: { known: true, most: 200, read: (session, bytes) => coded(session, Uint8Array.from([0, 0, 1, ...bytes]), false) },
  obu: { known: true, most: 200, read: (session, bytes) => coded(session, bytes, true) },
};

function coded(session, bytes, av1) {
  identityIn(bytes, av1 ? 'av1' : 'h264');
  session.coded(0, av1, bytes);
}

async function opened(known) {
  const session = await Session.load(modules, { threads: 1, memoryLimit: 64 << 20 });
  if (known) session.manifest(KNOWN);
  session.connected();
  drain(session);
  return session;
}

/** Takes all tasks. @returns {boolean} whether the play is over */
function drain(session) {
  let over = false;
  let left = MOST_TASKS;
  for (let task; (task = session.nextTask(0)); over ||= task.kind === 'failed')
    if (--left < 0) throw new Error('an input gives tasks without end');
  return over;
}

const JSONS = new Set(['manifest', 'server_message']);

/** mulberry32 by T. Ettinger: 32 bits of state. */
function randomly(seed) {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
  };
}

const NUMBERS = [0, 1, -1, 2, 255, 256, 16384, 65535, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 53];
const VALUES = [...NUMBERS, 0.5, 1e300, true, null, '', '0', '\ud800', 'a'.repeat(400), 'ab'.repeat(32), [], [[]], {}];

function changedBytes(bytes, random) {
  const out = [...bytes];
  for (let left = 1 + random(4); left > 0; --left) {
    const [place, size] = [random(out.length + 1), 1 << random(6)];
    const kind = random(6);
    if (kind === 0 && place < out.length) out[place] ^= 1 << random(8);
    else if (kind === 1) out.splice(place, size);
    else if (kind === 2) out.splice(place, 0, ...Array.from({ length: size }, () => random(256)));
    else if (kind === 3) out.splice(place, 0, ...out.slice(place, place + size));
    else if (kind === 4) out.length = place;
    else {
      const number = BigInt.asUintN(64, BigInt(NUMBERS[random(NUMBERS.length)]));
      for (let i = 0, width = 1 << random(4); i < width; ++i)
        if (place + i < out.length) out[place + i] = Number((number >> BigInt(8 * i)) & 255n);
    }
  }
  return Uint8Array.from(out.slice(0, MOST_BYTES));
}

function changedTree(tree, random, whole) {
  const inner = tree !== null && typeof tree === 'object' && Object.keys(tree).length > 0;
  if (!inner || random(10) === 0) return VALUES[random(VALUES.length)];
  const copy = Array.isArray(tree) ? [...tree] : { ...tree };
  const keys = Object.keys(copy);
  const key = keys[random(keys.length)];
  const kind = random(10);
  if (kind === 0) delete copy[key];
  else if (kind === 1 && Array.isArray(copy)) copy.splice(Number(key), 0, copy[key], copy[key]);
  else if (kind === 1) copy[['x', 'constructor', `${key}x`, ''][random(4)]] = copy[key];
  else if (kind === 2) copy[key] = whole[Object.keys(whole)[random(Object.keys(whole).length)]];
  else copy[key] = changedTree(copy[key], random, whole);
  return copy;
}

function changed(bytes, random, json) {
  if (!json || random(4) === 0) return changedBytes(bytes, random);
  let tree;
  try {
    tree = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return changedBytes(bytes, random); // a finding that was kept
  }
  for (let left = 1 + random(2); left > 0; --left) tree = changedTree(tree, random, tree ?? {});
  return new TextEncoder().encode(JSON.stringify(tree) ?? '');
}

function refuses(call) {
  try {
    call();
    return false;
  } catch (error) {
    if (error instanceof CrispcastError) return true;
    throw error;
  }
}

/** What is wrong of it, or null; whether the session is as it was, because it was refused; and whether it is over. */
function tryOne(session, read, bytes) {
  const [began, memory] = [process.cpuUsage(), process.memoryUsage.rss()];
  let [refused, over] = [false, false];
  try {
    refused = refuses(() => read(session, bytes));
    over = drain(session);
  } catch (error) {
    return { found: error };
  }
  const spent = process.cpuUsage(began);
  const seconds = (spent.user + spent.system) / 1e6;
  if (seconds > MOST_SECONDS) return { found: new Error(`an input of ${bytes.length} bytes took ${seconds} s`) };
  if (process.memoryUsage.rss() - memory > MOST_MEMORY) return { found: new Error('an input took 256 MiB') };
  return { found: null, refused: refused && !over, over };
}

const flags = new Map();
const folders = [];
for (const argument of process.argv.slice(4)) {
  const [, flag, value] = /^-(\w+)=(.*)$/.exec(argument) ?? [];
  if (flag) flags.set(flag, value);
  else folders.push(argument);
}
const [, , modules, name] = process.argv;
const { read, known = false, most = 1 } = PARSERS[name];
const seed = Number(flags.get('seed') ?? Date.now() % 2 ** 31);
console.log(`seed ${seed}`); // at once: an input that never ends can then be found again
const random = randomly(seed);
const seeds = folders.flatMap((folder) => readdirSync(folder).sort().map((file) => readFileSync(join(folder, file))));
const inputs = seeds.map((bytes) => Uint8Array.from(bytes));
const runs = Number(flags.get('runs') ?? Infinity);
const until = performance.now() + 1000 * Number(flags.get('max_total_time') ?? Infinity);
let session = await opened(known);
let taken = 0; // inputs that this session has not refused
let tried = 0;
let found = null;
while (!found && tried < runs && performance.now() < until) {
  const good = inputs[tried < inputs.length ? tried : random(inputs.length)];
  const bytes = tried < inputs.length ? good : changed(good, random, JSONS.has(name));
  const done = tryOne(session, read, bytes);
  found = done.found;
  ++tried;
  if (!found && !done.refused && (done.over || ++taken >= most)) {
    session.close();
    session = await opened(known);
    taken = 0;
  }
  if (!found) continue;
  const path = `${flags.get('artifact_prefix') ?? ''}${seed}-${tried}`;
  writeFileSync(path, bytes);
  console.log(found.stack, `\nwritten to ${path}`);
}
console.log(`stat::number_of_executed_units: ${tried}`);
process.exitCode = found ? 1 : 0;
