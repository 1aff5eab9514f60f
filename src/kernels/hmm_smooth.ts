/**
 * Backward smoother of a hidden Markov model over the rows of a tile. See `shaders/hmm_smooth.wgsl`.
 *
 * @module
 */

import code from "../../shaders/hmm_smooth.wgsl?raw" with { type: "text" };
import randomWalk from "../../shaders/shared/random_walk.wgsl?raw" with { type: "text" };
import transition from "../../shaders/shared/transition.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const hmmSmooth: KernelSpec = {
  name: "hmm_smooth",
  code: [code, transition, randomWalk].join("\n"),
  bindings: {
    params: "uniform",
    transition: "uniform",
    grid_table: "read",
    row_scale: "read",
    predicted: "read",
    filtered: "read_write",
    smoothed_carry: "read_write",
    smooth_sums: "read_write",
    field: "read_write",
  },
};

const NOT_IN_TILE = 0xffffffff;

/** `lastRow` is the tile row that ends the recording, `undefined` when a later tile holds it. */
export function hmmSmoothParams(
  from: number,
  to: number,
  lastRow: number | undefined,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, lastRow ?? NOT_IN_TILE, 0);
}
