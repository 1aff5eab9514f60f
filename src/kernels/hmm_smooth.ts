/**
 * Backward smoother of a hidden Markov model over the rows of a tile. See `shaders/hmm_smooth.wgsl`.
 *
 * @module
 */

import code from "../../shaders/hmm_smooth.wgsl?raw" with { type: "text" };
import randomWalk from "../../shaders/shared/random_walk.wgsl?raw" with { type: "text" };
import transition from "../../shaders/shared/transition.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const hmmSmooth: KernelSpec = {
  name: "hmm_smooth",
  anyThreads: true,
  code: [code, transition, wide, randomWalk].join("\n"),
  bindings: {
    params: "uniform",
    transition: "uniform",
    grid_table: "read",
    row_scale: "read",
    predicted: "read_write",
    filtered: "read_write",
    smoothed_carry: "read_write",
    ratio: "read_write",
    smooth_sums: "read_write",
    field: "read_write",
  },
};

/** Rows, counted from the tile's first, from which lanes start. They may lie outside the tile. */
export interface SmoothStarts {
  /** The recording's last row, in the first lane; `laneLength` rows less in each lane after it. */
  firstEnd: number;
  laneLength: number;
  /** The last row of a burn-in, in every lane. */
  burnInEnd?: number | undefined;
}

/** No row of a tile. */
export const NOWHERE = -1;

export function hmmSmoothParams(
  from: number,
  to: number,
  tileRows: number,
  { firstEnd, laneLength, burnInEnd = NOWHERE }: SmoothStarts,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, tileRows, firstEnd, laneLength, burnInEnd, 0, 0);
}
