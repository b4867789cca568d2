/**
 * The structures of crispcast_session.h in the core's memory: how they lie there, what is put into them,
 * and what they say. client_sdk/core/wasm/layout.cpp holds the compiler to the same numbers.
 *
 * @module
 */

import { Core } from './core.js';

/** Their bytes. */
export const [OPTIONS, TASK, FRAME, RESULT, INFO, RUNG] = [56, 168, 80, 40, 88, 60];

const COUNTS = ['frames', 'superResolved', 'lateAssets', 'assetBytes', 'cachedBytes', 'refusedAssets',
  'wrongMessages', 'memoryBytes', 'framesLost']; // prettier-ignore
export const FIGURES = 8 * COUNTS.length;

/** Where their fields lie, but for those that begin with it. */
const option = { horizon: 32, memory: 40, trust: 48 };
const task = { sha256: 8, id: 73, bytes: 108, text: 116, offset: 120, total: 128, width: 136, frame: 152, count: 160 };
const frame = { number: 8, rung: 16, in: 28, out: 52, columns: 76 };
const info = { rungs: 24, isa: 76, adapts: 80 };
const rung = { padded: 12 };

const DELIVERY = ['auto', 'channel', 'http'];
const [INTERPOLATE, PADDED, NUMBERED] = [1, 2, 4]; // crispcast_frame_flags
/** Names of the kinds of tasks (crispcast_task_kind). */
const KINDS = new Map([
  [1, 'send'], [2, 'look'], [3, 'fetch'], [4, 'store'], [5, 'decode'], [6, 'base'], [7, 'verify'],
  [20, 'manifest'], [21, 'ready'], [22, 'late'], [23, 'refused'], [24, 'not_done'], [25, 'ended'],
  [26, 'lost'], [27, 'failed'], [28, 'untrusted'], [29, 'joined'],
]); // prettier-ignore

/** @param {DataView} view @param {number} at @param {number[]} words */
function put(view, at, words) {
  words.forEach((word, i) => view.setInt32(at + 4 * i, word, true));
}

/** The keys of `trust` as the core reads them. @param {{trust?: string | null}} options */
export function keysOf({ trust = null }) {
  return new TextEncoder().encode(trust === null ? '' : `${trust}\0`);
}

/**
 * crispcast_session_options in a room, and the keys behind it.
 * @param {Core} core @param {number} room @param {any} options of `Session.load`, `threads` and `keys`
 */
export function layOptions(core, room, options) {
  const { threads, keys, delivery = 'auto', horizon = 0, memoryLimit = 0 } = options;
  const flags = ['cache', 'plain', 'loops', 'offline'].map((name) => (options[name] ? 1 : 0));
  core.bytes(room, OPTIONS).fill(0);
  core.bytes(room + OPTIONS, keys.length).set(keys);
  const view = core.view(room, OPTIONS);
  put(view, 0, [threads, 0, DELIVERY.indexOf(delivery), ...flags]);
  view.setFloat64(option.horizon, horizon, true);
  view.setBigUint64(option.memory, BigInt(memoryLimit), true);
  view.setUint32(option.trust, keys.length ? room + OPTIONS : 0, true);
}

/** crispcast_task; null where it is none that is known. @param {Core} core @param {number} at */
export function readTask(core, at) {
  const view = core.view(at, TASK);
  const int = (place) => view.getInt32(place, true);
  const kind = KINDS.get(int(0));
  if (!kind) return null;
  return {
    kind,
    status: int(4),
    sha256: core.text(at + task.sha256),
    id: core.text(at + task.id),
    bytes: core.bytes(int(task.bytes) >>> 0, int(task.bytes + 4) >>> 0).slice(),
    text: core.text(int(task.text)),
    offset: Number(view.getBigUint64(task.offset, true)),
    total: Number(view.getBigUint64(task.total, true)),
    width: int(task.width),
    height: int(task.width + 4),
    rung: int(task.width + 8),
    segment: int(task.width + 12),
    frame: Number(view.getBigInt64(task.frame, true)),
    count: Number(view.getBigInt64(task.count, true)),
  };
}

/**
 * crispcast_session_frame, without its HR planes.
 * @param {Core} core @param {number} at @param {{width: number, height: number}} size of the LR
 * @param {number[][]} planes addresses and strides @param {any} options of `Session.upscale`
 */
export function layFrame(core, at, size, planes, options) {
  const { time = null, number = null, rung = 0, networks = true, columns = 0 } = options;
  core.bytes(at, FRAME).fill(0);
  const view = core.view(at, FRAME);
  put(view, 0, [time ?? 0, (networks ? 0 : INTERPOLATE) | PADDED | (time === null ? NUMBERED : 0)]);
  view.setBigInt64(frame.number, BigInt(number ?? -1), true);
  put(view, frame.rung, [rung, size.width, size.height]);
  put(view, frame.in, planes.flat());
  view.setInt32(frame.columns, columns, true);
}

/** Its HR planes. @param {Core} core @param {number} at @param {number[]} planes addresses and strides */
export function layOut(core, at, planes) {
  put(core.view(at, FRAME), frame.out, planes);
}

/** crispcast_session_result. @param {DataView} view */
export function readResult(view) {
  const word = (index) => view.getInt32(8 + 4 * index, true);
  const number = Number(view.getBigInt64(0, true));
  return {
    frame: number < 0 ? null : number,
    rung: word(0),
    segment: word(1) < 0 ? null : word(1),
    shown: word(2) === 1,
    landed: word(3) === 1,
    superResolved: word(4) === 1,
    late: word(5) === 1,
    follows: word(6) === 1,
    missing: word(7),
  };
}

/** What is read of crispcast_session_info; `isa` is an address. @param {DataView} view */
export function readInfo(view) {
  return {
    rungs: view.getInt32(info.rungs, true),
    isa: view.getUint32(info.isa, true),
    adapts: view.getInt32(info.adapts, true) === 1,
  };
}

/** The size of HR frames, from crispcast_rung_info. @param {DataView} view */
export function readPadded(view) {
  return { width: view.getInt32(rung.padded, true), height: view.getInt32(rung.padded + 4, true) };
}

/** crispcast_session_figures. @param {DataView} view */
export function readFigures(view) {
  return Object.fromEntries(COUNTS.map((name, i) => [name, Number(view.getBigUint64(8 * i, true))]));
}
