import { describe, expect, it } from "vitest";
import { hmmWeigh, hmmWeighConstants, hmmWeighParams } from "../../src/kernels/hmm_weigh.ts";
import * as reference from "../reference/hmm_weigh.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// probabilities of at most 1, a few roundings of 6e-8
const TOLERANCE = 3e-7;

describe("hmm_weigh", () => {
  // first bin of each state, and the number of bins
  for (
    const [lanes, ...starts] of [[1, 0, 1], [65, 0, 1, 2], [3, 0, 37, 74], [2, 0, 1, 400, 401, 799]]
  ) {
    it(`agrees with its twin: ${lanes} lanes, states at ${starts.join(", ")}`, async () => {
      const random = seeded(lanes!);
      const bins = starts.at(-1)!;
      const states = starts.length - 1;
      const [row, laneRows] = [1, 3];
      // every state has likelihoods of its own, but for the last, which reads those of the first
      const likelihoodStarts = starts.map((start, state) => state === states - 1 ? 0 : start);
      const likelihoods = bins + 3;
      const likelihood = Float32Array.from(
        { length: lanes! * laneRows * likelihoods },
        () => Math.exp(-8 * random()),
      );
      const [at, stride] = [5, bins + 1];
      const predicted = Float32Array.from(
        { length: at + lanes! * stride },
        () => random() / bins,
      );
      const { outputs } = await runKernel(gpu(), {
        spec: hmmWeigh,
        constants: hmmWeighConstants(states, bins, likelihoods),
        buffers: {
          params: hmmWeighParams(row, laneRows, at, stride),
          states: Uint32Array.from(
            starts.flatMap((start, state) => [start, likelihoodStarts[state]!]),
          ),
          likelihood,
          predicted,
          filtered: 4 * lanes! * laneRows * bins,
          filter_sums: 4 * lanes! * laneRows * (2 + states),
        },
        workgroups: [lanes!],
        outputs: ["filtered", "filter_sums"],
      });
      for (let lane = 0; lane < lanes!; lane++) {
        const here = lane * laneRows + row;
        const own = new Float32Array(bins);
        for (let state = 0; state < states; state++) {
          for (let bin = starts[state]!; bin < starts[state + 1]!; bin++) {
            const entry = likelihoodStarts[state]! + bin - starts[state]!;
            own[bin] = likelihood[here * likelihoods + entry]!;
          }
        }
        const from = at + lane * stride;
        const twin = reference.hmmWeigh(predicted.subarray(from, from + bins), own, starts);
        const filtered = outputs.filtered!.subarray(here * bins, (here + 1) * bins);
        expect(largestDifference(filtered, twin.filtered)).toBeLessThan(TOLERANCE);
        const [norm, inverse, ...shares] = outputs.filter_sums!.subarray(
          here * (2 + states),
          (here + 1) * (2 + states),
        );
        expect(Math.abs(norm! / twin.norm - 1)).toBeLessThan(TOLERANCE);
        expect(Math.abs(inverse! * (twin.norm + 1e-15) - 1)).toBeLessThan(TOLERANCE);
        expect(largestDifference(shares, twin.stateSums)).toBeLessThan(TOLERANCE);
      }
      // other rows of the tile are not touched
      expect(outputs.filtered!.subarray(0, bins).every((value) => value === 0)).toBe(true);
    });
  }

  it("leaves a row that nothing explains at zero", async () => {
    const { outputs } = await runKernel(gpu(), {
      spec: hmmWeigh,
      constants: hmmWeighConstants(1, 3, 3),
      buffers: {
        params: hmmWeighParams(0, 1, 0, 3),
        states: Uint32Array.of(0, 0, 3, 0),
        likelihood: Float32Array.of(0, 1, 0),
        predicted: Float32Array.of(0.5, 0, 0.5),
        filtered: 12,
        filter_sums: 12,
      },
      workgroups: [1],
      outputs: ["filtered", "filter_sums"],
    });
    expect([...outputs.filtered!]).toEqual([0, 0, 0]);
    expect(outputs.filter_sums![0]).toBe(0);
  });
});
