/** One play of a stream, without I/O: see session.js and docs/sdk-core.md. */

import type { Frame, HighPicture, LoadOptions, Picture } from './crispcast.js';

export interface SessionOptions extends LoadOptions {
  /** The way by which assets are asked for first: `auto`, the default, the large ones by HTTP. */
  delivery?: 'auto' | 'channel' | 'http';
  /** Whether there is a cache: tasks `look` and `store`. */
  cache?: boolean;
  /** No super-resolution: nothing is asked for, all is interpolated. */
  plain?: boolean;
  /** The first segment follows the last. */
  loops?: boolean;
  /** Assets are given with `asset`: none is asked for, and none is let go of. */
  offline?: boolean;
  /** Seconds ahead for which assets are asked for; 30 by default, at most 600. */
  horizon?: number;
  /** Bytes of assets, prepared or on their way; 512 MiB by default. */
  memoryLimit?: number;
  /** Public keys, one of which must have signed the manifest (docs/signing.md), with blanks between. */
  trust?: string | null;
}

/**
 * What is to be done:
 * - `send`: `bytes`, a text message, on the data channel
 * - `look`: for `sha256` in the cache; answer with `asset` or `lacks`
 * - `fetch`: `/assets/{sha256}` from `offset` on, `total` bytes in all; answer with `fetched` as bytes
 *   come, `lacks` where it fails; that it failed is of no interest once another connection is open
 * - `store`: `bytes` in the cache
 * - `decode`: the AVIF `bytes`, to exactly `width` × `height` samples; answer with `picture`
 * - `base`: the shipped base `id`; answer with `base`
 * - `verify`: a signature of Ed25519: `bytes` are a public key, 32; a signature, 64; the message; answer
 *   with `verified` and `count`
 *
 * To know: `manifest` (`bytes`: as it came, and checked), `joined` (this connection plays it; `frame`:
 * where a channel is, else -1), `ready` (the play begins), `late` (`count` assets of `segment`),
 * `untrusted` (nothing that the manifest names is used), `refused` (an asset, for good), `not_done` (what was asked of the server), `ended`, `lost`, `failed`.
 */
export interface Task {
  readonly kind:
    | 'send' | 'look' | 'fetch' | 'store' | 'decode' | 'base' | 'verify' | 'untrusted'
    | 'manifest' | 'joined' | 'ready' | 'late' | 'refused' | 'not_done' | 'ended' | 'lost' | 'failed';
  readonly status: number;
  readonly sha256: string;
  readonly id: string;
  readonly bytes: Uint8Array;
  /** One sentence, or empty. */
  readonly text: string;
  readonly offset: number;
  readonly total: number;
  readonly width: number;
  readonly height: number;
  /** For which it is needed first; -1: none. */
  readonly rung: number;
  readonly segment: number;
  /** By which it is needed; -1: none. */
  readonly frame: number;
  readonly count: number;
}

export interface FrameOptions {
  /** RTP time, 32 bits of 90 kHz. Left out: `number` and `rung` say which frame it is. */
  time?: number | null;
  /** null: not known. */
  number?: number | null;
  rung?: number;
  /** false: interpolated, because the machine is too slow. */
  networks?: boolean;
  /** LR columns from the left that are interpolated, to show what networks make of the others. */
  columns?: number;
}

export interface FrameResult {
  /** Its number; null: not known. */
  readonly frame: number | null;
  readonly rung: number;
  readonly segment: number | null;
  /** false: it only leads to a frame that was sought. */
  readonly shown: boolean;
  /** Whether it is the first that is shown after a seek. */
  readonly landed: boolean;
  /** A network made some of it, and no plan that it wanted was missing. */
  readonly superResolved: boolean;
  /** Something that its segment needs was not there in time. */
  readonly late: boolean;
  /** The frame before it in its segment was the one before this call. */
  readonly follows: boolean;
  /** Assets of its segment that have not come. */
  readonly missing: number;
}

export interface Figures {
  readonly frames: number;
  readonly superResolved: number;
  readonly lateAssets: number;
  readonly assetBytes: number;
  readonly cachedBytes: number;
  readonly refusedAssets: number;
  readonly wrongMessages: number;
  readonly memoryBytes: number;
  readonly framesLost: number;
}

/** The status of an error where an asset is not what its hash says: a cache should drop it. */
export const DAMAGED: number;

/** Everything that is refused throws a `CrispcastError`; the play goes on without it. */
export class Session {
  private constructor();
  /** Fetches the best module that this browser runs from `folder`, by default beside session.js. */
  static load(folder?: string | URL, options?: SessionOptions): Promise<Session>;

  /** `signature`: its manifest.sig, or the header Crispcast-Signature; null, the default: not known. */
  manifest(bytes: Uint8Array, rung?: number, signature?: string | null): void;
  connected(): void;
  /** Whether the last frame was shown, so that there is nothing to connect again for. */
  disconnected(): boolean;
  message(text: string): void;
  piece(bytes: Uint8Array): void;
  fetched(sha256: string, offset: number, bytes: Uint8Array): void;
  asset(sha256: string, bytes: Uint8Array): void;
  lacks(sha256: string): void;
  /** `write` fills the room with the samples, without gaps; without it: it cannot be decoded. */
  picture(sha256: string, width?: number, height?: number, write?: ((room: Uint8Array) => void) | null): void;
  base(id: string, bytes: Uint8Array | null): void;
  /** null: nobody here can tell, and nothing is trusted. */
  verified(question: number, answer: boolean | null): void;
  /** Annex B of H.264, or a temporal unit of AV1; what identifies it is in its first bytes. */
  coded(time: number, av1: boolean, bytes: Uint8Array): void;
  identify(time: number, payload: Uint8Array): void;

  /** The next thing to do, or null; `now` in milliseconds of a clock that does not jump. */
  nextTask(now: number): Task | null;

  seek(frame: number): void;
  pause(on: boolean): void;
  loop(on: boolean): void;
  chooseRung(rung: number | null): void;
  report(how: { upscaleMs: number; fps: number; interpolating: boolean }): void;
  leave(): void;

  /** The caller's thread among them. */
  readonly threads: number;
  get adapts(): boolean;
  get isa(): string;
  get figures(): Figures;
  get memoryBytes(): number;
  segmentOf(frame: number): number;
  ready(rung: number, segment: number): boolean;

  /** Room for an LR picture within the session. */
  frame(width: number, height: number): Frame;
  /** Where it is false, `upscale` wants no planes of that frame. */
  wants(time: number): boolean;
  /**
   * The HR planes are views that hold until the next call, of the padded size of the largest rung: crop
   * them to the source's. `picture` is null where the frame is not shown.
   */
  upscale(
    picture: Picture | { width: number; height: number },
    options?: FrameOptions,
  ): FrameResult & { readonly picture: HighPicture | null };
  place(size: { width: number; height: number }, options?: FrameOptions): FrameResult;

  /** Ends it and its threads. */
  close(): void;
}
