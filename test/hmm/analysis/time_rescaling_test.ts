import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../../src/array/array.ts";
import { timeRescaling } from "../../../src/hmm/decoder.ts";
import { Random } from "../../../src/math/random.ts";

const spikesAt = (rows: number, ...at: number[]) =>
  Uint8Array.from({ length: rows }, (_, row) => at.includes(row) ? 1 : 0);

describe("timeRescaling()", () => {
  it("integrates the intensity from spike to spike by trapezoids", async () => {
    const intensity = Float64Array.of(0.5, 1.5, 0.5, 0.5, 0);
    // integrals 0, 1, 2, 2.5, 2.75
    const { uniformIntervals, ksStatistic, expected, band95, band99 } = await timeRescaling({
      intensity,
      spikes: spikesAt(5, 1, 3),
    });
    const [first, second] = [1 - Math.exp(-1), 1 - Math.exp(-1.5)];
    expect(uniformIntervals[0]).toBeCloseTo(first, 15);
    expect(uniformIntervals[1]).toBeCloseTo(second, 15);
    expect([...expected]).toEqual([0.25, 0.75]);
    expect(ksStatistic).toBeCloseTo(Math.max(first - 0.25, second - 0.75), 15);
    expect(band95).toBe(1.36 / Math.SQRT2);
    expect(band99).toBe(1.63 / Math.SQRT2);
  });

  it("begins anew with each trial, and knows that trials end", async () => {
    const intensity = Float32Array.of(1, 1, 1, 1, 1, 1);
    const spikes = spikesAt(6, 1, 5);
    const trials = Int32Array.of(7, 7, 7, 3, 3, 3);
    const plain = await timeRescaling({ intensity, spikes, trials });
    expect(plain.uniformIntervals[0]).toBeCloseTo(1 - Math.exp(-1), 15);
    expect(plain.uniformIntervals[1]).toBeCloseTo(1 - Math.exp(-2), 15);
    const adjusted = await timeRescaling({ intensity, spikes, trials, adjustForShortTrials: true });
    expect(adjusted.uniformIntervals[0]).toBeCloseTo((1 - Math.exp(-1)) / (1 - Math.exp(-2)), 15);
    expect(adjusted.uniformIntervals[1]).toBe(1);
  });

  it("tells spikes of the model from those of another, read in any chunks", async () => {
    const rows = 100_000;
    const random = new Random(5);
    const intensity = Float64Array.from(
      { length: rows },
      (_, row) => 0.01 * (1 + Math.sin(row / 500)),
    );
    const spikes = intensity.map((rate) => random.uniform() < rate ? 1 : 0);
    const right = await timeRescaling({ intensity, spikes });
    expect(right.ksStatistic).toBeLessThan(right.band95);
    const wrong = await timeRescaling({ intensity: intensity.fill(0.01), spikes });
    expect(wrong.ksStatistic).toBeGreaterThan(wrong.band99);
  });

  it("has no statistic without spikes, and refuses several in a row, and what is no rate", async () => {
    const intensity = Float64Array.of(1, 1, 1);
    expect((await timeRescaling({ intensity, spikes: spikesAt(3) })).ksStatistic).toBeNaN();
    const refused = (own: object) => timeRescaling({ intensity, spikes: spikesAt(3, 1), ...own });
    await expect(refused({ spikes: Uint8Array.of(0, 2, 0) })).rejects.toThrow(
      "Cannot rescale time: spikes[1] is 2, wanted 0 or 1: use shorter rows",
    );
    await expect(refused({ intensity: Float64Array.of(1, NaN, 1) })).rejects.toThrow(
      "intensity[1] is NaN",
    );
    await expect(refused({ spikes: fromTypedArray(Uint8Array.of(0, 1)) })).rejects.toThrow(
      "spikes has the shape [2], wanted [3]",
    );
    await expect(refused({ trials: Uint8Array.of(1, 2, 1) })).rejects.toThrow(
      "trial 1 comes again in row 2",
    );
  });
});
