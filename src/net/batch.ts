/**
 * What a turn of training or prediction is about: a batch of samples, within the tile that the device holds.
 *
 * @module
 */

import type { Tile } from "../stream/pass.ts";

/** Rows and samples of a batch, which follow each other in the tile. */
export interface Batch {
  /** Of the tile's samples: the first, and how many. */
  firstSample: number;
  samples: number;
  /** Of the tile's rows: the first, and how many. Left out where a net has no rows but samples alone. */
  firstRow?: number;
  rows?: number;
  /**
   * Rows of the batch's longest sample: windows of attention begin where they would if all samples were padded
   * to it. Needed by rolling attention alone.
   */
  longest?: number;
  /** Of {@link Net.losses} in the tile: where the losses of this batch go. Default 0. */
  slot?: number;
  /**
   * The update that this batch leads to, from 1: dropout is drawn by it, and Adam's moments are corrected by
   * it. Without one nothing is dropped, as in prediction.
   */
  step?: number;
  /** What the loss's gradient is multiplied by: a part of 1 where several batches make one update. Default 1. */
  scale?: number;
  /** Whether the gradient is added to that of the batch before, and whether the sum of losses goes on. */
  adds?: boolean;
  /** Whether an optimizer takes its step after this batch. Default true. */
  updates?: boolean;
  /** What rates are multiplied by, as schedules want. Default 1. */
  rateScale?: number;
  /** Whether the losses summed up so far are those of all validation samples: see {@link keepBest}. */
  judges?: boolean;
}

/** The batch of a turn: `row` is the first of the turn's rows of the tile, as in `LoopKernel.params`. */
export type BatchOf = (tile: Tile, row: number) => Batch;
