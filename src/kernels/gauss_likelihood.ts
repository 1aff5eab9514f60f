/**
 * Log-likelihoods of numbers under Gaussians. See `shaders/gauss_likelihood.wgsl`.
 *
 * @module
 */

import code from "../../shaders/gauss_likelihood.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import exponential from "../../shaders/shared/exponential.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const gaussLikelihood: KernelSpec = {
  name: "gauss_likelihood",
  code: [code, logarithm, exponential].join("\n"),
  bindings: {
    params: "uniform",
    values: "read",
    means: "read",
    raw_variances: "read",
    log_likelihood: "read_write",
    by_mean: "read_write",
    by_raw_variance: "read_write",
  },
};

const WORKGROUP = 256;

export const gaussLikelihoodConstants: Record<string, number> = { WORKGROUP };

export function gaussLikelihoodParams(elements: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(elements, 0, 0, 0);
}

/** A thread an element. */
export function gaussLikelihoodWorkgroups(elements: number): [number, number] {
  return foldWorkgroups(Math.ceil(elements / WORKGROUP));
}
