import * as kernel from "../src/kernels/viterbi_weigh.ts";
import { Random } from "../src/math/random.ts";
import { firstLargest, plus, scoreOf, wordsOf } from "../test/reference/log_score.ts";
import { asWide } from "../test/support/wide_numbers.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const viterbiWeighBench: Bench = {
  name: "viterbi_weigh",
  cases: () =>
    [992, 10_650].map((interior) => {
      const random = new Random(1);
      const scores = (length: number) =>
        Array.from({ length }, () => scoreOf(-8 * random.uniform()));
      const [states, bins] = [2, 2 * interior];
      const logs = scores(interior);
      const message = scores(bins + 1);
      return {
        spec: kernel.viterbiWeigh,
        constants: kernel.viterbiWeighConstants(states, interior),
        shape: `${states} states of ${interior} bins`,
        rows: 1,
        flops: 2 * bins,
        bytes: 8 * 3 * bins,
        buffers: {
          params: kernel.viterbiWeighParams(0, false),
          states: Uint32Array.of(0, interior, bins),
          log_likelihood: wordsOf(logs),
          message: wordsOf(message),
          weighted: 8 * bins,
          best: 12 * states,
          row_best: 8,
        },
        workgroups: [1],
        outputs: ["best"],
        check({ best }) {
          const wrong = [0, 1].filter((state) => {
            const own = logs.map((log, bin) => plus(log, message[state * interior + bin]));
            return asWide(best!)[3 * state + 2] !== state * interior + firstLargest(own);
          });
          checkWithin("viterbi_weigh", wrong.length, 0);
        },
      };
    }),
};
