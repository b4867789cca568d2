/**
 * What differs between a window, a worker and Node: files, cores, workers and who may sleep.
 *
 * @module
 */

export const inNode = typeof process === 'object' && Boolean(process.versions?.node);

/** A window's own thread must not sleep; workers and Node may. */
export const maySleep = inNode || typeof globalThis.window === 'undefined';

/** @param {URL} address @returns {Promise<BufferSource>} */
export async function bytesAt(address) {
  if (inNode && address.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    return readFile(address);
  }
  const response = await fetch(address);
  if (!response.ok) throw new Error(`the server says ${response.status}`);
  return response.arrayBuffer();
}

/** Cores that the page may use. @returns {Promise<number>} */
export async function cores() {
  const told = globalThis.navigator?.hardwareConcurrency;
  return told ?? (inNode ? (await import('node:os')).availableParallelism() : 1);
}

/** Whether f32x4.relaxed_madd is there: a module of one function that uses it. */
export function relaxedSimd() {
  return WebAssembly.validate(
    // prettier-ignore
    new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, // magic, version
      1, 5, 1, 96, 0, 1, 123, // type: () -> v128
      3, 2, 1, 0, // one function
      10, 19, 1, 17, 0, // its code, 17 bytes, no locals
      65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, // three times i8x16.splat of 0
      253, 133, 2, 11, // f32x4.relaxed_madd, end
    ]),
  );
}

/** Whether the browser has SIMD128, which all modules need: a module of one function that uses it. */
export function simd() {
  return (
    typeof WebAssembly === 'object' &&
    WebAssembly.validate(
      // prettier-ignore
      new Uint8Array([
        0, 97, 115, 109, 1, 0, 0, 0, // magic, version
        1, 5, 1, 96, 0, 1, 123, // type: () -> v128
        3, 2, 1, 0, // one function
        10, 8, 1, 6, 0, 65, 0, 253, 15, 11, // i8x16.splat of 0, end
      ]),
    )
  );
}

/**
 * A worker of a module that may lie on another origin than the page, as where a site embeds a player:
 * a worker's own script must be of the page's origin, what that imports need not.
 * @param {URL} address @returns {Worker}
 */
export function moduleWorker(address) {
  if (address.origin === globalThis.location.origin) return new Worker(address, { type: 'module' });
  const script = new Blob([`import ${JSON.stringify(address.href)};`], { type: 'text/javascript' });
  return new Worker(URL.createObjectURL(script), { type: 'module' });
}

/**
 * The module's import `crispcast.wait` for a thread: sleeps, or watches, while the word is `value`.
 * @param {WebAssembly.Memory} memory @param {boolean} sleeps
 */
export function waitIn(memory, sleeps) {
  // A view each time: the one before ends where the memory ended before it grew.
  if (sleeps)
    return (address, value) => {
      Atomics.wait(new Int32Array(memory.buffer), address >>> 2, value);
    };
  return (address, value) => {
    const words = new Int32Array(memory.buffer, address >>> 0, 1);
    while (Atomics.load(words, 0) === value);
  };
}

/**
 * Starts a worker over the shared memory; `ready` resolves when it waits for work.
 * @param {{module: WebAssembly.Module, memory: WebAssembly.Memory, stack: number}} start
 */
export function startWorker(start) {
  let end = () => {};
  const ready = new Promise((resolve, reject) => {
    const told = (answer) => (answer === 'ready' ? resolve(undefined) : reject(new Error(answer)));
    if (inNode) {
      import('node:worker_threads').then(({ Worker: Thread }) => {
        const thread = new Thread(new URL('./crispcast-worker.js', import.meta.url));
        end = () => void thread.terminate();
        thread.once('message', (answer) => {
          thread.unref(); // once there, it keeps no program alive
          told(answer);
        });
        thread.once('error', reject);
        thread.postMessage(start);
      }, reject);
      return;
    }
    const worker = moduleWorker(new URL('./crispcast-worker.js', import.meta.url));
    end = () => worker.terminate();
    worker.onmessage = ({ data }) => told(data);
    worker.onerror = (event) => reject(new Error(event.message || 'its script did not load'));
    worker.postMessage(start);
  });
  return { ready, terminate: () => end() };
}
