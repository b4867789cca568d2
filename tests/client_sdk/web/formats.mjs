// Reads what test_player_formats.py gives with the player's modules: node formats.mjs CODE CASES RESULTS.
//
// A case is {kind, bytes, ...}, bytes in base64. What it gives: {value} or {error} where it is refused
// in a sentence; anything else that is thrown fails the run.

import { readFile, writeFile } from 'node:fs/promises';

const [, , code, given, taken] = process.argv;
const { CrispcastError } = await import(`${code}core.js`);
const { decodePatchMap, interpolatedLeftOf } = await import(`${code}player/patch-map.js`);
const { decodeMotion } = await import(`${code}player/motion.js`);
const { identityIn } = await import(`${code}player/identity.js`);
const { Manifest } = await import(`${code}player/manifest.js`);
const { readMessage } = await import(`${code}player/channel.js`);
const { FrameClock } = await import(`${code}player/frame-clock.js`);
const { Pace } = await import(`${code}player/pace.js`);

const readers = {
  map: (bytes, { width, height, experts }) => [...decodePatchMap(bytes, width, height, experts)],
  cut: (_, { patches, column }) => [...interpolatedLeftOf(Int32Array.from(patches), column)],
  motion: (bytes, { frames }) => decodeMotion(bytes, frames).map((view) => [...view]),
  identity: (bytes, { codec }) => identityIn(bytes, codec),
  manifest: (bytes) => {
    const manifest = Manifest.parse(bytes);
    return manifest.rungs.map((_, rung) => manifest.segments.map((_, at) => manifest.assetsOf(rung, at)));
  },
  message: (_, { text }) => readMessage(text).type,
  pace: (_, { frameMs, spent }) => {
    const pace = new Pace(frameMs);
    let now = 0;
    return spent.map((each) => {
      const runs = pace.mayRun(now);
      if (runs) pace.took(now, each);
      now += frameMs;
      return [runs, pace.resting, pace.networksMs];
    });
  },
  clock: (bytes, { anchors, times }) => {
    const clock = new FrameClock(Manifest.parse(bytes));
    for (const [time, identity] of anchors) clock.anchor(time, identity);
    return times.map((time) => clock.identify(time)?.frame ?? null);
  },
};

function read({ kind, bytes = '', ...more }) {
  try {
    return { value: readers[kind](Uint8Array.from(Buffer.from(bytes, 'base64')), more) };
  } catch (error) {
    if (!(error instanceof CrispcastError)) throw error;
    return { error: error.message };
  }
}

await writeFile(taken, JSON.stringify(JSON.parse(await readFile(given, 'utf8')).map(read)));
