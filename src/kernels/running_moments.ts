/**
 * Means and variances of values that come one draw after the other. See `shaders/running_moments.wgsl`.
 *
 * @module
 */

import code from "../../shaders/running_moments.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const runningMoments: KernelSpec = {
  name: "running_moments",
  code,
  bindings: {
    params: "uniform",
    values: "read",
    means: "read_write",
    variances: "read_write",
  },
};
