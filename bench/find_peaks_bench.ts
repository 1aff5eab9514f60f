import * as peaks from "../src/kernels/find_peaks.ts";
import { Random } from "../src/math/random.ts";
import { findPeaks } from "../test/reference/find_peaks.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const findPeaksBench: Bench = {
  name: "find_peaks",
  cases: (scale = 1) =>
    [[1000, 993], [200, 10650]].map(([some, width]) => {
      const rows = some! * scale;
      const random = new Random(1);
      const packed = Float32Array.from({ length: rows * width! }, () => random.uniform());
      return {
        spec: peaks.findPeaks,
        constants: peaks.findPeaksConstants,
        shape: `${width} elements x ${rows} rows`,
        rows,
        flops: 0,
        bytes: packed.byteLength,
        buffers: {
          params: peaks.findPeaksParams(0, rows, width!),
          packed,
          row_peaks: 4 * rows,
        },
        workgroups: peaks.findPeaksWorkgroups(rows),
        outputs: ["row_peaks"],
        check({ row_peaks: got }) {
          checkWithin("find_peaks", largestDifference(got!, findPeaks(packed, width!)), 0);
        },
      };
    }),
};
