// The page of benchmarks.browser: our runtime and onnxruntime-web take turns in one worker.

async function ours({ folder, plan, width, height, scale, threads, relaxed }) {
  const { Runtime } = await import('/web/crispcast.js');
  const runtime = await Runtime.load(folder, { threads, relaxed });
  const bytes = Uint8Array.from(atob(plan), (c) => c.charCodeAt(0));
  const plans = [runtime.plan(bytes)];
  const noise = (size) => Uint8Array.from({ length: size }, () => 256 * Math.random());
  const half = (x) => (x + 1) >> 1;
  const picture = { width, height, y: noise(width * height) };
  picture.u = noise(half(width) * half(height));
  picture.v = noise(half(width) * half(height));
  const previous = { y: noise(width * height) };
  const name = runtime.isa;
  return { name, run: () => runtime.upscale(picture, { scale, previous, plans }) };
}

async function rival({ model, channels, width, height, threads }) {
  const ort = await import('/ort/ort.wasm.min.mjs');
  ort.env.wasm.wasmPaths = `${location.origin}/ort/`;
  ort.env.wasm.numThreads = threads;
  const bytes = Uint8Array.from(atob(model), (c) => c.charCodeAt(0));
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'] });
  const values = Float32Array.from({ length: channels * width * height }, Math.random);
  const planes = new ort.Tensor('float32', values, [1, channels, height, width]);
  return { name: `onnxruntime-web ${ort.env.versions.web}`, run: () => session.run({ planes }) };
}

async function measure(data) {
  const engines = { fused: await ours({ ...data, relaxed: true }) };
  engines.plain = await ours({ ...data, relaxed: false });
  engines.codes = await ours({ ...data, plan: data.coded, relaxed: true });
  engines.plain_codes = await ours({ ...data, plan: data.coded, relaxed: false });
  if (data.model) engines.rival = await rival(data);
  const times = Object.fromEntries(Object.keys(engines).map((key) => [key, []]));
  for (let round = -data.warmup; round < data.rounds; ++round) {
    for (const [key, engine] of Object.entries(engines)) {
      const start = performance.now();
      await engine.run();
      if (round >= 0) times[key].push(performance.now() - start);
    }
  }
  const names = Object.fromEntries(Object.entries(engines).map(([key, { name }]) => [key, name]));
  return { times, names };
}

/** A player upscales in a worker, and so does this. */
export async function run(data) {
  const worker = new Worker(import.meta.url, { type: 'module' });
  const answer = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(data);
  });
  worker.terminate();
  if (answer.failed) throw new Error(answer.failed);
  return answer;
}

if (typeof globalThis.window === 'undefined') {
  globalThis.onmessage = async ({ data }) => {
    const failed = (error) => ({ failed: String(error?.stack || error) });
    globalThis.postMessage(await measure(data).catch(failed));
  };
}
