import * as kernel from "../src/kernels/marked_rows.ts";
import { packSilence, ROW_MAXIMUM_BYTES } from "../src/kernels/spike_rows.ts";
import { Random } from "../src/math/random.ts";
import { wideLog2 } from "../src/math/wide.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import { asWide } from "../test/support/wide_numbers.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const markedRowsBench: Bench = {
  name: "marked_rows",
  cases: (scale = 1) =>
    [[200, 992, 4], [20, 10_652, 4], [20, 992, 100]].map(([some, bins, spikes]) => {
      const rows = some! * scale;
      const cells = bins! / 4;
      const random = new Random(1);
      const intensity = Float32Array.from(
        { length: rows * spikes! * bins! },
        () => -5 * random.uniform(),
      );
      const expected = Float64Array.from({ length: bins! }, () => random.uniform());
      const { silence } = packSilence(expected, bins!, {
        cells,
        toCells: (values) => Float64Array.from({ length: bins! }, (_, bin) => values(bin, 0)),
      });
      return {
        spec: kernel.markedRows,
        constants: kernel.markedRowsConstants(cells),
        shape: `${rows} rows of ${spikes} spikes x ${bins} bins`,
        rows,
        flops: intensity.length,
        bytes: intensity.byteLength + 4 * rows * bins!,
        buffers: {
          params: kernel.markedRowsParams(0, rows),
          spike_starts: Uint32Array.from({ length: rows + 1 }, (_, row) => row * spikes!),
          intensity,
          ground: silence,
          likelihood: 16 * cells * rows,
          row_maximum: ROW_MAXIMUM_BYTES * rows,
        },
        workgroups: kernel.markedRowsWorkgroups(rows),
        outputs: ["likelihood"],
        check({ likelihood }) {
          const logs = expected.map((value, bin) => {
            let sum = -value;
            for (let spike = 0; spike < spikes!; spike++) sum += intensity[spike * bins! + bin]!;
            return sum;
          });
          const largest = logs.reduce((most, log) => Math.max(most, log));
          const row = asWide(likelihood!).subarray(0, bins);
          const got = Array.from(row, (wide) => wideLog2(wide) * Math.LN2 + largest);
          checkWithin("marked_rows", largestDifference(got, logs), 2e-5);
        },
      };
    }),
};
