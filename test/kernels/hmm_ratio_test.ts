import { describe, expect, it } from "vitest";
import { hmmRatio, hmmRatioParams } from "../../src/kernels/hmm_ratio.ts";
import { rowConstants, stateSumsBytes } from "../../src/kernels/hmm_weigh.ts";
import * as reference from "../reference/hmm_ratio.ts";
import { logSumsOfStates } from "../reference/logarithms.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import * as wide from "../support/wide_numbers.ts";

const gpu = useGpu();

// WGSL allows a quotient 2.5 units in the last place, and sums take some tens of roundings of 6e-8
const TOLERANCE = 1e-6;

/** Divides [lanes, bins] wide of every lane, and checks ratios and sums; returns levels. */
async function check(
  starts: number[],
  smoothed: Uint32Array,
  predicted: Uint32Array,
): Promise<number[]> {
  const bins = starts.at(-1)!;
  const states = starts.length - 1;
  const lanes = smoothed.length / bins;
  const [at, stride] = [2, bins + 3];
  const placed = new Uint32Array(at + lanes * stride).fill(0x71800000);
  for (let lane = 0; lane < lanes; lane++) {
    placed.set(predicted.subarray(lane * bins, (lane + 1) * bins), at + lane * stride);
  }
  const { outputs } = await runKernel(gpu(), {
    spec: hmmRatio,
    constants: rowConstants(states),
    buffers: {
      params: hmmRatioParams(bins, at, stride),
      states: Uint32Array.from(starts.flatMap((start) => [start, 0])),
      smoothed_carry: smoothed,
      predicted: placed,
      ratio: smoothed.byteLength,
      state_sums: stateSumsBytes(lanes, states),
    },
    workgroups: [lanes],
    outputs: ["ratio", "state_sums"],
  });
  const levels: number[] = [];
  for (let lane = 0; lane < lanes; lane++) {
    const own = (values: Uint32Array) => values.subarray(lane * bins, (lane + 1) * bins);
    const twin = reference.hmmRatio(wide.logsOf(own(smoothed)), wide.logsOf(own(predicted)));
    const ratio = own(wide.asWide(outputs.ratio!));
    const largest = Math.max(...twin);
    // in the kernel's scale, which is that of its largest
    const scale = largest === -Infinity ? 0 : Math.max(...wide.logsOf(ratio)) - largest;
    expect(Math.abs(Math.max(...wide.logsOf(ratio), -1))).toBeLessThanOrEqual(1);
    const scaled = twin.map((log) => log + scale);
    expect(wide.largestError(ratio, scaled)).toBeLessThan(TOLERANCE);
    const sums = wide.asWide(outputs.state_sums!)
      .subarray(lane * (1 + states), (lane + 1) * (1 + states));
    expect(wide.largestError(sums.subarray(1), logSumsOfStates(scaled, starts))).toBeLessThan(
      TOLERANCE,
    );
    levels.push(sums[0]!);
  }
  return levels;
}

describe("hmm_ratio", () => {
  for (const [lanes, ...starts] of [[1, 0, 1], [65, 0, 1, 2], [2, 0, 531, 532, 1063]]) {
    for (const [depth, zeros] of [[20, 0], [80, 0.2], [1000, 0.2], [5000, 0.7]] as const) {
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

  it("reaches from the smallest prediction to the smallest that is smoothed", async () => {
    const never = -Infinity;
    const smoothed = wide.wideOfLogs([-5677, -3000, never, 0, -0.1, never, -5, -9]);
    const predicted = wide.wideOfLogs([-0.1, -2999, -2, -5677, -5000, never, never, -1]);
    await check([0, 2, 8], smoothed, predicted);
  });

  // powers of two of the largest ratio and the least, and levels: a bound, which may be one more
  for (
    const [most, least, levels] of [
      [31, -96, 1],
      [32, -96, 2],
      [31, -97, 2],
      [31, -98, 2],
      [-40, -90, 1],
      [-96, -96, 1],
      [-97, -98, 1],
      [120, 100, 1],
      [100, -100, 2],
    ] as const
  ) {
    it(`holds ratios of 2^${most} to 2^${least}`, async () => {
      const powers = [[Math.min(most, 0), -Math.max(most, 0)], [
        Math.min(least, 0),
        -Math.max(least, 0),
      ]];
      const [smoothed, predicted] = [0, 1].map((i) =>
        wide.wideOfLogs([...powers.map((pair) => pair[i]! * Math.LN2), -Infinity])
      );
      expect(await check([0, 1, 3], smoothed!, predicted!)).toEqual([levels]);
    });
  }

  it("divides what is deep and was ruled out as nothing", async () => {
    // the least number, too
    const smoothed = Uint32Array.of(0x71000000, 0x80000000, 0x70800000, 0xf0000000);
    const predicted = Uint32Array.of(0x71800000, 0, 0x71000000, 0);
    await check([0, 4], smoothed, predicted);
    await check([0, 4], predicted, smoothed);
  });

  it("is nothing where nothing is smoothed", async () => {
    const never = -Infinity;
    const smoothed = wide.wideOfLogs([never, never, -1, never, -1, -2]);
    const predicted = wide.wideOfLogs([-1, never, -2, -3000, -1, -1]);
    await check([0, 1, 2], smoothed, predicted);
  });

  it("counts levels of what is smoothed, and of nothing else", async () => {
    // the second ratio is 2^-1649 of the first: its smoothed probability above 2^-104, then below
    const predicted = wide.wideOfLogs([-1100, -1, -1100, -1]);
    const smoothed = wide.wideOfLogs([-28, -71.9, -28, -73]);
    expect(await check([0, 2], smoothed, predicted)).toEqual([13, 1]);
  });
});
