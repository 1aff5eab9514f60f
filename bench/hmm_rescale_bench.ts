import { NOWHERE } from "../src/kernels/hmm_smooth.ts";
import { hmmRescale, hmmRescaleConstants, hmmRescaleParams } from "../src/kernels/hmm_rescale.ts";
import { Random } from "../src/math/random.ts";
import * as reference from "../test/reference/hmm_rescale.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";
import { ROW_CASES } from "./hmm_cases.ts";

export const hmmRescaleBench: Bench = {
  name: "hmm_rescale",
  cases: () =>
    ROW_CASES.map(({ lanes, starts, stateTable }) => {
      const random = new Random(1);
      const states = starts.length - 1;
      const bins = starts[states]!;
      const randoms = () => Float32Array.from({ length: lanes * bins }, () => random.uniform());
      const [back, filtered] = [randoms(), randoms()];
      return {
        spec: hmmRescale,
        constants: hmmRescaleConstants(states, bins),
        shape: `${bins} state bins, ${lanes} lanes`,
        rows: lanes,
        flops: 3 * lanes * bins,
        // a weight is written, read again and written scaled, twice
        bytes: 6 * back.byteLength,
        buffers: {
          params: hmmRescaleParams(0, 1, { firstEnd: NOWHERE, laneLength: 0 }),
          states: stateTable,
          back,
          filtered,
          smoothed_carry: back.byteLength,
          smooth_sums: 4 * lanes * states,
        },
        workgroups: [lanes],
        outputs: ["smoothed_carry"],
        check({ smoothed_carry: smoothed }) {
          const last = (values: Float32Array) => values.subarray((lanes - 1) * bins);
          const twin = reference.hmmRescale(last(filtered), last(back));
          checkWithin("hmm_rescale", largestDifference(last(smoothed!), twin), 3e-7);
        },
      };
    }),
};
