// Runs cases for test_web_runtime.py: in Node, in a window, or in a worker of one.
//
// A case is {threads, relaxed, calls}; a call {plans, scale, width, height, y, u, v, ...} with bytes in
// base64; `again`: so many times its own result. What it gives: {isa, threads, results, after}, a result {y, u, v} or {error: {status, message}}; `after`
// is that of the first call made again once the runtime is closed.

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

function text(bytes) {
  let string = '';
  for (const byte of bytes) string += String.fromCharCode(byte);
  return btoa(string);
}

async function attempt(CrispcastError, make) {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof CrispcastError)) throw error;
    return { error: { status: error.status, message: error.message } };
  }
}

function upscale(runtime, call) {
  const owned = [];
  const own = (thing) => (owned.push(thing), thing);
  try {
    const plans = (call.plans ?? []).map((plan) => (plan === null ? null : own(runtime.plan(bytes(plan), call.base ? bytes(call.base) : null))));
    const plate = call.plate
      ? own(runtime.plate(bytes(call.plate), call.scale * call.width, call.scale * call.height, call.scale))
      : null;
    const chroma = call.chroma ? own(chromaPlate(runtime, call)) : null;
    const canvas = call.canvas ? own(runtime.canvas(bytes(call.canvas), ...call.canvasSize)) : null;
    const view = call.view ? Int32Array.from(call.view) : null;
    const { width, height, strideY, strideU, strideV } = call;
    const given = { y: bytes(call.y), u: bytes(call.u), v: bytes(call.v) };
    let picture = { ...given, width, height, strideY, strideU, strideV };
    if (call.inPlace) {
      picture = own(runtime.frame(width, height));
      for (const plane of ['y', 'u', 'v']) picture[plane].set(given[plane]);
    }
    const previous = call.previous ? { y: bytes(call.previous) } : null;
    const patches = call.patches ? Int32Array.from(call.patches) : null;
    const options = { scale: call.scale, previous, patches, plans, plate, chroma, canvas, view };
    let out = runtime.upscale(picture, options);
    for (let i = 0; i < (call.again ?? 0); ++i) out = runtime.upscale(out, { ...options, previous: out });
    return { y: text(out.y), u: text(out.u), v: text(out.v), width: out.width, height: out.height };
  } finally {
    for (const thing of owned) thing.free();
  }
}

function chromaPlate(runtime, { chroma, scale, width, height }) {
  const [u, v] = chroma.planes.map(bytes);
  const sides = [width, height].map((side) => scale * ((side + 1) >> 1));
  return runtime.chromaPlate(u, v, ...sides, scale, chroma.tolerance);
}

export async function runCases({ code, folder, cases }) {
  const { Runtime, CrispcastError } = await import(`${code}crispcast.js`);
  const answers = [];
  for (const { threads, relaxed, calls } of cases) {
    answers.push(
      await attempt(CrispcastError, async () => {
        const runtime = await Runtime.load(folder, { threads, relaxed });
        const results = [];
        for (const call of calls)
          results.push(await attempt(CrispcastError, () => upscale(runtime, call)));
        const answer = { isa: runtime.isa, threads: runtime.threads, results };
        answer.memory = runtime.memoryBytes;
        runtime.close();
        runtime.close();
        answer.after = await attempt(CrispcastError, () => upscale(runtime, calls[0]));
        return answer;
      }),
    );
  }
  return answers;
}

/** In a page: in the window, or in a worker of it. */
export async function run(data) {
  if (!data.worker) return runCases(data);
  const worker = new Worker(import.meta.url, { type: 'module' });
  const answer = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage({ ...data, worker: false });
  });
  worker.terminate();
  if (answer.failed) throw new Error(answer.failed);
  return answer;
}

if (typeof process === 'object' && process.versions?.node) {
  const { readFileSync, writeFileSync } = await import('node:fs');
  const [cases, results] = process.argv.slice(2);
  writeFileSync(results, JSON.stringify(await runCases(JSON.parse(readFileSync(cases, 'utf8')))));
} else if (typeof globalThis.window === 'undefined') {
  globalThis.onmessage = async ({ data }) => {
    const failed = (error) => ({ failed: String(error?.stack || error) });
    globalThis.postMessage(await runCases(data).catch(failed));
  };
}
