/**
 * Log-likelihoods of numbers under Gaussians. See `shaders/gauss_likelihood.wgsl`.
 *
 * @module
 */

import code from "../../shaders/gauss_likelihood.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import exponential from "../../shaders/shared/exponential.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

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
