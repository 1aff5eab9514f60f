/**
 * Between what a decoder gives and likelihoods of counts: means, and gradients. See `shaders/softmax_means.wgsl`,
 * `likelihood_gradient.wgsl` and `dispersion_gradient.wgsl`.
 *
 * @module
 */

import dispersionGradientCode from "../../shaders/dispersion_gradient.wgsl?raw" with {
  type: "text",
};
import likelihoodGradientCode from "../../shaders/likelihood_gradient.wgsl?raw" with {
  type: "text",
};
import softmaxMeansCode from "../../shaders/softmax_means.wgsl?raw" with { type: "text" };
import exponential from "../../shaders/shared/exponential.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import workgroupSums from "../../shaders/shared/workgroup_sums.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const softmaxMeans: KernelSpec = {
  name: "softmax_means",
  code: [softmaxMeansCode, exponential, logarithm, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    libraries: "read",
    zero_logits: "read",
    values: "read_write",
  },
};

export const likelihoodGradient: KernelSpec = {
  name: "likelihood_gradient",
  code: [likelihoodGradientCode, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    log_likelihoods: "read",
    means: "read",
    libraries: "read",
    slopes: "read_write",
    others: "read_write",
    losses: "read_write",
  },
};

export const dispersionGradient: KernelSpec = {
  name: "dispersion_gradient",
  code: dispersionGradientCode,
  bindings: { params: "uniform", slopes: "read", gradient: "read_write" },
};
