/**
 * Products of many vectors with one sparse matrix. See `shaders/multiply_sparse.wgsl`.
 *
 * @module
 */

import code from "../../shaders/multiply_sparse.wgsl?raw" with { type: "text" };
import spread from "../../shaders/shared/spread.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { DENSE_TILE, tileLanes } from "./multiply_dense.ts";

export const multiplySparse: KernelSpec = {
  name: "multiply_sparse",
  code: [code, spread, wide].join("\n"),
  bindings: {
    params: "uniform",
    tiles: "read",
    slices: "read",
    entries: "read",
    vectors: "read",
    states: "read",
    spread_weights: "read",
    state_sums: "read",
    product: "read_write",
  },
};

/** Rows and columns of a tile. */
export const SPARSE_TILE = DENSE_TILE;

/** Quads of results whose entries lie interleaved. */
export const SPARSE_SLICE = 32;

const WORKGROUP = 32;

/** Sizes of a product. */
export interface SparseShape {
  lanes: number;
  states: number;
  bins: number;
  transposed: boolean;
}

/** Elements of a buffer: where lane 0 starts, and from one lane to the next. */
export interface LaneElements {
  at: number;
  stride: number;
}

export function multiplySparseConstants(shape: SparseShape): Record<string, number> {
  return {
    WORKGROUP,
    TRANSPOSED: shape.transposed ? 1 : 0,
    TILE_LANES: tileLanes(shape.lanes),
  };
}

export function multiplySparseParams(
  { lanes, states, bins }: SparseShape,
  vectors: LaneElements,
  product: LaneElements,
): Uint32Array<ArrayBuffer> {
  const places = [vectors.at, vectors.stride, product.at, product.stride];
  return Uint32Array.of(...places, lanes, states, bins, 0);
}

export function multiplySparseWorkgroups(
  { bins, lanes }: Pick<SparseShape, "bins" | "lanes">,
): number[] {
  const quads = Math.ceil(bins / SPARSE_TILE);
  return [Math.ceil(quads / WORKGROUP), Math.ceil(lanes / tileLanes(lanes))];
}
