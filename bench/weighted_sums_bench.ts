import * as kernel from "../src/kernels/weighted_sums.ts";
import { toPanels } from "../src/math/panels.ts";
import { Random } from "../src/math/random.ts";
import { weightedSums } from "../test/reference/weighted_sums.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

const CHECKED_FEATURES = 5;

export const weightedSumsBench: Bench = {
  name: "weighted_sums",
  cases: (scale = 1) =>
    [[4096, 512, 16], [4096, 512, 1], [4096, 2048, 160]].map((shape) => {
      const [some, features, columns] = shape as [number, number, number];
      const rows = some * scale;
      const random = new Random(1);
      const points = Float32Array.from({ length: rows * features }, () => random.uniform() - 0.5);
      const padded = Math.ceil(columns / 8) * 8;
      const weights = Float32Array.from({ length: rows * padded }, () => random.uniform() - 0.5);
      weights.fill(0, rows * columns);
      const own = { features, blockRows: 256, tileRows: rows };
      return {
        spec: kernel.weightedSums,
        constants: kernel.weightedSumsConstants(own),
        shape: `${columns} columns x ${features} features, ${rows} rows`,
        rows,
        flops: 2 * rows * features * columns,
        bytes: 4 * rows * (features + columns) + kernel.weightedBytes(own, columns),
        buffers: {
          params: kernel.weightedSumsParams(0, rows, 0),
          points: toPanels(points, features),
          weights,
          sums: kernel.weightedBytes(own, columns),
        },
        workgroups: kernel.weightedSumsWorkgroups(rows, own, columns),
        outputs: ["sums"],
        check({ sums }) {
          const got = new Float64Array(columns * features);
          kernel.addWeightedSums(sums!, rows, own, columns, got);
          const few = Float32Array.from({ length: rows * CHECKED_FEATURES }, (_, i) => {
            const row = Math.floor(i / CHECKED_FEATURES);
            return points[row * features + i % CHECKED_FEATURES]!;
          });
          const twin = weightedSums(few, weights.subarray(0, rows * columns), CHECKED_FEATURES);
          twin.forEach((value, i) => {
            const column = Math.floor(i / CHECKED_FEATURES);
            const off = got[column * features + i % CHECKED_FEATURES]! - value;
            checkWithin("weighted_sums", Math.abs(off), 1e-3);
          });
        },
      };
    }),
};
