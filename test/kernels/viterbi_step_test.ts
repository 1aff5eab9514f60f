import { describe, expect, it } from "vitest";
import {
  viterbiStep,
  viterbiStepConstants,
  viterbiStepParams,
  viterbiStepWorkgroups,
} from "../../src/kernels/viterbi_step.ts";
import type { Score } from "../reference/log_score.ts";
import { firstLargest, plus, scoreOf, scoresOf, wordsOf } from "../reference/log_score.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { asWide } from "../support/wide_numbers.ts";

const gpu = useGpu();

describe("viterbi_step", () => {
  for (const bins of [1, 63, 64, 130]) {
    it(`finds the first best way on from ${bins} bins, and from the start`, async () => {
      const random = seeded(bins);
      const starts = [0, Math.ceil(bins / 2), bins];
      const few = () =>
        [undefined, 0n, scoreOf(-1), scoreOf(-1), scoreOf(-2.5)][Math.floor(5 * random())];
      const weighted = Array.from({ length: bins }, few);
      // from every bin to some, and to all bins of the second state alike
      const sources = new Uint32Array(2 * (bins + 2));
      const lists = Array.from({ length: bins + 1 }, (_, source) => {
        const own = Array.from({ length: bins }, (_, bin) => bin).filter(() => random() < 0.4);
        sources[2 * source] = source === bins
          ? 2
          : starts.findLastIndex((start) => start <= source);
        sources[2 * source + 3] = sources[2 * source + 1]! + own.length;
        return own.map((bin) => ({ bin, score: few() }));
      });
      const entries = lists.flat().flatMap(({ bin, score }) => [bin, ...wordsOf([score])]);
      const spread = Array.from(
        { length: 6 },
        (_, i) => i === 1 || i === 3 ? scoreOf(-1.5) : undefined,
      );
      const bestOf = [0, 1].map((state) => {
        const own = weighted.slice(starts[state], starts[state + 1]);
        return { score: own[firstLargest(own)], bin: starts[state]! + firstLargest(own) };
      });
      const largest = scoreOf(-1) as bigint;
      const { outputs } = await runKernel(gpu(), {
        spec: viterbiStep,
        constants: viterbiStepConstants(2),
        buffers: {
          params: viterbiStepParams(1, 3, { first: 0, end: bins + 1, firstEntry: 0 }),
          sources,
          entries: Uint32Array.from(entries.length > 0 ? entries : [0, 0x80000000, 0]),
          spread: wordsOf(spread),
          weighted: wordsOf(weighted),
          best: Uint32Array.from(bestOf.flatMap(({ score, bin }) => [...wordsOf([score]), bin])),
          row_best: wordsOf([undefined, largest]),
          message: 8 * (bins + 1),
          next: 4 * (bins + 4),
        },
        workgroups: viterbiStepWorkgroups({ first: 0, end: bins + 1, firstEntry: 0 }),
        outputs: ["message", "next"],
      });
      const messages = scoresOf(asWide(outputs.message!));
      const next = asWide(outputs.next!).slice(3);
      lists.forEach((list, source) => {
        const ways: Score[] = new Array(bins).fill(undefined);
        const offer = (bin: number, score: Score) => {
          if (score !== undefined && (ways[bin] === undefined || score > ways[bin]!)) {
            ways[bin] = score;
          }
        };
        for (const { bin, score } of list) offer(bin, plus(score, weighted[bin]));
        [0, 1].forEach((state) => {
          const own = spread[2 * sources[2 * source]! + state];
          offer(bestOf[state]!.bin, plus(own, bestOf[state]!.score));
        });
        const first = firstLargest(ways);
        expect(next[source]).toBe(first);
        expect(messages[source]).toEqual(
          ways[first] === undefined ? undefined : ways[first]! - largest,
        );
      });
    });
  }
});
