/**
 * Attention over the rows of samples, of many nets, forward and backward. See `shaders/net_attend.wgsl` and those beside it.
 *
 * @module
 */

import netAttendCode from "../../shaders/net_attend.wgsl?raw" with { type: "text" };
import netAttendScoresCode from "../../shaders/net_attend_scores.wgsl?raw" with { type: "text" };
import netAttendValuesCode from "../../shaders/net_attend_values.wgsl?raw" with { type: "text" };
import netAttendWeightsCode from "../../shaders/net_attend_weights.wgsl?raw" with { type: "text" };
import netAttendWindowCode from "../../shaders/net_attend_window.wgsl?raw" with { type: "text" };
import bestOfWorkgroup from "../../shaders/shared/best_of_workgroup.wgsl?raw" with { type: "text" };
import samples from "../../shaders/shared/samples.wgsl?raw" with { type: "text" };
import workgroupSums from "../../shaders/shared/workgroup_sums.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const netAttendWindow: KernelSpec = {
  name: "net_attend_window",
  code: [netAttendWindowCode, bestOfWorkgroup].join("\n"),
  bindings: {
    params: "uniform",
    starts: "read",
    detected: "read",
    scores: "read",
    values: "read",
    windows: "read_write",
  },
};

export const netAttendWeights: KernelSpec = {
  name: "net_attend_weights",
  code: [netAttendWeightsCode, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    starts: "read",
    detected: "read",
    scores: "read",
    windows: "read",
    weights: "read_write",
  },
};

export const netAttend: KernelSpec = {
  name: "net_attend",
  code: netAttendCode,
  bindings: {
    params: "uniform",
    starts: "read",
    weights: "read",
    values: "read",
    y: "read_write",
  },
};

export const netAttendScores: KernelSpec = {
  name: "net_attend_scores",
  code: [netAttendScoresCode, samples, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    starts: "read",
    weights: "read",
    values: "read",
    y: "read",
    y_gradient: "read",
    scores_gradient: "read_write",
  },
};

export const netAttendValues: KernelSpec = {
  name: "net_attend_values",
  code: [netAttendValuesCode, samples].join("\n"),
  bindings: {
    params: "uniform",
    starts: "read",
    weights: "read",
    y_gradient: "read",
    values_gradient: "read_write",
  },
};
