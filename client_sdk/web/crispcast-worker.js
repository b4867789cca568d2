/**
 * A thread of the runtime: an instance of the module over the shared memory that runs what the engine
 * gives it, until the page ends it. Started by crispcast.js.
 *
 * @module
 */

import { inNode, waitIn } from './platform.js';

async function run({ module, memory, stack }, answer) {
  try {
    const imports = { env: { memory }, crispcast: { wait: waitIn(memory, true) } };
    const { exports } = await WebAssembly.instantiate(module, imports);
    exports.__stack_pointer.value = stack;
    const place = exports.crispcast_wasm_enter();
    if (place < 0) throw new Error('the module has no more places for threads');
    answer('ready');
    exports.crispcast_wasm_park(place);
  } catch (error) {
    answer(String(error));
  }
}

if (inNode) {
  const { parentPort } = await import('node:worker_threads');
  parentPort.once('message', (start) => run(start, (text) => parentPort.postMessage(text)));
} else {
  globalThis.onmessage = ({ data }) => run(data, (text) => globalThis.postMessage(text));
}
