import * as densify from "../src/kernels/densify_rows.ts";
import { Random } from "../src/math/random.ts";
import type { Row } from "../test/reference/densify_rows.ts";
import { densifyRows } from "../test/reference/densify_rows.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

/** Share of genes that a cell has counts of. */
const SHARE = 0.1;

export const densifyRowsBench: Bench = {
  name: "densify_rows",
  cases: () =>
    [[512, 5000], [2048, 2000]].map(([rows, genes]) => {
      const random = new Random(1);
      const own: Row[] = Array.from({ length: rows! }, () => {
        const all = Array.from({ length: genes! }, (_, gene) => gene);
        return all.filter(() => random.uniform() < SHARE)
          .map((gene) => [gene, 1 + random.integer(1000)] as const);
      });
      const starts = Uint32Array.from({ length: rows! + 1 });
      own.forEach((row, i) => starts[i + 1] = starts[i]! + row.length);
      const entries = Uint32Array.from(own.flat(), ([gene, count]) => gene + 65536 * count);
      return {
        spec: densify.densifyRows,
        constants: densify.densifyRowsConstants("narrow", false),
        shape: `${rows} cells x ${genes} genes, ${100 * SHARE} % not zero`,
        rows: rows!,
        flops: 0,
        bytes: 4 * rows! * genes! + 4 * entries.length,
        buffers: {
          params: densify.densifyRowsParams(0, rows!, genes!),
          starts,
          entries,
          dense: 4 * rows! * genes!,
        },
        workgroups: densify.densifyRowsWorkgroups(rows!),
        outputs: ["dense"],
        check({ dense }) {
          const twin = densifyRows(own, genes!, false);
          checkWithin("densify_rows", largestDifference(dense!, twin), 0);
        },
      };
    }),
};
