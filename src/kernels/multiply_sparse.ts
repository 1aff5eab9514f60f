/**
 * Products of many vectors with one sparse matrix. See `shaders/multiply_sparse.wgsl`.
 *
 * @module
 */

import code from "../../shaders/multiply_sparse.wgsl?raw" with { type: "text" };
import spread from "../../shaders/shared/spread.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { DENSE_TILE, tileLanes } from "./multiply_dense.ts";

export const multiplySparse: KernelSpec = {
  name: "multiply_sparse",
  code: [code, spread].join("\n"),
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

/** What the kernel is compiled for. Strides in elements, from one lane to the next. */
export interface SparseShape {
  lanes: number;
  states: number;
  bins: number;
  vectorsStride: number;
  productStride: number;
  transposed: boolean;
}

export function multiplySparseConstants(shape: SparseShape): Record<string, number> {
  return {
    WORKGROUP,
    TRANSPOSED: shape.transposed ? 1 : 0,
    LANES: shape.lanes,
    TILE_LANES: tileLanes(shape.lanes),
    STATES: shape.states,
    BINS: shape.bins,
    VECTORS_STRIDE: shape.vectorsStride,
    PRODUCT_STRIDE: shape.productStride,
  };
}

/** In elements: where lane 0 starts; for the sums, from one lane to the next too. */
export function multiplySparseParams(
  vectorsAt: number,
  productAt: number,
  sumsAt: number,
  sumsStride: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(vectorsAt, productAt, sumsAt, sumsStride);
}

export function multiplySparseWorkgroups({ bins, lanes }: SparseShape): number[] {
  const quads = Math.ceil(bins / SPARSE_TILE);
  return [Math.ceil(quads / WORKGROUP), Math.ceil(lanes / tileLanes(lanes))];
}
