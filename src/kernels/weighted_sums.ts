/**
 * Sums of rows by columns of weights, block by block. See `shaders/weighted_sums.wgsl`.
 *
 * @module
 */

import code from "../../shaders/weighted_sums.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { GROUP, projectedRows } from "./project_rows.ts";

export const weightedSums: KernelSpec = {
  name: "weighted_sums",
  code,
  bindings: { params: "uniform", points: "read", weights: "read", sums: "read_write" },
};

export interface WeightedShape {
  features: number;
  /** Rows of a block, a multiple of 64: tiles and dispatches begin with one. */
  blockRows: number;
  /** Rows of the largest tile. */
  tileRows: number;
}

/** f32 elements of a block's sums. */
export function weightedElements({ features }: WeightedShape, columns: number): number {
  return Math.ceil(columns / GROUP) * GROUP * Math.ceil(features / 8) * 8;
}

/** Bytes of the sums of a tile. */
export function weightedBytes(shape: WeightedShape, columns: number): number {
  return 4 * Math.ceil(shape.tileRows / shape.blockRows) * weightedElements(shape, columns);
}

export function weightedSumsConstants(shape: WeightedShape): Record<string, number> {
  const { features, blockRows, tileRows } = shape;
  return { DIM: features, TILE_ROWS8: projectedRows(tileRows) / 8, BLOCK_ROWS: blockRows };
}

/** @param baseRow Row of `points` at which the tile begins, a multiple of 64. */
export function weightedSumsParams(
  from: number,
  to: number,
  baseRow: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, baseRow, 0);
}

export function weightedSumsWorkgroups(
  rows: number,
  { features, blockRows }: WeightedShape,
  columns: number,
): [number, number, number] {
  const groups = Math.ceil(columns / GROUP);
  return [Math.ceil(features / 512), Math.ceil(rows / blockRows), groups];
}

/** Adds the sums of a tile's blocks, in order, to `[columns, features]`. */
export function addWeightedSums(
  sums: Float32Array,
  rows: number,
  shape: WeightedShape,
  columns: number,
  into: Float64Array,
): void {
  const { features, blockRows } = shape;
  const across = Math.ceil(features / 8);
  const length = weightedElements(shape, columns);
  for (let block = 0; block * blockRows < rows; block++) {
    for (let column = 0; column < columns; column++) {
      const group = Math.floor(column / GROUP) * across * 64 + column % GROUP;
      let at = block * length + group;
      for (let d = column * features; d < (column + 1) * features; d++, at += GROUP) {
        into[d]! += sums[at]!;
      }
    }
  }
}
