/**
 * Adam and AdamW, on the device: moments lie beside the parameters and are kept with checkpoints.
 *
 * @module
 */

import type { LoopKernel, SharedBuffer } from "../stream/pass.ts";
import type { BatchOf } from "./batch.ts";
import type { Net } from "./net.ts";

/** Of a net and group of parameters. */
export interface AdamRates {
  rate: number;
  /** Default 0. */
  decay?: number;
  /** Default 1e-8. */
  epsilon?: number;
}

export interface AdamOptions {
  /** By net, then by group. */
  rates: readonly (readonly AdamRates[])[];
  /** Default 0.9 and 0.999. */
  betas?: readonly [number, number];
  /** Whether decay shrinks parameters by themselves (AdamW), or is added to the gradient (Adam). Default true. */
  decoupled?: boolean;
}

export declare class Adam {
  constructor(net: Net, options: AdamOptions);
  /** Moments (kept), rates, groups. */
  sharedBuffers(): SharedBuffer[];
  /** Takes a step where a batch {@link Batch.updates}; nets that are frozen stay as they are. */
  step(batchOf: BatchOf): LoopKernel[];
}
