/**
 * Values that are drawn from normal distributions. See `shaders/net_sample.wgsl` and `net_sample_gradient.wgsl`.
 *
 * @module
 */

import netSampleCode from "../../shaders/net_sample.wgsl?raw" with { type: "text" };
import netSampleGradientCode from "../../shaders/net_sample_gradient.wgsl?raw" with {
  type: "text",
};
import exponential from "../../shaders/shared/exponential.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import normal from "../../shaders/shared/normal.wgsl?raw" with { type: "text" };
import philox from "../../shaders/shared/philox.wgsl?raw" with { type: "text" };
import sampled from "../../shaders/shared/sampled.wgsl?raw" with { type: "text" };
import workgroupSums from "../../shaders/shared/workgroup_sums.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

const shared = [sampled, normal, philox, exponential, logarithm];

export const netSample: KernelSpec = {
  name: "net_sample",
  code: [netSampleCode, ...shared, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    mean: "read",
    spread: "read",
    seeds: "read",
    y: "read_write",
    divergences: "read_write",
  },
};

export const netSampleGradient: KernelSpec = {
  name: "net_sample_gradient",
  code: [netSampleGradientCode, ...shared].join("\n"),
  bindings: {
    params: "uniform",
    mean: "read",
    spread: "read",
    seeds: "read",
    y_gradient: "read",
    mean_gradient: "read_write",
    spread_gradient: "read_write",
  },
};
