/**
 * Batch norms of many nets, forward, backward and backward again, and what follows norms. See `shaders/net_batch_norm.wgsl` and those
 * beside it.
 *
 * @module
 */

import netActivateCode from "../../shaders/net_activate.wgsl?raw" with { type: "text" };
import netBatchNormCode from "../../shaders/net_batch_norm.wgsl?raw" with { type: "text" };
import netBatchNormGradientCode from "../../shaders/net_batch_norm_gradient.wgsl?raw" with {
  type: "text",
};
import netBatchNormSecondCode from "../../shaders/net_batch_norm_second.wgsl?raw" with {
  type: "text",
};
import columnSums from "../../shaders/shared/column_sums.wgsl?raw" with { type: "text" };
import normColumns from "../../shaders/shared/norm_columns.wgsl?raw" with { type: "text" };
import philox from "../../shaders/shared/philox.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const netBatchNorm: KernelSpec = {
  name: "net_batch_norm",
  code: [netBatchNormCode, columnSums, normColumns].join("\n"),
  bindings: {
    params: "uniform",
    x: "read",
    parameters: "read_write",
    stats: "read_write",
    y: "read_write",
  },
};

export const netBatchNormGradient: KernelSpec = {
  name: "net_batch_norm_gradient",
  code: [netBatchNormGradientCode, columnSums, normColumns].join("\n"),
  bindings: {
    params: "uniform",
    x: "read",
    y_gradient: "read",
    stats: "read",
    parameters: "read",
    x_gradient: "read_write",
    gradient: "read_write",
  },
};

export const netBatchNormSecond: KernelSpec = {
  name: "net_batch_norm_second",
  code: [netBatchNormSecondCode, columnSums, normColumns].join("\n"),
  bindings: {
    params: "uniform",
    x: "read",
    y_gradient: "read",
    y_slope: "read",
    change: "read",
    stats: "read",
    parameters: "read",
    x_gradient: "read_write",
    gradient: "read_write",
  },
};

export const netActivate: KernelSpec = {
  name: "net_activate",
  code: [netActivateCode, philox].join("\n"),
  bindings: { params: "uniform", seeds: "read", y: "read_write" },
};
