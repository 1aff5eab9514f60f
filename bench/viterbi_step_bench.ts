import {
  viterbiStep,
  viterbiStepConstants,
  viterbiStepParams,
  viterbiStepWorkgroups,
} from "../src/kernels/viterbi_step.ts";
import { Random } from "../src/math/random.ts";
import { scoreOf, scoresOf, wordsOf } from "../test/reference/log_score.ts";
import { asWide } from "../test/support/wide_numbers.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const viterbiStepBench: Bench = {
  name: "viterbi_step",
  cases: () =>
    [[992, 361], [10_650, 361], [992, 992]].map(([bins, ways]) => {
      const random = new Random(1);
      const scores = (length: number) =>
        Array.from({ length }, () => scoreOf(-8 * random.uniform()));
      const sources = new Uint32Array(2 * (bins! + 2));
      const entries = new Uint32Array(3 * bins! * ways!);
      const own = scores(bins! * ways!);
      const words = wordsOf(own);
      for (let source = 0; source < bins!; source++) {
        sources[2 * source + 3] = (source + 1) * ways!;
        for (let i = 0; i < ways!; i++) {
          const entry = source * ways! + i;
          entries.set([(source + i) % bins!, words[2 * entry]!, words[2 * entry + 1]!], 3 * entry);
        }
      }
      const weighted = scores(bins!);
      return {
        spec: viterbiStep,
        constants: viterbiStepConstants(1),
        shape: `${bins} bins, ${ways} ways from each`,
        rows: 1,
        flops: 12 * bins! * ways!,
        bytes: 20 * bins! * ways!,
        buffers: {
          params: viterbiStepParams(0, 0, { first: 0, end: bins!, firstEntry: 0 }),
          sources,
          entries,
          spread: wordsOf([undefined, undefined]),
          weighted: wordsOf(weighted),
          best: Uint32Array.of(0x80000000, 0, 0),
          row_best: wordsOf([0n]),
          message: 8 * (bins! + 1),
          next: 4 * (bins! + 1),
        },
        workgroups: viterbiStepWorkgroups({ first: 0, end: bins!, firstEntry: 0 }),
        outputs: ["message"],
        check({ message }) {
          const got = scoresOf(asWide(message!));
          let wrong = 0;
          for (let source = 0; source < 64; source++) {
            let most: bigint | undefined;
            for (let i = 0; i < ways!; i++) {
              const score = own[source * ways! + i]! + weighted[(source + i) % bins!]!;
              if (most === undefined || score > most) most = score;
            }
            if (got[source] !== most) wrong++;
          }
          checkWithin("viterbi_step", wrong, 0.5);
        },
      };
    }),
};
