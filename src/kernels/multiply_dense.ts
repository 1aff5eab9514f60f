/**
 * Products of many vectors with one dense matrix or its transpose. See `shaders/multiply_dense.wgsl`.
 *
 * @module
 */

import code from "../../shaders/multiply_dense.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const multiplyDense: KernelSpec = {
  name: "multiply_dense",
  code: [code, wide].join("\n"),
  bindings: {
    params: "uniform",
    matrix: "read",
    vectors: "read",
    state_sums: "read",
    partial: "read_write",
  },
};

/** Elements of a sum that are added up by themselves. Parts of a matrix are whole blocks of rows. */
export const DENSE_BLOCK = 256;

/** Rows and columns that share a tile of memory, and a bounds check. */
export const DENSE_TILE = 4;

// one hardware wave on most GPUs; without barriers, larger workgroups gain nothing
const WORKGROUP = 32;
/** Tiles side by side that a thread works on. */
const THREAD_TILES = 4;
const MOST_TILE_LANES = 8;

/** Sizes of a product. */
export interface DenseShape {
  /** Rows and columns of T, and the rows of T that a part holds at most. */
  rows: number;
  columns: number;
  partRows: number;
  lanes: number;
  states: number;
  transposed: boolean;
}

const tiles = (elements: number) => Math.ceil(elements / DENSE_TILE);

/** Lanes a thread takes: enough to use what it loads, few enough for its registers. */
export function tileLanes(lanes: number): number {
  return Math.min(MOST_TILE_LANES, 2 ** Math.ceil(Math.log2(lanes)));
}

/** Blocks of the sum. */
export function denseBlocks({ rows, columns, transposed }: DenseShape): number {
  return Math.ceil((transposed ? columns : rows) / DENSE_BLOCK);
}

/** Elements from one lane of `partial` to the next. */
export function denseKept({ rows, columns, transposed }: DenseShape): number {
  return DENSE_TILE * tiles(transposed ? rows : columns);
}

/** Size of `partial`, which all parts of a product share. */
export function densePartialBytes(shape: DenseShape): number {
  return 4 * denseBlocks(shape) * shape.lanes * denseKept(shape);
}

export function multiplyDenseConstants(shape: DenseShape): Record<string, number> {
  return {
    WORKGROUP,
    TRANSPOSED: shape.transposed ? 1 : 0,
    TILE_LANES: tileLanes(shape.lanes),
  };
}

/**
 * @param part Number of the part of T that is bound.
 * @param vectorsAt Element where lane 0 starts, and elements from one lane to the next.
 */
export function multiplyDenseParams(
  { rows, columns, partRows, lanes, states, transposed }: DenseShape,
  part: number,
  vectorsAt: number,
  vectorsStride: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(
    transposed ? 0 : part * partRows / DENSE_BLOCK,
    transposed ? part * tiles(partRows) : 0,
    vectorsAt,
    vectorsStride,
    lanes,
    states,
    tiles(rows),
    tiles(columns),
    tiles(partRows),
    0,
    0,
    0,
  );
}

/** Workgroups for one part of T. */
export function multiplyDenseWorkgroups(shape: DenseShape, part: number): number[] {
  const partRows = Math.min(shape.partRows, shape.rows - part * shape.partRows);
  const kept = tiles(shape.transposed ? partRows : shape.columns);
  const summed = shape.transposed ? shape.columns : partRows;
  return [
    Math.ceil(shape.lanes / tileLanes(shape.lanes)),
    Math.ceil(kept / (THREAD_TILES * WORKGROUP)),
    Math.ceil(summed / DENSE_BLOCK),
  ];
}
