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
   * to it. Default 0: they lie inside of their own sample, whatever is beside it.
   */
  longest?: number;
  /** Of the tile's losses ({@link Net.losses}): where those of this batch go. Default 0. */
  slot?: number;
  /**
   * The update that this batch leads to, from 1: dropout is drawn by it, and Adam's moments are corrected by
   * it. Without one nothing is dropped, as in prediction.
   */
  step?: number;
  /** Which draw of variational values, from 1, and of which turn of those that have it; 0: their means. Default 0. */
  draw?: number;
  drawnFor?: number;
  /** Times the divergence of variational values from normal ones, by row, in the loss. Default 0. */
  divergence?: number;
  /** Of the part of a batch: its first sample, counted from the batch's first. Default 0. */
  partStart?: number;
  /** Whether values are made once more, for the gradient: running statistics have moved already. Default false. */
  again?: boolean;
  /** What the gradient is multiplied by: a part of 1 where several batches make one update. Default 1. */
  scale?: number;
  /**
   * Whether the gradient is added to that of the batch before, and the sum of losses in {@link PROGRESS} goes
   * on. Default false.
   */
  adds?: boolean;
  /** Whether an optimizer takes its step after this batch. Default true. */
  updates?: boolean;
  /** What rates are multiplied by, as schedules want. Default 1. */
  rateScale?: number;
  /** Of rows that are mixed in pairs, the share of the first. Default 1. */
  share?: number;
  /** Whether the losses summed up so far are those of all validation samples: see {@link KeepBest}. */
  judges?: boolean;
}

/** The batch of a turn: `row` is the first of the turn's rows of the tile, as in `LoopKernel.params`. */
export type BatchOf = (tile: Tile, row: number, repeat?: number) => Batch;

/** A batch of which nothing is left open. */
export type WholeBatch = Required<Batch>;

export function wholeBatch(batch: Batch): WholeBatch {
  return {
    firstRow: 0,
    rows: 0,
    longest: 0,
    slot: 0,
    step: 0,
    draw: 0,
    drawnFor: 0,
    divergence: 0,
    partStart: 0,
    again: false,
    scale: 1,
    adds: false,
    updates: true,
    rateScale: 1,
    share: 1,
    judges: false,
    ...batch,
  };
}
