import * as kernel from "../src/kernels/state_rows.ts";
import { fromFixed } from "../src/kernels/spike_rows.ts";
import { Random } from "../src/math/random.ts";
import { toWide, wideLog2 } from "../src/math/wide.ts";
import { stateRow } from "../test/reference/state_rows.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import { asWide } from "../test/support/wide_numbers.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

/** Two kinds of state of one base, the second with a bias, and one state of one bin. */
export const stateRowsBench: Bench = {
  name: "state_rows",
  cases: (scale = 1) =>
    [[200, 992], [40, 10_652]].map(([some, bins]) => {
      const rows = some! * scale;
      const gridCells = bins! / 4;
      const shape = {
        sources: [false, true].flatMap((isBiased) =>
          Array.from({ length: gridCells }, (_, cell): [number, number] => [
            cell,
            isBiased ? cell : kernel.NO_BIAS,
          ])
        ),
        ...{ spatialCells: gridCells, biasCells: gridCells, ones: 1, cells: 2 * gridCells + 1 },
      };
      const random = new Random(1);
      const logs = Array.from({ length: rows * bins! }, () => -8 * random.uniform());
      const bias = Array.from({ length: rows * bins! }, () => -3 * random.uniform());
      return {
        spec: kernel.stateRows,
        constants: kernel.stateRowsConstants(shape),
        shape: `2 kinds of ${bins} bins, one state of one bin x ${rows} rows`,
        rows,
        flops: 2 * 2 * bins! * rows,
        bytes: 4 * rows * bins! * 4,
        buffers: {
          params: kernel.stateRowsParams(0, rows),
          sources: Uint32Array.from(shape.sources.flat()),
          spatial: Uint32Array.from(logs, (log) => toWide(Math.exp(log), 0)),
          bias: Float32Array.from(bias, (log) => log / Math.LN2),
          own: Int32Array.from(Array.from({ length: rows }, () => kernel.toFixed(-2)).flat()),
          likelihood: 16 * shape.cells * rows,
          row_maximum: new Int32Array(2 * rows),
        },
        workgroups: kernel.stateRowsWorkgroups(rows),
        outputs: ["likelihood", "row_maximum"],
        check({ likelihood, row_maximum }) {
          const maxima = new Int32Array(row_maximum!.buffer);
          const highest = fromFixed(maxima[0]!, maxima[1]!);
          const got = Array.from(
            asWide(likelihood!).subarray(0, 2 * bins! + 1),
            (wide) => wideLog2(wide) * Math.LN2 + highest,
          );
          const row = { spatial: [logs.slice(0, bins)], biases: [bias.slice(0, bins)], own: [-2] };
          const wanted = stateRow(row, [{ base: 0 }, { base: 0, bias: 0 }]);
          checkWithin("state_rows", largestDifference(got, wanted), 3e-5);
        },
      };
    }),
};
