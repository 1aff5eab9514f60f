/**
 * Losses and optimizers of many nets. See `shaders/net_cross_entropy.wgsl`, `net_adam.wgsl` and the others.
 *
 * @module
 */

import netAdamCode from "../../shaders/net_adam.wgsl?raw" with { type: "text" };
import netClassEntropyCode from "../../shaders/net_class_entropy.wgsl?raw" with { type: "text" };
import netClipGradientCode from "../../shaders/net_clip_gradient.wgsl?raw" with { type: "text" };
import netCountStaleCode from "../../shaders/net_count_stale.wgsl?raw" with { type: "text" };
import netCrossEntropyCode from "../../shaders/net_cross_entropy.wgsl?raw" with { type: "text" };
import netGradientSquaresCode from "../../shaders/net_gradient_squares.wgsl?raw" with {
  type: "text",
};
import netKeepBestCode from "../../shaders/net_keep_best.wgsl?raw" with { type: "text" };
import netRegulariseCode from "../../shaders/net_regularise.wgsl?raw" with { type: "text" };
import netSlopePenaltyCode from "../../shaders/net_slope_penalty.wgsl?raw" with { type: "text" };
import activations from "../../shaders/shared/activations.wgsl?raw" with { type: "text" };
import exponential from "../../shaders/shared/exponential.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import progress from "../../shaders/shared/progress.wgsl?raw" with { type: "text" };
import workgroupSums from "../../shaders/shared/workgroup_sums.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const netCrossEntropy: KernelSpec = {
  name: "net_cross_entropy",
  code: [netCrossEntropyCode, activations, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    logits: "read",
    labels: "read",
    weights: "read",
    gradient: "read_write",
    losses: "read_write",
    progress: "read_write",
  },
};

export const netClassEntropy: KernelSpec = {
  name: "net_class_entropy",
  code: [netClassEntropyCode, exponential, logarithm, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    logits: "read",
    classes: "read",
    class_weights: "read",
    gradient: "read_write",
    losses: "read_write",
  },
};

export const netSlopePenalty: KernelSpec = {
  name: "net_slope_penalty",
  code: [netSlopePenaltyCode, workgroupSums].join("\n"),
  bindings: { params: "uniform", slopes: "read_write", losses: "read_write" },
};

export const netRegularise: KernelSpec = {
  name: "net_regularise",
  code: [netRegulariseCode, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    parameters: "read",
    products: "read_write",
    gradient: "read_write",
    losses: "read_write",
  },
};

export const netGradientSquares: KernelSpec = {
  name: "net_gradient_squares",
  code: [netGradientSquaresCode, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    gradient: "read",
    group_of: "read",
    squares: "read_write",
  },
};

export const netClipGradient: KernelSpec = {
  name: "net_clip_gradient",
  code: [netClipGradientCode, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    squares: "read",
    group_of: "read",
    gradient: "read_write",
  },
};

export const netAdam: KernelSpec = {
  name: "net_adam",
  code: netAdamCode,
  bindings: {
    params: "uniform",
    gradient: "read",
    rates: "read",
    group_of: "read",
    progress: "read",
    parameters: "read_write",
    moments: "read_write",
  },
};

export const netKeepBest: KernelSpec = {
  name: "net_keep_best",
  code: [netKeepBestCode, progress].join("\n"),
  bindings: {
    params: "uniform",
    progress: "read",
    parameters: "read",
    best: "read_write",
  },
};

export const netCountStale: KernelSpec = {
  name: "net_count_stale",
  code: [netCountStaleCode, progress].join("\n"),
  bindings: {
    params: "uniform",
    progress: "read_write",
  },
};
