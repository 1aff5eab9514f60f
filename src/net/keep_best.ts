/**
 * Early stopping, on the device: every net's parameters of the lowest validation loss so far are kept, and a net that
 * does not improve for some validations is frozen.
 *
 * @module
 */

import type { LoopKernel, SharedBuffer } from "../stream/pass.ts";
import type { BatchOf } from "./batch.ts";
import type { Net } from "./net.ts";

/** Of a net, u32 words in the buffer `<net> progress`, `[nets, 8]`. */
export const PROGRESS = {
  /** f32 bits: sum of weighted losses, and of weights, since the last batch that did not add. */
  loss: 0,
  weight: 1,
  /** f32 bits: lowest validation loss so far. */
  best: 2,
  /** Validations since, and in all. */
  stale: 3,
  judged: 4,
  /** Which one was the best, from 1. */
  bestAt: 5,
  frozen: 6,
} as const;

export declare class KeepBest {
  /** @param options `patience`: validations without improvement (strictly lower) until a net is frozen. */
  constructor(net: Net, options: { patience: number });
  /** `<net> best` `[nets, stride]` (kept). */
  sharedBuffers(): SharedBuffer[];
  /** Compares, copies and counts where a batch {@link Batch.judges}; after forward of validation batches. */
  judge(batchOf: BatchOf): LoopKernel[];
}
