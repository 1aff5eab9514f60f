import { hmmRatio, hmmRatioParams } from "../src/kernels/hmm_ratio.ts";
import { rowConstants, stateSumsBytes } from "../src/kernels/hmm_weigh.ts";
import * as reference from "../test/reference/hmm_ratio.ts";
import { rowBench } from "./hmm_cases.ts";

export const hmmRatioBench = rowBench(
  "hmm_ratio",
  ({ lanes, states, bins, stateTable, inputs }) => {
    const [smoothed, predicted] = inputs;
    return {
      spec: hmmRatio,
      constants: rowConstants(states),
      operations: 2,
      passes: 3,
      buffers: {
        params: hmmRatioParams(bins, 0, bins),
        states: stateTable,
        smoothed_carry: smoothed,
        predicted,
        ratio: predicted.byteLength,
        state_sums: stateSumsBytes(lanes, states),
      },
      output: "ratio",
      // over the power of two that the kernel divides them by: the largest's, as all are near
      twin(smoothed, predicted) {
        const ratio = reference.hmmRatio(smoothed, predicted);
        const largest = ratio.reduce((most, log) => Math.max(most, log));
        const scale = Math.LN2 * Math.floor(largest / Math.LN2);
        return ratio.map((log) => log - scale);
      },
      tolerance: 1e-6,
    };
  },
);
