/**
 * Forward filter of a hidden Markov model over the rows of a tile. See `shaders/hmm_filter.wgsl`.
 *
 * @module
 */

import code from "../../shaders/hmm_filter.wgsl?raw" with { type: "text" };
import randomWalk from "../../shaders/shared/random_walk.wgsl?raw" with { type: "text" };
import transition from "../../shaders/shared/transition.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const hmmFilter: KernelSpec = {
  name: "hmm_filter",
  anyThreads: true,
  code: [code, transition, wide, randomWalk].join("\n"),
  bindings: {
    params: "uniform",
    transition: "uniform",
    grid_table: "read",
    row_scale: "read",
    likelihood: "read",
    predicted: "read_write",
    filtered: "read_write",
    filter_sums: "read_write",
    field: "read_write",
  },
};

/** Values the kernel writes to `filter_sums` for each row, before those of the states. */
export const FILTER_SUMS_HEAD = 2;

/**
 * @param predicted Strides in vec4, from row to row (0: a single row, in place) and lane to lane.
 * @param likelihoodOf Which of a row's likelihoods each state has: up to 16 of them.
 */
export function hmmFilterParams(
  from: number,
  to: number,
  tileRows: number,
  predicted: { rowStride: number; laneStride: number },
  likelihoodOf: readonly number[],
): Uint32Array<ArrayBuffer> {
  const likelihoods = Math.max(...likelihoodOf) + 1;
  const packed = likelihoodOf.reduce((packed, own, state) => packed + own * 16 ** state, 0);
  const { rowStride, laneStride } = predicted;
  return Uint32Array.of(from, to, tileRows, rowStride, laneStride, likelihoods, packed, 0);
}

/**
 * Logarithm of a row's sum `c` of weights, natural; -Infinity for a row that is impossible.
 *
 * Taken from the quotient that the kernel multiplied by: whatever f32 made of c, the next row starts
 * from what that quotient left, so that rounding cancels between rows instead of adding up.
 */
export function logNormaliser(shift: number, inverse: number): number {
  return inverse === 0 ? -Infinity : shift * Math.LN2 - Math.log(inverse);
}
