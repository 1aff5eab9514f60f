/**
 * Linear layers of many nets, forward and backward. See `shaders/net_linear.wgsl` and those beside it.
 *
 * @module
 */

import netActivationGradientCode from "../../shaders/net_activation_gradient.wgsl?raw" with {
  type: "text",
};
import netLinearCode from "../../shaders/net_linear.wgsl?raw" with { type: "text" };
import netLinearSlicesCode from "../../shaders/net_linear_slices.wgsl?raw" with { type: "text" };
import linearResult from "../../shaders/shared/linear_result.wgsl?raw" with { type: "text" };
import netLinearInputsCode from "../../shaders/net_linear_inputs.wgsl?raw" with { type: "text" };
import netLinearWeightsCode from "../../shaders/net_linear_weights.wgsl?raw" with { type: "text" };
import netNormedWeightsCode from "../../shaders/net_normed_weights.wgsl?raw" with { type: "text" };
import netSumPartialsCode from "../../shaders/net_sum_partials.wgsl?raw" with { type: "text" };
import activations from "../../shaders/shared/activations.wgsl?raw" with { type: "text" };
import outerProduct from "../../shaders/shared/outer_product.wgsl?raw" with { type: "text" };
import philox from "../../shaders/shared/philox.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const netLinear: KernelSpec = {
  name: "net_linear",
  code: [netLinearCode, linearResult, outerProduct, activations, philox].join("\n"),
  bindings: {
    params: "uniform",
    x: "read",
    parameters: "read",
    stats: "read",
    seeds: "read",
    y: "read_write",
    z: "read_write",
  },
};

export const netLinearSlices: KernelSpec = {
  name: "net_linear_slices",
  code: [netLinearSlicesCode, linearResult, activations, philox].join("\n"),
  bindings: {
    params: "uniform",
    sums: "read",
    parameters: "read",
    seeds: "read",
    y: "read_write",
    z: "read_write",
  },
};

export const netActivationGradient: KernelSpec = {
  name: "net_activation_gradient",
  code: [netActivationGradientCode, activations, philox].join("\n"),
  bindings: {
    params: "uniform",
    source: "read",
    seeds: "read",
    gradient: "read_write",
  },
};

export const netLinearInputs: KernelSpec = {
  name: "net_linear_inputs",
  code: [netLinearInputsCode, outerProduct].join("\n"),
  bindings: {
    params: "uniform",
    y_gradient: "read",
    parameters: "read",
    x_gradient: "read_write",
  },
};

export const netLinearWeights: KernelSpec = {
  name: "net_linear_weights",
  code: [netLinearWeightsCode, outerProduct].join("\n"),
  bindings: {
    params: "uniform",
    x: "read",
    stats: "read",
    y_gradient: "read",
    partials: "read_write",
  },
};

export const netSumPartials: KernelSpec = {
  name: "net_sum_partials",
  code: netSumPartialsCode,
  bindings: {
    params: "uniform",
    partials: "read",
    gradient: "read_write",
  },
};

export const netNormedWeights: KernelSpec = {
  name: "net_normed_weights",
  code: netNormedWeightsCode,
  bindings: {
    params: "uniform",
    parameters: "read",
    partials: "read",
    gradient: "read_write",
  },
};
