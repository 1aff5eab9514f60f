import { describe, expect, it } from "vitest";
import * as sums from "../../src/kernels/sum_states.ts";
import { sumStates } from "../reference/sum_states.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// of a sum that is 1: a thread adds up some 20 numbers, then there are 6 folds
const TOLERANCE = 3e-7;

describe("sum_states", () => {
  for (
    const [rows, starts] of [
      [1, [0, 1]],
      [3, [0, 1, 2, 65]],
      [257, [0, 64, 129, 130, 193]],
      [2, [0, 1300, 2600]],
    ] as [number, number[]][]
  ) {
    it(`adds up ${starts.length - 1} states of ${starts.at(-1)} bins, ${rows} rows`, async () => {
      const random = seeded(rows);
      const width = starts.at(-1)!;
      const packed = Float32Array.from({ length: rows * width }, random);
      for (let row = 0; row < rows; row++) {
        const own = packed.subarray(row * width, (row + 1) * width);
        const total = own.reduce((sum, value) => sum + value, 0);
        own.forEach((value, bin) => own[bin] = value / total);
      }
      const states = starts.length - 1;
      const { outputs } = await runKernel(gpu(), {
        spec: sums.sumStates,
        constants: sums.sumStatesConstants(states),
        buffers: {
          params: sums.sumStatesParams(0, rows, width),
          state_starts: Uint32Array.from(starts),
          packed,
          state_shares: 4 * rows * states,
        },
        workgroups: sums.sumStatesWorkgroups(rows),
        outputs: ["state_shares"],
      });
      const twin = sumStates(packed, starts);
      expect(outputs.state_shares!.length).toBe(twin.length);
      expect(largestDifference(outputs.state_shares!, twin)).toBeLessThan(TOLERANCE);
    });
  }
});
