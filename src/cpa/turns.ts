/**
 * What a turn of training, validation or prediction is about, and the batches of nets that it makes.
 *
 * @module
 */

import type { WholeBatch } from "../net/batch.ts";
import { wholeBatch } from "../net/batch.ts";
import type { LoopKernel, Tile } from "../stream/pass.ts";

export interface CellTurn {
  /** Of the tile's cells: the first, and how many. */
  firstSample: number;
  samples: number;
  /** Where losses of classifiers go. */
  slot: number;
  /** From 1, of all batches: dropout is drawn by it. Without one nothing is dropped, and norms are by running statistics. */
  step?: number;
  /** Share of a cell that is its own, where cells are mixed. Default 1. */
  share?: number;
  /** Which update of encoder and decoder this is, from 1. */
  autoencoder?: number;
  /** Which update of the classifiers. */
  adversary?: number;
  /** Times the classifiers' loss, which encoder and decoder are to raise. */
  coupling?: number;
  /** What rates are multiplied by. Default 1. */
  rateScale?: number;
  /** Of variational latents: which draw, from 1, and of which turn; none is their mean. */
  draw?: number;
  drawnFor?: number;
  /** Times their divergence from normal ones, in the loss. */
  divergence?: number;
}

/** A turn of a tile; of one that is taken several times, of which time. */
export type TurnOf = (tile: Tile, row: number, repeat?: number) => CellTurn;

/** Batches of nets as they pass cells on. */
export function passing(turnOf: TurnOf) {
  return (tile: Tile, row: number, repeat?: number): WholeBatch => {
    const turn = turnOf(tile, row, repeat);
    const { firstSample, samples, slot, step = 0, share = 1, draw = 0, drawnFor = 0 } = turn;
    const divergence = samples > 0 ? (turn.divergence ?? 0) / samples : 0;
    return wholeBatch({ firstSample, samples, slot, step, share, draw, drawnFor, divergence });
  };
}

/** The part of a turn's cells that begins at one of them: its gradient is added to that of the parts before. */
export function passingPart(turnOf: TurnOf, start: number, most: number) {
  return (tile: Tile, row: number, repeat?: number): WholeBatch => {
    const turn = turnOf(tile, row, repeat);
    const { firstSample, slot, step = 0, share = 1 } = turn;
    return wholeBatch({
      firstSample: firstSample + start,
      samples: Math.max(0, Math.min(most, turn.samples - start)),
      ...{ slot, step, share },
      partStart: start,
      adds: start > 0,
      scale: 1 / turn.samples,
    });
  };
}

/** Kernels that do nothing in other turns. */
export function whenever<Turn extends CellTurn>(
  kernels: readonly LoopKernel[],
  turnOf: (tile: Tile, row: number, repeat?: number) => Turn,
  does: (turn: Turn) => boolean,
): LoopKernel[] {
  return kernels.map((kernel) => ({
    ...kernel,
    workgroups: (tile, row, repeat) =>
      does(turnOf(tile, row, repeat)) ? kernel.workgroups(tile, row, repeat) : [0],
  }));
}

export const improves = ({ autoencoder = 0 }: CellTurn) => autoencoder > 0;
export const opposes = ({ adversary = 0 }: CellTurn) => adversary > 0;
