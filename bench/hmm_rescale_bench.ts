import { hmmRescale, hmmRescaleParams } from "../src/kernels/hmm_rescale.ts";
import { rowConstants } from "../src/kernels/hmm_weigh.ts";
import { NOWHERE } from "../src/kernels/hmm_smooth.ts";
import * as reference from "../test/reference/hmm_rescale.ts";
import { rowBench } from "./hmm_cases.ts";

export const hmmRescaleBench = rowBench(
  "hmm_rescale",
  ({ lanes, states, bins, stateTable, inputs }) => {
    const [filtered, back] = inputs;
    return {
      spec: hmmRescale,
      constants: rowConstants(states),
      operations: 3,
      // a weight is written, read again and written scaled, twice
      passes: 6,
      buffers: {
        params: hmmRescaleParams(bins, 0, 1, { firstEnd: NOWHERE, laneLength: 0 }),
        states: stateTable,
        back,
        filtered,
        smoothed_carry: back.byteLength,
        smooth_sums: 4 * lanes * states,
      },
      output: "smoothed_carry",
      twin: reference.hmmRescale,
      tolerance: 6e-7,
    };
  },
);
