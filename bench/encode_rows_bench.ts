import * as encode from "../src/kernels/encode_rows.ts";
import { Random } from "../src/math/random.ts";
import { encodeRows } from "../test/reference/encode_rows.ts";
import { findPeaks } from "../test/reference/find_peaks.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const encodeRowsBench: Bench = {
  name: "encode_rows",
  cases: () =>
    (["half", "root"] as const).flatMap((encoding) =>
      [[1000, 993], [200, 10650]].map(([rows, width]) => {
        const random = new Random(1);
        const packed = Float32Array.from(
          { length: rows! * width! },
          () => random.uniform() ** 8 / width!,
        );
        return {
          spec: encode.encodeRows,
          constants: encode.encodeRowsConstants(encoding),
          shape: `${encoding}, ${width} elements x ${rows} rows`,
          rows: rows!,
          flops: 0,
          bytes: 6 * rows! * width!,
          buffers: {
            params: encode.encodeRowsParams(0, rows!, width!, rows!),
            packed,
            row_peaks: findPeaks(packed, width!),
            encoded: encode.encodedBytes(rows!, width!),
          },
          workgroups: encode.encodeRowsWorkgroups(rows!, width!),
          outputs: ["encoded"],
          check({ encoded }) {
            const words = new Uint16Array(encoded!.buffer, encoded!.byteOffset, rows! * width!);
            const twin = encodeRows(packed, width!, encoding);
            // a tie of roots may fall to the other side
            const most = encoding === "half" ? 0 : 1;
            checkWithin("encode_rows", largestDifference(words, twin), most);
          },
        };
      })
    ),
};
