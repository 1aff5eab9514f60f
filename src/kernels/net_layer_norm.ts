/**
 * Layer norms of many nets, forward and backward. See `shaders/net_layer_norm.wgsl` and those beside it.
 *
 * @module
 */

import netLayerNormCode from "../../shaders/net_layer_norm.wgsl?raw" with { type: "text" };
import netLayerNormInputsCode from "../../shaders/net_layer_norm_inputs.wgsl?raw" with {
  type: "text",
};
import netLayerNormSecondCode from "../../shaders/net_layer_norm_second.wgsl?raw" with {
  type: "text",
};
import netLayerNormWeightsCode from "../../shaders/net_layer_norm_weights.wgsl?raw" with {
  type: "text",
};
import netRowStatsCode from "../../shaders/net_row_stats.wgsl?raw" with { type: "text" };
import workgroupSums from "../../shaders/shared/workgroup_sums.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const netRowStats: KernelSpec = {
  name: "net_row_stats",
  code: [netRowStatsCode, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    x: "read",
    stats: "read_write",
  },
};

export const netLayerNorm: KernelSpec = {
  name: "net_layer_norm",
  code: netLayerNormCode,
  bindings: {
    params: "uniform",
    x: "read",
    stats: "read",
    parameters: "read",
    y: "read_write",
  },
};

export const netLayerNormInputs: KernelSpec = {
  name: "net_layer_norm_inputs",
  code: [netLayerNormInputsCode, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    x: "read",
    y_gradient: "read",
    stats: "read",
    parameters: "read",
    x_gradient: "read_write",
  },
};

export const netLayerNormSecond: KernelSpec = {
  name: "net_layer_norm_second",
  code: [netLayerNormSecondCode, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    x: "read",
    y_gradient: "read",
    y_slope: "read",
    change: "read",
    stats: "read",
    x_gradient: "read_write",
  },
};

export const netLayerNormWeights: KernelSpec = {
  name: "net_layer_norm_weights",
  code: netLayerNormWeightsCode,
  bindings: {
    params: "uniform",
    x: "read",
    y_gradient: "read",
    stats: "read",
    partials: "read_write",
  },
};
