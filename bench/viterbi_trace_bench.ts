import * as kernel from "../src/kernels/viterbi_trace.ts";
import { Random } from "../src/math/random.ts";
import { asWide } from "../test/support/wide_numbers.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

/** One thread: a row wants what the row before it found. */
export const viterbiTraceBench: Bench = {
  name: "viterbi_trace",
  cases: () =>
    [[1000, 992], [200, 10_650]].map(([rows, bins]) => {
      const random = new Random(1);
      const stride = bins! + 1;
      const next = Uint32Array.from(
        { length: rows! * stride },
        () => Math.floor(bins! * random.uniform()),
      );
      return {
        spec: kernel.viterbiTrace,
        constants: kernel.viterbiTraceConstants,
        shape: `${rows} rows of ${bins} bins`,
        rows: rows!,
        flops: rows!,
        bytes: 8 * rows!,
        buffers: {
          params: kernel.viterbiTraceParams(0, rows!, stride),
          next,
          path_bin: Uint32Array.of(bins!),
          path: 4 * rows!,
        },
        workgroups: [1],
        outputs: ["path"],
        check({ path }) {
          let bin = bins!;
          const wrong = asWide(path!).filter((found, row) =>
            found !== (bin = next[row * stride + bin]!)
          );
          checkWithin("viterbi_trace", wrong.length, 0);
        },
      };
    }),
};
