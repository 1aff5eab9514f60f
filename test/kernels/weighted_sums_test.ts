import { describe, expect, it } from "vitest";
import * as kernel from "../../src/kernels/weighted_sums.ts";
import { toPanels } from "../../src/math/panels.ts";
import { weightedSums } from "../reference/weighted_sums.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

describe("weighted_sums", () => {
  for (
    const [rows, features, columns] of [
      ...[[1, 1, 1], [67, 5, 3], [129, 33, 8], [64, 20, 17], [300, 520, 9]] as const,
    ]
  ) {
    it(`sums ${rows} rows of ${features} features by ${columns} columns`, async () => {
      const random = seeded(rows + features);
      const some = (count: number) => Float32Array.from({ length: count }, () => 2 * random() - 1);
      const [points, weights] = [some(rows * features), some(rows * columns)];
      const shape = { features, blockRows: 128, tileRows: rows };
      const stride = Math.ceil(rows / 8) * 8;
      const padded = new Float32Array(Math.ceil(columns / 8) * 8 * stride);
      for (let column = 0; column < columns; column++) {
        padded.set(weights.subarray(column * rows, (column + 1) * rows), column * stride);
      }
      const { outputs } = await runKernel(gpu(), {
        spec: kernel.weightedSums,
        constants: kernel.weightedSumsConstants(shape),
        buffers: {
          params: kernel.weightedSumsParams(0, rows, 0),
          points: toPanels(points, features),
          weights: padded,
          sums: kernel.weightedBytes(shape, columns),
        },
        workgroups: kernel.weightedSumsWorkgroups(rows, shape, columns),
        outputs: ["sums"],
      });
      const sums = new Float64Array(columns * features);
      kernel.addWeightedSums(outputs.sums!, rows, shape, columns, sums);
      weightedSums(points, weights, features).forEach((value, i) => {
        expect(Math.abs(sums[i]! - value)).toBeLessThan(1e-5);
      });
    });
  }
});
