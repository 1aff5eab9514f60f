/**
 * Forward filter of a hidden Markov model over the rows of a tile. See `shaders/hmm_filter.wgsl`.
 *
 * @module
 */

import code from "../../shaders/hmm_filter.wgsl?raw" with { type: "text" };
import randomWalk from "../../shaders/shared/random_walk.wgsl?raw" with { type: "text" };
import transition from "../../shaders/shared/transition.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const hmmFilter: KernelSpec = {
  name: "hmm_filter",
  code: [code, transition, randomWalk].join("\n"),
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

/** Strides are in vec4; 0 keeps a single row that is worked on in place. */
export function hmmFilterParams(
  from: number,
  to: number,
  predictedStride: number,
  filteredStride: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, predictedStride, filteredStride);
}
