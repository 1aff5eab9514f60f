import { describe, expect, it } from "vitest";
import { gridFromPosition } from "../../src/hmm/grid.ts";
import {
  encodeSortedSpikes,
  rateTable,
  smoothedSpeed,
  validateRecording,
} from "../../src/hmm/sorted_spikes.ts";
import { seeded } from "../support/random.ts";
import { smallRecording } from "../support/recordings.ts";

const position = { times: [0, 1, 2], values: [1, 2, 3] };

describe("validateRecording()", () => {
  it("takes one or two dimensions, flat spikes or a list per unit", () => {
    const lists = validateRecording(position, [[0.5, 2], [], [1]]);
    expect(lists.dimensions).toBe(1);
    expect(lists.unitCount).toBe(3);
    expect([...lists.spikes.times]).toEqual([0.5, 1, 2]);
    expect([...lists.spikes.units]).toEqual([0, 2, 0]);
    const flat = validateRecording(
      { times: [0, 0, 1], values: [1, 1, 2, 2, 3, 3] },
      { times: [0.5], units: [4] },
    );
    expect(flat.dimensions).toBe(2);
    expect(flat.unitCount).toBe(5);
  });

  it("refuses what it cannot use, and names the entry", () => {
    const spikes = (times: number[], units: number[]) => () =>
      validateRecording(position, { times, units });
    expect(spikes([2, 1], [0, 0])).toThrow(/spike times: entry 1 is 1 s after 2 s/);
    expect(spikes([1, NaN], [0, 0])).toThrow(/spike times: entry 1 is NaN/);
    expect(spikes([1, 2], [0])).toThrow(/2 times and 1 units/);
    expect(spikes([1], [-1])).toThrow(/spike 0 has unit -1/);
    expect(spikes([1], [0.5])).toThrow(/spike 0 has unit 0.5/);
    expect(spikes([1], [70_000])).toThrow(/from 0 to 65535/);
    expect(spikes([], [])).toThrow(/there are no units/);
    const samples = (times: number[], values: number[]) => () =>
      validateRecording({ times, values }, [[1]]);
    expect(samples([0, 1, 2], [1, 2])).toThrow(/3 times and 2 values/);
    expect(samples([0, 2, 1], [1, 2, 3])).toThrow(/position times: entry 2 is 1 s after 2 s/);
    expect(samples([0], [1])).toThrow(/1 samples, wanted at least 2/);
  });

  it("leaves its inputs alone", () => {
    const times = Float64Array.of(0.25, 0.5);
    const checked = validateRecording(position, { times, units: [0, 1] });
    checked.spikes.times[0] = 9;
    expect(times[0]).toBe(0.25);
  });
});

/** Rates straight from the definition: mean rate x density at spikes / density of samples. */
function ratesByDefinition(
  places: number[][],
  samples: number[][],
  centers: number[][],
  std: number,
): number[] {
  const density = (points: number[][], center: number[]) =>
    points.reduce((sum, point) =>
      sum + point.reduce(
        (product, value, d) =>
          product * Math.exp(-0.5 * ((value - center[d]!) / std) ** 2) /
          (std * Math.sqrt(2 * Math.PI)),
        1,
      ), 0) / points.length;
  return centers.map((center) =>
    (places.length / samples.length) * density(places, center) / density(samples, center)
  );
}

