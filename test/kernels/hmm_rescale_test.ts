import { describe, expect, it } from "vitest";
import { hmmRescale, hmmRescaleParams } from "../../src/kernels/hmm_rescale.ts";
import { rowConstants } from "../../src/kernels/hmm_weigh.ts";
import { NOWHERE } from "../../src/kernels/hmm_smooth.ts";
import * as reference from "../reference/hmm_rescale.ts";
import { logSumsOfStates } from "../reference/logarithms.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import * as wide from "../support/wide_numbers.ts";

const gpu = useGpu();

// relative: a few roundings of 6e-8
const TOLERANCE = 6e-7;

/** Rescales one row of every lane; `filtered` and `back` are [lanes, bins] wide. */
async function check(
  starts: number[],
  filtered: Uint32Array,
  back: Uint32Array,
  lastLane?: number,
  burnInEnd: number = NOWHERE,
): Promise<void> {
  const bins = starts.at(-1)!;
  const states = starts.length - 1;
  const lanes = back.length / bins;
  const [row, laneRows] = [2, 4];
  const rows = new Uint32Array(lanes * laneRows * bins).fill(0x71800000);
  const own = (values: Uint32Array, i: number) => values.subarray(i * bins, (i + 1) * bins);
  for (let lane = 0; lane < lanes; lane++) {
    rows.set(own(filtered, lane), (lane * laneRows + row) * bins);
  }
  const { outputs } = await runKernel(gpu(), {
    spec: hmmRescale,
    constants: rowConstants(states),
    buffers: {
      params: hmmRescaleParams(bins, row, laneRows, {
        // of all lanes this one alone ends here
        firstEnd: lastLane === undefined ? NOWHERE : row + 1000 * lastLane,
        laneLength: lastLane === undefined ? 0 : 1000,
        burnInEnd,
      }),
      states: Uint32Array.from(starts.flatMap((start) => [start, 0])),
      back,
      filtered: rows,
      smoothed_carry: back.byteLength,
      smooth_sums: 4 * lanes * laneRows * states,
    },
    workgroups: [lanes],
    outputs: ["filtered", "smoothed_carry", "smooth_sums"],
  });
  const all = wide.asWide(outputs.filtered!);
  for (let lane = 0; lane < lanes; lane++) {
    const here = lane * laneRows + row;
    const isStart = lane === lastLane || burnInEnd === row;
    const twin = reference.hmmRescale(
      wide.logsOf(own(filtered, lane)),
      isStart ? undefined : wide.logsOf(own(back, lane)),
    );
    expect(wide.largestError(own(all, here), twin)).toBeLessThan(TOLERANCE);
    if (isStart) expect(own(all, here)).toEqual(own(filtered, lane));
    expect(own(wide.asWide(outputs.smoothed_carry!), lane)).toEqual(own(all, here));
    logSumsOfStates(twin, starts).forEach((total, state) => {
      const sum = outputs.smooth_sums![here * states + state]!;
      // f32 ends at 2^-126
      expect(Math.abs(sum - Math.exp(total))).toBeLessThan(TOLERANCE * Math.exp(total) + 2e-38);
    });
  }
  // other rows of the tile stay filtered
  expect(own(all, 0)).toEqual(own(rows, 0));
}

describe("hmm_rescale", () => {
  for (const [lanes, ...starts] of [[1, 0, 1], [65, 0, 1, 2], [3, 0, 531, 532, 1063]]) {
    for (const lastLane of [undefined, lanes! - 1]) {
      for (const [depth, zeros] of [[8, 0], [1000, 0.2], [2800, 0.6]] as const) {
        it(
          `agrees with its twin: ${lanes} lanes, states at ${
            starts.join(", ")
          }, to exp(-${depth}), ${lastLane === undefined ? "within the recording" : "at its end"}`,
          async () => {
            const random = seeded(lanes! + depth);
            const length = lanes! * starts.at(-1)!;
            const filtered = wide.randomWide(length, random, { depth, zeros });
            const back = wide.randomWide(length, random, { depth, zeros });
            await check(starts, filtered, back, lastLane);
          },
        );
      }
    }
  }

  it("starts every lane over at the end of its burn-in, and in no other row", async () => {
    const random = seeded(4);
    const [filtered, back] = [0, 1].map(() =>
      wide.randomWide(3 * 7, random, { depth: 8, zeros: 0 })
    );
    // rows of a lane are 0 to 3, and this one is 2
    for (const burnInEnd of [0, 1, 2, 3]) {
      await check([0, 4, 7], filtered!, back!, undefined, burnInEnd);
    }
  });

  it("keeps what is certain against all that was filtered", async () => {
    const never = -Infinity;
    const filtered = wide.wideOfLogs([-0.1, -3, -2000, -2001, never]);
    await check([0, 2, 5], filtered, wide.wideOfLogs([-5000, never, -1, -0.5, 0]));
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
    const filtered = Uint32Array.of(0x71000000, 0x80000000, 0x70800000, 0xf0000000);
    const back = Uint32Array.of(0x71800000, 0, 0x71000000, 0);
    await check([0, 4], filtered, back);
    await check([0, 4], back, filtered);
  });

  it("leaves a row as it was filtered where nothing came back", async () => {
    const never = -Infinity;
    const filtered = wide.wideOfLogs([-0.5, never, -1, -2000, never, never]);
    await check([0, 1, 3], filtered, wide.wideOfLogs([never, -1, never, never, never, -5]));
  });
});
