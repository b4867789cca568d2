/**
 * The module that a browser runs best, with its memory and its threads.
 *
 * @module
 */

import { Core, CrispcastError } from './core.js';
import { bytesAt, cores, inNode, maySleep, relaxedSimd, startWorker, waitIn } from './platform.js';

const MAX_THREADS = 256;
const WORKER_STACK = 131072;

/**
 * @typedef {{core: Core, threads: number, workers: {terminate: () => void}[]}} Loaded
 */

/**
 * Fetches it, starts its threads, which wait for an engine, and makes something in it; where that
 * fails, its threads end.
 * @template T
 * @param {string | URL} folder where the modules lie
 * @param {{threads?: number, relaxed?: boolean}} options
 * @param {(loaded: Loaded) => T} make
 * @returns {Promise<T>}
 */
export async function inModule(folder, options, make) {
  const loaded = await load(folder, options);
  try {
    return make(loaded);
  } catch (error) {
    for (const worker of loaded.workers) worker.terminate();
    throw error;
  }
}

/**
 * How many threads a page gets, the caller's among them.
 * @param {number} asked 0: one a core, or one where the page may have no more
 */
export async function threadsFor(asked) {
  if (!Number.isInteger(asked) || asked < 0 || asked > MAX_THREADS)
    throw new CrispcastError(`threads must be 0 (one a core) to ${MAX_THREADS}, not ${asked}`);
  const shares = inNode || globalThis.crossOriginIsolated === true;
  if (asked > 1 && !shares)
    throw new CrispcastError(
      'threads need a cross-origin isolated page: send Cross-Origin-Opener-Policy: same-origin ' +
        'and Cross-Origin-Embedder-Policy: require-corp, or use one thread',
    );
  if (asked !== 0) return asked;
  return shares ? Math.min(await cores(), MAX_THREADS) : 1;
}

/** @returns {Promise<Loaded>} */
async function load(folder, { threads: asked = 1, relaxed = true }) {
  const threads = await threadsFor(asked);
  const name = ['crispcast', ...(threads > 1 ? ['threads'] : [])];
  if (relaxed && relaxedSimd()) name.push('relaxed');
  const base = new URL(folder, globalThis.location?.href ?? import.meta.url);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const address = new URL(`${name.join('-')}.wasm`, base);
  let module;
  try {
    module = await WebAssembly.compile(await bytesAt(address));
  } catch (error) {
    throw new CrispcastError(`cannot load ${address}: ${/** @type {Error} */ (error).message}`);
  }
  return threads > 1 ? startShared(module, threads) : start(module);
}

async function start(module) {
  const instance = await WebAssembly.instantiate(module, {});
  const { memory } = /** @type {any} */ (instance.exports);
  return { core: new Core(instance.exports, memory), threads: 1, workers: [] };
}

// Every worker is an instance of its own over the same memory, with its own stack in it. Workers are
// there before the engine: it cannot wait for a page to start them.
async function startShared(module, threads) {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 16384, shared: true });
  const imports = { env: { memory }, crispcast: { wait: waitIn(memory, maySleep) } };
  const instance = await WebAssembly.instantiate(module, imports);
  const core = new Core(instance.exports, memory);
  const workers = [];
  try {
    for (let i = 1; i < threads; ++i) {
      const stack = core.allocate(WORKER_STACK) + WORKER_STACK;
      workers.push(startWorker({ module, memory, stack }));
    }
    await Promise.all(workers.map((worker) => worker.ready));
    return { core, threads, workers };
  } catch (error) {
    for (const worker of workers) worker.terminate();
    throw new CrispcastError(`a thread did not start: ${/** @type {Error} */ (error).message}`);
  }
}
