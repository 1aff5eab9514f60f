import { hmmRatio, hmmRatioConstants, hmmRatioParams } from "../src/kernels/hmm_ratio.ts";
import { Random } from "../src/math/random.ts";
import * as reference from "../test/reference/hmm_ratio.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";
import { ROW_CASES } from "./hmm_cases.ts";

export const hmmRatioBench: Bench = {
  name: "hmm_ratio",
  cases: () =>
    ROW_CASES.map(({ lanes, starts, stateTable }) => {
      const random = new Random(1);
      const states = starts.length - 1;
      const bins = starts[states]!;
      const randoms = () =>
        Float32Array.from({ length: lanes * bins }, () => 0.5 + random.uniform());
      const [smoothed, predicted] = [randoms(), randoms()];
      return {
        spec: hmmRatio,
        constants: hmmRatioConstants(states, bins),
        shape: `${bins} state bins, ${lanes} lanes`,
        rows: lanes,
        flops: 2 * lanes * bins,
        bytes: 3 * predicted.byteLength,
        buffers: {
          params: hmmRatioParams(0, bins),
          states: stateTable,
          smoothed_carry: smoothed,
          predicted,
          ratio: predicted.byteLength,
          ratio_sums: 4 * lanes * states,
        },
        workgroups: [lanes],
        outputs: ["ratio"],
        check({ ratio }) {
          const last = (values: Float32Array) => values.subarray((lanes - 1) * bins);
          const twin = reference.hmmRatio(last(smoothed), last(predicted));
          checkWithin("hmm_ratio", largestDifference(last(ratio!), twin), 1e-6);
        },
      };
    }),
};
