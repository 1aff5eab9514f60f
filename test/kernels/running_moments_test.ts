import { describe, expect, it } from "vitest";
import { runningMoments } from "../../src/kernels/running_moments.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

describe("running_moments", () => {
  for (const [length, draws] of [[1, 1], [65, 2], [130, 5]] as const) {
    it(`has means and variances of ${draws} draws of ${4 * length} values`, async () => {
      const random = seeded(length);
      const all = Array.from(
        { length: draws },
        () => Float32Array.from({ length: 4 * length }, () => 100 + random()),
      );
      // what was there before
      let means = new Float32Array(4 * length).fill(-7);
      let variances = new Float32Array(4 * length).fill(-7);
      for (const [i, values] of all.entries()) {
        const { outputs } = await runKernel(gpu(), {
          spec: runningMoments,
          constants: {},
          buffers: { params: Uint32Array.of(length, i + 1, draws, 0), values, means, variances },
          workgroups: [1],
          outputs: ["means", "variances"],
        });
        means = Float32Array.from(outputs.means!);
        variances = Float32Array.from(outputs.variances!);
      }
      for (let i = 0; i < 4 * length; i++) {
        const mean = all.reduce((sum, values) => sum + values[i]!, 0) / draws;
        const squares = all.reduce((sum, values) => sum + (values[i]! - mean) ** 2, 0);
        expect(Math.abs(means[i]! - mean)).toBeLessThan(2e-5);
        const variance = draws > 1 ? squares / (draws - 1) : 0;
        expect(Math.abs(variances[i]! - variance)).toBeLessThan(2e-5);
      }
    });
  }
});
