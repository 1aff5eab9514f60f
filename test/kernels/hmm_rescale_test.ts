import { describe, expect, it } from "vitest";
import {
  hmmRescale,
  hmmRescaleConstants,
  hmmRescaleParams,
} from "../../src/kernels/hmm_rescale.ts";
import { NOWHERE } from "../../src/kernels/hmm_smooth.ts";
import * as reference from "../reference/hmm_rescale.ts";
import { sumsOfStates } from "../reference/hmm_weigh.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// probabilities of at most 1, a few roundings of 6e-8
const TOLERANCE = 3e-7;

describe("hmm_rescale", () => {
  for (const [lanes, ...starts] of [[1, 0, 1], [65, 0, 1, 2], [3, 0, 131, 132, 263]]) {
    for (const lastLane of [undefined, lanes! - 1]) {
      it(
        `agrees with its twin: ${lanes} lanes, states at ${starts.join(", ")}, ${
          lastLane === undefined ? "within the recording" : "at its end"
        }`,
        async () => {
          const random = seeded(lanes!);
          const bins = starts.at(-1)!;
          const states = starts.length - 1;
          const [row, laneRows] = [2, 4];
          const back = Float32Array.from({ length: lanes! * bins }, () => 3 * random());
          const filtered = Float32Array.from(
            { length: lanes! * laneRows * bins },
            () => random() / bins,
          );
          const { outputs } = await runKernel(gpu(), {
            spec: hmmRescale,
            constants: hmmRescaleConstants(states, bins),
            buffers: {
              params: hmmRescaleParams(row, laneRows, {
                // of all lanes this one alone ends here
                firstEnd: lastLane === undefined ? NOWHERE : row + 1000 * lastLane,
                laneLength: lastLane === undefined ? 0 : 1000,
              }),
              states: Uint32Array.from(starts.flatMap((start) => [start, 0])),
              back,
              filtered,
              smoothed_carry: back.byteLength,
              smooth_sums: 4 * lanes! * laneRows * states,
            },
            workgroups: [lanes!],
            outputs: ["filtered", "smoothed_carry", "smooth_sums"],
          });
          for (let lane = 0; lane < lanes!; lane++) {
            const here = lane * laneRows + row;
            const twin = reference.hmmRescale(
              filtered.subarray(here * bins, (here + 1) * bins),
              lane === lastLane ? undefined : back.subarray(lane * bins, (lane + 1) * bins),
            );
            const smoothed = outputs.filtered!.subarray(here * bins, (here + 1) * bins);
            expect(largestDifference(smoothed, twin)).toBeLessThan(TOLERANCE);
            expect(outputs.smoothed_carry!.subarray(lane * bins, (lane + 1) * bins))
              .toEqual(smoothed);
            const sums = outputs.smooth_sums!.subarray(here * states, (here + 1) * states);
            expect(largestDifference(sums, sumsOfStates(twin, starts))).toBeLessThan(TOLERANCE);
          }
          // other rows of the tile stay filtered
          expect(outputs.filtered!.subarray(0, bins)).toEqual(filtered.subarray(0, bins));
        },
      );
    }
  }
});
