/**
 * Adds up the blocks of a dense product. See `shaders/sum_blocks.wgsl`.
 *
 * @module
 */

import spread from "../../shaders/shared/spread.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import code from "../../shaders/sum_blocks.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import type { DenseShape } from "./multiply_dense.ts";
import { denseBlocks, denseKept } from "./multiply_dense.ts";

export const sumBlocks: KernelSpec = {
  name: "sum_blocks",
  code: [code, spread, wide].join("\n"),
  bindings: {
    params: "uniform",
    partial: "read",
    states: "read",
    spread_weights: "read",
    state_sums: "read",
    product: "read_write",
  },
};

const WORKGROUP = 32;
const THREAD_BINS = 4;

export const sumBlocksConstants: Record<string, number> = { WORKGROUP };

/**
 * @param keptFirst Bin of the first row (transposed) or column of the dense matrix.
 * @param productAt Element where lane 0 starts, and elements from one lane to the next.
 */
export function sumBlocksParams(
  shape: DenseShape,
  bins: number,
  keptFirst: number,
  productAt: number,
  productStride: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(
    productAt,
    productStride,
    shape.lanes,
    shape.states,
    bins,
    denseBlocks(shape),
    denseKept(shape),
    keptFirst,
    keptFirst + (shape.transposed ? shape.rows : shape.columns),
    0,
    0,
    0,
  );
}

export function sumBlocksWorkgroups(bins: number, lanes: number): number[] {
  return [Math.ceil(bins / (THREAD_BINS * WORKGROUP)), lanes];
}
