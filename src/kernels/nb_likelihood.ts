/**
 * Log-likelihoods of counts under negative binomials. See `shaders/nb_likelihood.wgsl`.
 *
 * @module
 */

import code from "../../shaders/nb_likelihood.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import exponential from "../../shaders/shared/exponential.wgsl?raw" with { type: "text" };
import negativeBinomial from "../../shaders/shared/negative_binomial.wgsl?raw" with {
  type: "text",
};
import type { KernelSpec } from "../gpu/kernel.ts";

export const nbLikelihood: KernelSpec = {
  name: "nb_likelihood",
  code: [code, logarithm, exponential, negativeBinomial].join("\n"),
  bindings: {
    params: "uniform",
    counts: "read",
    means: "read",
    log_dispersions: "read",
    log_likelihood: "read_write",
    by_log_mean: "read_write",
    by_log_dispersion: "read_write",
  },
};