describe("encodeSortedSpikes()", () => {
  for (const dimensions of [1, 2] as const) {
    it(`equals the definition in ${dimensions} dimension(s)`, () => {
      const recording = validateRecording(
        ...Object.values(smallRecording({ dimensions, units: 3, seconds: 6 })) as [never, never],
      );
      const { values, times } = recording.position;
      const grid = gridFromPosition(values, dimensions, { binSize: 3 });
      const encoding = encodeSortedSpikes({ ...recording, grid, positionStd: 3 });
      const samples = Array.from(times, (_, i) => [
        ...values.subarray(i * dimensions, (i + 1) * dimensions),
      ]);
      const centers = Array.from(
        grid.interiorIndex,
        (bin) =>
          dimensions === 1 ? [grid.centers[0]![bin]!] : [
            grid.centers[0]![Math.floor(bin / grid.shape[1]!)]!,
            grid.centers[1]![bin % grid.shape[1]!]!,
          ],
      );
      const own = Array.from(recording.spikes.times).filter((time, i) =>
        recording.spikes.units[i] === 1 && time <= times.at(-1)!
      );
      const places = own.map((time) => {
        const before = Math.min(times.length - 2, Math.floor(time / 0.02 + 1e-9));
        const share = (time - times[before]!) / (times[before + 1]! - times[before]!);
        return samples[before]!.map((value, d) =>
          value + share * (samples[before + 1]![d]! - value)
        );
      });
      const wanted = ratesByDefinition(places, samples, centers, 3);
      const interior = grid.interiorIndex.length;
      wanted.forEach((rate, bin) => {
        const got = encoding.ratesPerSample[interior + bin]!;
        expect(Math.abs(got - rate)).toBeLessThan(1e-9 * Math.max(1e-3, rate));
      });
      expect(Math.abs(encoding.positionRate - 50)).toBeLessThan(1e-9);
    });
  }

  const times = Array.from({ length: 101 }, (_, i) => i * 0.1);
  const line = { times, values: times.map((time) => time) };
  const encode = (
    spikes: number[],
    extra: Partial<Parameters<typeof encodeSortedSpikes>[0]> = {},
    place = line,
  ) => {
    const recording = validateRecording(place, [spikes, []]);
    const grid = gridFromPosition(recording.position.values, 1, { binSize: 1 });
    return encodeSortedSpikes({ ...recording, grid, positionStd: 1, ...extra });
  };

  it("gives a unit without spikes a rate of 0, floored later", () => {
    const encoding = encode([3]);
    const table = rateTable(encoding, 0.1);
    expect(encoding.ratesPerSample.subarray(10).every((rate) => rate === 0)).toBe(true);
    expect(table.subarray(10).every((rate) => rate === 1e-15)).toBe(true);
  });

  it("scales rates to the step: exactly not at all when both sampling rates are equal", () => {
    const encoding = encode([3, 4]);
    expect(rateTable(encoding, 0.1).subarray(0, 10)).toEqual(
      encoding.ratesPerSample.subarray(0, 10),
    );
    const finer = rateTable(encoding, 0.01);
    expect(finer[3]! / encoding.ratesPerSample[3]!).toBeCloseTo(0.1, 9);
  });

  it("limits samples and spikes to training intervals, with one sample of margin", () => {
    const encoding = encode([0.95, 1.05, 2.05, 2.15, 5], { train: [[1, 2]] });
    expect(encoding.encodingSamples).toBe(11);
    // 0.95 lies beside the sample at 1, 2.05 beside the one at 2
    expect(encoding.encodingSpikes).toBe(3);
  });

  it("leaves out slow samples", () => {
    const values = times.map((time) => time < 5 ? time : 5);
    const encoding = encode([2, 8], { minSpeed: 0.5 }, { times, values });
    expect(encoding.encodingSpikes).toBe(1);
    expect(encoding.encodingSamples).toBeLessThan(55);
    expect(() => encode([2], { minSpeed: 50 })).toThrow(/a minimum speed of 50/);
  });

  it("leaves out unknown positions, and spikes in gaps", () => {
    const gappy = times.map((time) => time < 5 ? time : time + 3);
    const values = times.map((time) => time > 2 && time < 3 ? NaN : time);
    const encoding = encode([1, 2.5, 6, 9], {}, { times: gappy, values });
    // 2.5 has no position, 6 falls between 4.9 and 8
    expect(encoding.encodingSpikes).toBe(2);
    expect(encoding.encodingSamples).toBe(101 - values.filter(Number.isNaN).length);
  });

  it("refuses a kernel that is none", () => {
    expect(() => encode([1], { positionStd: 0 })).toThrow(/standard deviation is 0/);
  });
});

describe("smoothedSpeed()", () => {
  it("is the speed of what moves steadily, and unknown beside unknown positions", () => {
    const random = seeded(1);
    const times = Float64Array.from({ length: 200 }, (_, i) => i * 0.05);
    const steady = smoothedSpeed(times, times.map((time) => 7 * time), 1);
    expect(steady.every((speed) => Math.abs(speed - 7) < 1e-9)).toBe(true);
    const values = times.map(() => random());
    values[100] = NaN;
    const speed = smoothedSpeed(times, values, 1);
    expect(speed[100]).toBeNaN();
    expect(speed[50]).toBeGreaterThan(0);
  });

  it("takes equal times in its stride", () => {
    const speed = smoothedSpeed(Float64Array.of(0, 0, 0), Float64Array.of(1, 2, 3), 1);
    expect([...speed]).toEqual([0, 0, 0]);
  });
});
