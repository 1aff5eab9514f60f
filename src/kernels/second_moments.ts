/**
 * Second moments of rows. See `shaders/second_moments.wgsl`.
 *
 * @module
 */

import code from "../../shaders/second_moments.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { withProducts } from "./outer_product.ts";

export const secondMoments: KernelSpec = {
  name: "second_moments",
  ...withProducts(code),
  bindings: {
    params: "uniform",
    rows: "read",
    starts: "read",
    grains: "read",
    moments: "read_write",
  },
};

/** Edge of the squares that moments are kept in. */
export const SQUARE = 64;

export interface MomentsShape {
  /** Of a frame: of a row, where rows are frames. */
  features: number;
  /** Frames of a row; 1 when not given. */
  lags?: number;
  blockRows: number;
  /** Rows of the largest tile. */
  tileRows: number;
  /** Blocks that are kept at once; as many as a tile may touch when not given. */
  ring?: number;
}

/** Elements of a row as it is stored: a thread takes 8 at a time. */
export function rowStride(features: number): number {
  return Math.ceil(features / 8) * 8;
}

/** Squares on and above the diagonal, and all of every other lag. */
export function squarePairs(features: number, lags = 1): number {
  const across = Math.ceil(features / SQUARE);
  return across * (across + 1) / 2 + (lags - 1) * across * across;
}

/** f32 elements of the moments of a block. */
export function momentElements(features: number, lags = 1): number {
  return squarePairs(features, lags) * SQUARE * SQUARE;
}

/**
 * Rows of a block: fixed for a shape, so that moments are the same whatever the tile. Short, since the
 * rounding of f32 sums grows with it; long enough that moments are no more bytes than rows.
 */
export function momentBlockRows(features: number, lags = 1): number {
  return Math.max(64, SQUARE * Math.ceil(features * (lags - 0.5) / SQUARE));
}

/** Blocks that a tile may touch: those that end in it, and one that goes on. */
export function momentRing({ blockRows, tileRows, ring }: MomentsShape): number {
  return ring ?? Math.ceil(tileRows / blockRows) + 1;
}

export function secondMomentsConstants(
  { blockRows, lags = 1 }: Pick<MomentsShape, "blockRows" | "lags">,
): Record<string, number> {
  return { BLOCK_ROWS: blockRows, LAGS: lags, FINE: 2 ** -coarseBits(blockRows) };
}

/**
 * What is summed: x x^T as it is; or coarse and rest, which belong together and lose a hundred times less; or
 * coarse, middle and last, which lose nothing that f32 has of the rows.
 */
export const PART = { whole: 0, coarse: 1, rest: 2, middle: 3, last: 4 } as const;
export type Part = (typeof PART)[keyof typeof PART];

/**
 * @param arrayRow Row of the array at which the tile begins.
 * @param firstPair First of the squares that are summed.
 */
export function secondMomentsParams(
  shape: MomentsShape,
  from: number,
  to: number,
  arrayRow: number,
  part: Part,
  firstPair = 0,
): Uint32Array<ArrayBuffer> {
  const places = [from, to, arrayRow, part, firstPair];
  return Uint32Array.of(...places, shape.features, momentRing(shape), 0);
}

/** Of a coarse part: products of those of a block add up to 2^24 grains at most, where f32 is exact. */
function coarseBits(blockRows: number): number {
  return Math.floor((24 - Math.log2(blockRows)) / 2);
}

/** Of what the coarse part of every feature is a multiple, by the largest magnitude it has. */
export function momentGrains(
  largest: ArrayLike<number>,
  { features, blockRows }: Pick<MomentsShape, "features" | "blockRows">,
): Float32Array<ArrayBuffer> {
  const bits = coarseBits(blockRows);
  const grains = new Float32Array(rowStride(features)).fill(1);
  for (let d = 0; d < features; d++) {
    if (largest[d]! > 0) grains[d] = 2 ** (Math.ceil(Math.log2(largest[d]!)) - bits);
  }
  return grains;
}

/** A workgroup a square and block; of so many squares, all when not given. */
export function secondMomentsWorkgroups(
  rows: number,
  { features, blockRows, lags }: MomentsShape,
  squares = squarePairs(features, lags),
): [number, number] {
  return [squares, Math.ceil(rows / blockRows) + 1];
}

/** Bytes of the moments of all blocks that a tile may touch. */
export function momentBytes(shape: MomentsShape): number {
  return 4 * momentRing(shape) * momentElements(shape.features, shape.lags);
}

/** Where a square of a block begins, by its row and column of squares; of lag 0 on or above the diagonal. */
export function squareIndex(features: number, down: number, along: number, lag: number): number {
  const across = Math.ceil(features / SQUARE);
  const square = lag === 0
    ? down * across - down * (down - 1) / 2 + along - down
    : squarePairs(features, lag) + down * across + along;
  return square * SQUARE * SQUARE;
}

/** Calls back for the squares of a block: where each begins, its first row and column, and its lag. */
export function forEachSquare(
  features: number,
  take: (at: number, row: number, column: number, lag: number) => void,
  lags = 1,
): void {
  let at = 0;
  for (let lag = 0; lag < lags; lag++) {
    for (let row = 0; row < features; row += SQUARE) {
      for (let column = lag === 0 ? row : 0; column < features; column += SQUARE) {
        take(at, row, column, lag);
        at += SQUARE * SQUARE;
      }
    }
  }
}
