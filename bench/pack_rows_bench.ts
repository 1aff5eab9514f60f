import * as pack from "../src/kernels/pack_rows.ts";
import { Random } from "../src/math/random.ts";
import { toWide } from "../src/math/wide.ts";
import { packRows } from "../test/reference/pack_rows.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const packRowsBench: Bench = {
  name: "pack_rows",
  cases: () =>
    [[1000, 1324, 993], [200, 11096, 10650]].map(([rows, stride, width]) => {
      const random = new Random(1);
      const unpacked = Uint32Array.from(
        { length: rows! * stride! },
        () => toWide(random.uniform()),
      );
      const table = Uint32Array.from(
        { length: width! },
        (_, i) => Math.floor(i * stride! / width!),
      );
      return {
        spec: pack.packRows,
        constants: pack.packRowsConstants,
        shape: `${width} of ${stride} elements x ${rows} rows`,
        rows: rows!,
        flops: 0,
        bytes: 8 * rows! * width!,
        buffers: {
          params: pack.packRowsParams(0, rows!, stride!, width!),
          pack_table: table,
          unpacked,
          packed: 4 * rows! * width!,
        },
        workgroups: pack.packRowsWorkgroups(rows!, width!),
        outputs: ["packed"],
        check({ packed }) {
          const twin = packRows(unpacked, stride!, table);
          checkWithin("pack_rows", largestDifference(packed!, twin), 0);
        },
      };
    }),
};
