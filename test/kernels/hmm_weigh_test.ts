import { describe, expect, it } from "vitest";
import {
  hmmWeigh,
  hmmWeighParams,
  rowConstants,
  stateSumsBytes,
} from "../../src/kernels/hmm_weigh.ts";
import * as reference from "../reference/hmm_weigh.ts";
import { logSumsOfStates } from "../reference/logarithms.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import * as wide from "../support/wide_numbers.ts";

const gpu = useGpu();

// relative: a few roundings of 6e-8
const TOLERANCE = 6e-7;

/** Weighs one row of every lane, [lanes, bins] wide each, and checks all that is written. */
async function check(
  starts: number[],
  predicted: Uint32Array,
  likelihood: Uint32Array,
): Promise<void> {
  const bins = starts.at(-1)!;
  const states = starts.length - 1;
  const lanes = predicted.length / bins;
  const [row, laneRows] = [1, 3];
  // every state has likelihoods of its own, but for the last, which reads those of the first
  const likelihoodStarts = starts.map((start, state) => state === states - 1 ? 0 : start);
  const likelihoods = bins + 3;
  const [at, stride] = [5, bins + 1];
  const placed = new Uint32Array(at + lanes * stride).fill(0x71800000);
  const placedLikelihood = new Uint32Array(lanes * laneRows * likelihoods).fill(0x71800000);
  for (let lane = 0; lane < lanes; lane++) {
    const own = (values: Uint32Array) => values.subarray(lane * bins, (lane + 1) * bins);
    placed.set(own(predicted), at + lane * stride);
    placedLikelihood.set(own(likelihood), (lane * laneRows + row) * likelihoods);
  }
  const { outputs } = await runKernel(gpu(), {
    spec: hmmWeigh,
    constants: rowConstants(states),
    buffers: {
      params: hmmWeighParams({ bins, likelihoods }, row, laneRows, at, stride),
      states: Uint32Array.from(
        starts.flatMap((start, state) => [start, likelihoodStarts[state]!]),
      ),
      likelihood: placedLikelihood,
      predicted: placed,
      filtered: 4 * lanes * laneRows * bins,
      filter_sums: 4 * lanes * laneRows * (2 + states),
      state_sums: stateSumsBytes(lanes, states),
    },
    workgroups: [lanes],
    outputs: ["filtered", "filter_sums", "state_sums"],
  });
  const all = wide.asWide(outputs.filtered!);
  const stateSums = wide.asWide(outputs.state_sums!);
  for (let lane = 0; lane < lanes; lane++) {
    const here = lane * laneRows + row;
    const own = new Uint32Array(bins);
    for (let state = 0; state < states; state++) {
      for (let bin = starts[state]!; bin < starts[state + 1]!; bin++) {
        const entry = likelihoodStarts[state]! + bin - starts[state]!;
        own[bin] = likelihood[lane * bins + entry]!;
      }
    }
    const prediction = wide.logsOf(predicted.subarray(lane * bins, (lane + 1) * bins));
    const twin = reference.hmmWeigh(prediction, wide.logsOf(own));
    const filtered = all.subarray(here * bins, (here + 1) * bins);
    expect(wide.largestError(filtered, twin.filtered)).toBeLessThan(TOLERANCE);
    const [shift, inverse, ...shares] = outputs.filter_sums!.subarray(
      here * (2 + states),
      (here + 1) * (2 + states),
    );
    const evidence = inverse === 0 ? -Infinity : shift! * Math.LN2 - Math.log(inverse!);
    if (twin.evidence === -Infinity) expect(evidence).toBe(-Infinity);
    else expect(Math.abs(evidence - twin.evidence)).toBeLessThan(TOLERANCE);
    const totals = logSumsOfStates(twin.filtered, starts);
    totals.forEach((total, state) =>
      expect(Math.abs(shares[state]! - Math.exp(total))).toBeLessThan(
        TOLERANCE * Math.exp(total) + 2e-38,
      )
    );
    const sums = stateSums.subarray(lane * (1 + states), (lane + 1) * (1 + states));
    expect(wide.largestError(sums.subarray(1), totals)).toBeLessThan(TOLERANCE);
    // a bound, which for numbers next to the end of a level may be one more
    expect(sums[0]).toBeGreaterThanOrEqual(wide.levelsOf(filtered));
    expect(sums[0]).toBeLessThanOrEqual(
      Math.max(1, wide.levelsOf(wide.wideOfLogs(twin.filtered.map((log) => log - 2)))),
    );
  }
  // other rows of the tile are not touched
  expect(all.subarray(0, bins).every((value) => value === 0)).toBe(true);
}

describe("hmm_weigh", () => {
  // first bin of each state, and the number of bins
  const shapes = [[1, 0, 1], [65, 0, 1, 2], [3, 0, 37, 74], [2, 0, 1, 400, 401, 1001]];
  for (const [lanes, ...starts] of shapes) {
    for (const [depth, zeros] of [[8, 0], [60, 0.2], [1000, 0.2], [3000, 0.7]] as const) {
      it(`agrees with its twin: ${lanes} lanes, states at ${starts.join(", ")}, to exp(-${depth})`, async () => {
        const random = seeded(lanes! + depth);
        const length = lanes! * starts.at(-1)!;
        await check(
          starts,
          wide.randomWide(length, random, { depth, zeros }),
          wide.randomWide(length, random, { depth, zeros }),
        );
      });
    }
  }

  it("keeps what a state has left, and where, beside one that has all", async () => {
    const starts = [0, 3, 7, 9];
    const predicted = [0, -3, -Infinity, -2000, -2003, -2001, -Infinity, -1000, -5000];
    const likelihood = [-1, -Infinity, -2, -5, -3, -400, -1, -7, 0];
    await check(starts, wide.wideOfLogs(predicted), wide.wideOfLogs(likelihood));
  });

  it("holds weights down to 2^-8191", async () => {
    const predicted = [0, -3000, -5000, -5600];
    await check([0, 4], wide.wideOfLogs(predicted), wide.wideOfLogs([0, -2670, -670, -70]));
  });

  // sums of 17 and 9: over 2^4, a quotient of the first is not near, though the weights are
  for (const [ones, least] of [[17, -124], [9, -124], [9, -125], [1, -128], [1, -129]] as const) {
    it(`holds a weight of 2^${least} beside ${ones} of 1`, async () => {
      const row = wide.wideOfLogs([...new Float64Array(ones), 0.5 * least * Math.LN2, -Infinity]);
      await check([0, ones, ones + 2], row, row.slice());
    });
  }

  it("weighs what is deep and ruled out as nothing", async () => {
    // the least number, too
    const predicted = Uint32Array.of(0x71000000, 0x80000000, 0x70800000, 0xf0000000);
    const likelihood = Uint32Array.of(0x71800000, 0, 0x71000000, 0);
    await check([0, 4], predicted, likelihood);
    await check([0, 4], likelihood, predicted);
  });

  it("weighs a row whose every likelihood is small as one that is not", async () => {
    await check([0, 3], wide.wideOfLogs([-1, -2, -3]), wide.wideOfLogs([-5000, -5001, -5003]));
  });

  it("leaves rows that nothing explains as they were predicted", async () => {
    const never = -Infinity;
    const predicted = [-0.7, never, -0.7, -900, -0.1, -2, never, -3, never, never, never, never];
    const likelihood = [never, 0, never, never, -3, never, 0, 0, never, 0, -1, never];
    // the third lane predicts nothing at all
    await check([0, 2, 4], wide.wideOfLogs(predicted), wide.wideOfLogs(likelihood));
  });
});
