import {
  hmmWeigh,
  hmmWeighParams,
  rowConstants,
  stateSumsBytes,
} from "../src/kernels/hmm_weigh.ts";
import { Random } from "../src/math/random.ts";
import { toWideRow } from "../src/math/wide.ts";
import * as reference from "../test/reference/hmm_weigh.ts";
import { asWide, largestError, logsOf } from "../test/support/wide_numbers.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";
import { ROW_CASES } from "./hmm_cases.ts";

export const hmmWeighBench: Bench = {
  name: "hmm_weigh",
  cases: () =>
    ROW_CASES.map(({ lanes, starts, stateTable }) => {
      const random = new Random(1);
      const states = starts.length - 1;
      const bins = starts[states]!;
      const uniforms = (most: number) =>
        toWideRow(Float64Array.from({ length: lanes * bins }, () => most * random.uniform()));
      const predicted = uniforms(1 / bins);
      const likelihood = uniforms(1);
      return {
        spec: hmmWeigh,
        constants: rowConstants(states),
        shape: `${bins} state bins, ${lanes} lanes`,
        rows: lanes,
        flops: 3 * lanes * bins,
        // a weight is written, read again and written scaled
        bytes: 5 * predicted.byteLength,
        buffers: {
          params: hmmWeighParams({ bins, likelihoods: bins }, 0, 1, 0, bins),
          states: stateTable,
          likelihood,
          predicted,
          filtered: predicted.byteLength,
          filter_sums: 4 * lanes * (2 + states),
          state_sums: stateSumsBytes(lanes, states),
        },
        workgroups: [lanes],
        outputs: ["filtered"],
        check({ filtered }) {
          const last = (values: Uint32Array) => values.subarray((lanes - 1) * bins);
          const own = logsOf(last(likelihood));
          // the second state reads the likelihoods of the first
          own.copyWithin(starts[1]!, 0, bins - starts[1]!);
          const twin = reference.hmmWeigh(logsOf(last(predicted)), own);
          checkWithin("hmm_weigh", largestError(last(asWide(filtered!)), twin.filtered), 6e-7);
        },
      };
    }),
};
