import { describe, expect, it } from "vitest";
import { hmmRatio, hmmRatioConstants, hmmRatioParams } from "../../src/kernels/hmm_ratio.ts";
import * as reference from "../reference/hmm_ratio.ts";
import { sumsOfStates } from "../reference/hmm_weigh.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// WGSL allows a quotient 2.5 units in the last place, and sums take some tens of roundings of 6e-8
const TOLERANCE = 1e-6;

describe("hmm_ratio", () => {
  for (const [lanes, ...starts] of [[1, 0, 1], [65, 0, 1, 2], [2, 0, 131, 132, 263]]) {
    it(`agrees with its twin: ${lanes} lanes, states at ${starts.join(", ")}`, async () => {
      const random = seeded(lanes!);
      const bins = starts.at(-1)!;
      const states = starts.length - 1;
      const [at, stride] = [2, bins + 3];
      const smoothed = Float32Array.from({ length: lanes! * bins }, random);
      const predicted = Float32Array.from(
        { length: at + lanes! * stride },
        () => Math.max(1e-30, random() ** 8),
      );
      // impossible, and too small for a quotient: both count for nothing
      predicted[at] = 0;
      predicted[at + (lanes! - 1) * stride + bins - 1] = 2 ** -130;
      const { outputs } = await runKernel(gpu(), {
        spec: hmmRatio,
        constants: hmmRatioConstants(states, bins),
        buffers: {
          params: hmmRatioParams(at, stride),
          states: Uint32Array.from(starts.flatMap((start) => [start, 0])),
          smoothed_carry: smoothed,
          predicted,
          ratio: smoothed.byteLength,
          ratio_sums: 4 * lanes! * states,
        },
        workgroups: [lanes!],
        outputs: ["ratio", "ratio_sums"],
      });
      for (let lane = 0; lane < lanes!; lane++) {
        const from = at + lane * stride;
        const twin = reference.hmmRatio(
          smoothed.subarray(lane * bins, (lane + 1) * bins),
          predicted.subarray(from, from + bins),
        );
        const sums = sumsOfStates(twin, starts);
        const near = (got: number, wanted: number) =>
          expect(Math.abs(got - wanted)).toBeLessThanOrEqual(TOLERANCE * wanted);
        twin.forEach((value, bin) => near(outputs.ratio![lane * bins + bin]!, value));
        sums.forEach((value, state) => near(outputs.ratio_sums![lane * states + state]!, value));
      }
    });
  }
});
