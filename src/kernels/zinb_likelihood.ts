/**
 * Log-likelihoods of counts under negative binomials with extra zeros. See `shaders/zinb_likelihood.wgsl`.
 *
 * @module
 */

import code from "../../shaders/zinb_likelihood.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import exponential from "../../shaders/shared/exponential.wgsl?raw" with { type: "text" };
import negativeBinomial from "../../shaders/shared/negative_binomial.wgsl?raw" with {
  type: "text",
};
import type { KernelSpec } from "../gpu/kernel.ts";

export const zinbLikelihood: KernelSpec = {
  name: "zinb_likelihood",
  code: [code, logarithm, exponential, negativeBinomial].join("\n"),
  bindings: {
    params: "uniform",
    counts: "read",
    means: "read",
    log_dispersions: "read",
    zero_logits: "read",
    log_likelihood: "read_write",
    by_log_mean: "read_write",
    by_log_dispersion: "read_write",
    by_zero_logit: "read_write",
  },
};
