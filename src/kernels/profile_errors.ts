/**
 * How far profiles of categories of cells are from what is expected. See `shaders/profile_errors.wgsl`.
 *
 * @module
 */

import code from "../../shaders/profile_errors.wgsl?raw" with { type: "text" };
import exponential from "../../shaders/shared/exponential.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import workgroupSums from "../../shaders/shared/workgroup_sums.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const profileErrors: KernelSpec = {
  name: "profile_errors",
  code: [code, exponential, logarithm, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    counts: "read",
    means: "read",
    raw_variances: "read",
    lists: "read",
    categories: "read",
    errors: "read_write",
  },
};
