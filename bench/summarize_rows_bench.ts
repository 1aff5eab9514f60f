import * as summarize from "../src/kernels/summarize_rows.ts";
import { SUMMARY, SUMMARY_LENGTH } from "../src/kernels/summarize_rows.ts";
import { Random } from "../src/math/random.ts";
import { summarizeRow } from "../test/reference/summarize_rows.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

const COVERAGE = 0.95;

export const summarizeRowsBench: Bench = {
  name: "summarize_rows",
  cases: () =>
    [[1000, 993], [200, 10650]].map(([rows, width]) => {
      const random = new Random(1);
      const positions = Float32Array.from({ length: 2 * width! }, () => 100 * random.uniform());
      const packed = new Float32Array(rows! * width!);
      for (let row = 0; row < rows!; row++) {
        const own = Array.from({ length: width! }, () => random.uniform() ** 8);
        const sum = own.reduce((total, value) => total + value, 0);
        packed.set(own.map((value) => value / sum), row * width!);
      }
      return {
        spec: summarize.summarizeRows,
        constants: summarize.summarizeRowsConstants(COVERAGE),
        shape: `${width} bins x ${rows} rows`,
        rows: rows!,
        flops: 0,
        bytes: 4 * rows! * width!,
        buffers: {
          params: summarize.summarizeRowsParams(0, rows!, width!),
          packed,
          positions,
          summaries: 4 * SUMMARY_LENGTH * rows!,
        },
        workgroups: summarize.summarizeRowsWorkgroups(rows!),
        outputs: ["summaries"],
        check({ summaries }) {
          const wanted = summarizeRow(packed.subarray(0, width!), positions, COVERAGE);
          const off = summaries![SUMMARY.entropy]! - wanted.entropy;
          checkWithin("the entropy of the first row", Math.abs(off), 2e-5);
          checkWithin("its likeliest bin", summaries![SUMMARY.mapBin]! - wanted.mapBin, 0);
        },
      };
    }),
};
