import { hmmRatio, hmmRatioConstants, hmmRatioParams } from "../src/kernels/hmm_ratio.ts";
import * as reference from "../test/reference/hmm_ratio.ts";
import { rowBench } from "./hmm_cases.ts";

export const hmmRatioBench = rowBench(
  "hmm_ratio",
  ({ lanes, states, bins, stateTable, inputs }) => {
    const [smoothed, predicted] = inputs;
    return {
      spec: hmmRatio,
      constants: hmmRatioConstants(states, bins),
      operations: 2,
      passes: 3,
      buffers: {
        params: hmmRatioParams(0, bins),
        states: stateTable,
        smoothed_carry: smoothed,
        predicted,
        ratio: predicted.byteLength,
        ratio_sums: 4 * lanes * states,
      },
      output: "ratio",
      twin: reference.hmmRatio,
      tolerance: 1e-6,
    };
  },
);
