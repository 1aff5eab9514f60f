import { describe, expect, it } from "vitest";
import {
  viterbiWeigh,
  viterbiWeighConstants,
  viterbiWeighParams,
} from "../../src/kernels/viterbi_weigh.ts";
import type { Score } from "../reference/log_score.ts";
import { firstLargest, plus, scoreOf, scoresOf, wordsOf } from "../reference/log_score.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { asWide } from "../support/wide_numbers.ts";

const gpu = useGpu();

/** Scores of which some are none, some equal, some a carry apart, and some as deep as scores go. */
function randomScores(length: number, seed: number): Score[] {
  const random = seeded(seed);
  return Array.from({ length }, () => {
    const kind = random();
    if (kind < 0.1) return undefined;
    if (kind < 0.3) return scoreOf(-Math.floor(3 * random()) - 2 ** -32);
    return scoreOf(kind < 0.4 ? -(2 ** 29) * random() : -50 * random());
  });
}

describe("viterbi_weigh", () => {
  for (const starts of [[0, 1], [0, 127, 257], [0, 1, 2, 131]]) {
    for (const perState of [true, false]) {
      it(
        `adds scores exactly and finds the first best of states at [${starts}], ${
          perState ? "each with its own" : "of shared"
        } log-likelihoods`,
        async () => {
          const bins = starts.at(-1)!;
          const states = starts.length - 1;
          const columns = perState
            ? bins
            : Math.max(...starts.slice(1).map((end, state) => end - starts[state]!));
          const rows = 2;
          const logs = randomScores(rows * columns, 1);
          const message = randomScores(bins + 1, 2);
          const { outputs } = await runKernel(gpu(), {
            spec: viterbiWeigh,
            constants: viterbiWeighConstants(states, columns),
            buffers: {
              params: viterbiWeighParams(1, perState),
              states: Uint32Array.from(starts),
              log_likelihood: wordsOf(logs),
              message: wordsOf(message),
              weighted: 8 * bins,
              best: 12 * states,
              row_best: 8 * rows,
            },
            workgroups: [1],
            outputs: ["weighted", "best", "row_best"],
          });
          const weighted = Array.from({ length: bins }, (_, bin) => {
            const state = starts.findLastIndex((start) => start <= bin);
            const column = perState ? bin : bin - starts[state]!;
            return plus(logs[columns + column], message[bin]);
          });
          expect(scoresOf(asWide(outputs.weighted!))).toEqual(weighted);
          const best = asWide(outputs.best!);
          for (let state = 0; state < states; state++) {
            const own = weighted.slice(starts[state], starts[state + 1]);
            const first = firstLargest(own);
            expect(scoresOf(best.slice(3 * state, 3 * state + 2))).toEqual([own[first]]);
            expect(best[3 * state + 2]).toBe(starts[state]! + first);
          }
          expect(scoresOf(asWide(outputs.row_best!))[1]).toEqual(weighted[firstLargest(weighted)]);
        },
      );
    }
  }
});
