import * as kernel from "../src/kernels/second_moments.ts";
import { PART, SQUARE } from "../src/kernels/second_moments.ts";
import { Random } from "../src/math/random.ts";
import { secondMoments } from "../test/reference/second_moments.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const secondMomentsBench: Bench = {
  name: "second_moments",
  cases: (scale = 1) =>
    ([[4096, 512, PART.whole], [4096, 192, PART.whole], [4096, 192, PART.coarse]] as const).map(
      ([some, features, part]) => {
        const rows = some * scale;
        const random = new Random(1);
        const values = Float32Array.from({ length: rows * features }, () => random.uniform() - 0.5);
        const blockRows = kernel.momentBlockRows(features);
        const shape = { features, blockRows, tileRows: rows };
        return {
          spec: kernel.secondMoments,
          constants: kernel.secondMomentsConstants(shape),
          shape: `${features} features, ${rows} rows${part === PART.coarse ? ", exact" : ""}`,
          rows,
          // on and above the diagonal
          flops: rows * features * (features + 1),
          bytes: 4 * rows * features + kernel.momentBytes(shape),
          buffers: {
            params: kernel.secondMomentsParams(shape, 0, rows, 0, part),
            rows: values,
            starts: 4,
            grains: kernel.momentGrains(new Float32Array(features).fill(1), shape),
            moments: kernel.momentBytes(shape),
          },
          workgroups: kernel.secondMomentsWorkgroups(rows, shape),
          outputs: ["moments"],
          check({ moments }) {
            const twin = secondMoments(values.subarray(0, blockRows * features), features);
            for (let i = 0; i < SQUARE; i++) {
              for (let j = i; j < SQUARE; j++) {
                const off = moments![i * SQUARE + j]! - twin[i * features + j]!;
                // the rest of the coarse part is up to a grain of each factor
                checkWithin("second_moments", Math.abs(off), part === PART.coarse ? 0.2 : 1e-4);
              }
            }
          },
        };
      },
    ),
};
