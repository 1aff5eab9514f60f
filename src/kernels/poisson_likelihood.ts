/**
 * Poisson likelihood of sparse spikes. See `shaders/poisson_likelihood.wgsl`.
 *
 * @module
 */

import code from "../../shaders/poisson_likelihood.wgsl?raw" with { type: "text" };
import exponential from "../../shaders/shared/exponential.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const poissonLikelihood: KernelSpec = {
  name: "poisson_likelihood",
  code: [code, exponential].join("\n"),
  bindings: {
    params: "uniform",
    spike_starts: "read",
    spike_units: "read",
    log_rates: "read",
    silence: "read",
    likelihood: "read_write",
    row_maximum: "read_write",
  },
};

/** `cells` of 4 bins. */
export function poissonLikelihoodConstants(cells: number): Record<string, number> {
  return { WORKGROUP: 64, CELLS: cells };
}

export function poissonLikelihoodParams(from: number, to: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, 0, 0);
}

/** A workgroup a row. */
export function poissonLikelihoodWorkgroups(rows: number): [number, number] {
  return foldWorkgroups(rows);
}
