/**
 * Second moments of rows. See `shaders/second_moments.wgsl`.
 *
 * @module
 */

import outerProduct from "../../shaders/shared/outer_product.wgsl?raw" with { type: "text" };
import code from "../../shaders/second_moments.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const secondMoments: KernelSpec = {
  name: "second_moments",
  code: [code, outerProduct].join("\n"),
  bindings: { params: "uniform", rows: "read", grains: "read", moments: "read_write" },
};

/** Edge of the squares that moments are kept in. */
export const SQUARE = 64;

export interface MomentsShape {
  features: number;
  blockRows: number;
  /** Rows of the largest tile. */
  tileRows: number;
}

/** Elements of a row as it is stored: a thread takes 8 at a time. */
export function rowStride(features: number): number {
  return Math.ceil(features / 8) * 8;
}

/** Squares on and above the diagonal. */
export function squarePairs(features: number): number {
  const across = Math.ceil(features / SQUARE);
  return across * (across + 1) / 2;
}

/** f32 elements of the moments of a block. */
export function momentElements(features: number): number {
  return squarePairs(features) * SQUARE * SQUARE;
}

/**
 * Rows of a block: fixed for a shape, so that moments are the same whatever the tile. Short, since the
 * rounding of f32 sums grows with it; long enough that moments are no more bytes than rows.
 */
export function momentBlockRows(features: number): number {
  return Math.max(64, SQUARE * Math.ceil(features / 2 / SQUARE));
}

/** Blocks that a tile may touch: those that end in it, and one that goes on. */
export function momentRing({ blockRows, tileRows }: MomentsShape): number {
  return Math.ceil(tileRows / blockRows) + 1;
}

export function secondMomentsConstants(shape: MomentsShape): Record<string, number> {
  const { features, blockRows } = shape;
  return {
    DIM: features,
    STRIDE4: rowStride(features) / 4,
    BLOCK_ROWS: blockRows,
    RING: momentRing(shape),
    PAIRS: squarePairs(features),
  };
}

/** What is summed: x x^T as it is, or exactly in two parts that belong together. */
export const PART = { whole: 0, coarse: 1, rest: 2 } as const;
export type Part = (typeof PART)[keyof typeof PART];

/** @param arrayRow Row of the array at which the tile begins. */
export function secondMomentsParams(
  from: number,
  to: number,
  arrayRow: number,
  part: Part,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, arrayRow, part);
}

/** Of what the coarse part of every feature is a multiple, by the largest magnitude it has. */
export function momentGrains(
  largest: ArrayLike<number>,
  { features, blockRows }: Pick<MomentsShape, "features" | "blockRows">,
): Float32Array<ArrayBuffer> {
  // products of the coarse parts of a block add up to 2^24 grains at most, where f32 is exact
  const bits = Math.floor((24 - Math.log2(blockRows)) / 2);
  const grains = new Float32Array(rowStride(features)).fill(1);
  for (let d = 0; d < features; d++) {
    if (largest[d]! > 0) grains[d] = 2 ** (Math.ceil(Math.log2(largest[d]!)) - bits);
  }
  return grains;
}

/** A workgroup a square and block. */
export function secondMomentsWorkgroups(
  rows: number,
  { features, blockRows }: MomentsShape,
): [number, number] {
  return [squarePairs(features), Math.ceil(rows / blockRows) + 1];
}

/** Bytes of the moments of all blocks that a tile may touch. */
export function momentBytes(shape: MomentsShape): number {
  return 4 * momentRing(shape) * momentElements(shape.features);
}

/** Calls back for the squares of a block: where each begins, and its first row and column. */
export function forEachSquare(
  features: number,
  take: (at: number, row: number, column: number) => void,
): void {
  let at = 0;
  for (let row = 0; row < features; row += SQUARE) {
    for (let column = row; column < features; column += SQUARE) {
      take(at, row, column);
      at += SQUARE * SQUARE;
    }
  }
}
