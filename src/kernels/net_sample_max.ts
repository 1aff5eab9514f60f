/**
 * The largest rows of samples, of many nets, forward and backward. See `shaders/net_sample_max.wgsl`.
 *
 * @module
 */

import netSampleMaxCode from "../../shaders/net_sample_max.wgsl?raw" with { type: "text" };
import netSampleMaxGradientCode from "../../shaders/net_sample_max_gradient.wgsl?raw" with {
  type: "text",
};
import bestOfWorkgroup from "../../shaders/shared/best_of_workgroup.wgsl?raw" with { type: "text" };
import samples from "../../shaders/shared/samples.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const netSampleMax: KernelSpec = {
  name: "net_sample_max",
  code: [netSampleMaxCode, bestOfWorkgroup].join("\n"),
  bindings: {
    params: "uniform",
    starts: "read",
    detected: "read",
    x: "read",
    y: "read_write",
    chosen: "read_write",
  },
};

export const netSampleMaxGradient: KernelSpec = {
  name: "net_sample_max_gradient",
  code: [netSampleMaxGradientCode, samples].join("\n"),
  bindings: {
    params: "uniform",
    starts: "read",
    chosen: "read",
    y_gradient: "read",
    x_gradient: "read_write",
  },
};
