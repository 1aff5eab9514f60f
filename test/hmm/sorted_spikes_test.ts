import { describe, expect, it } from "vitest";
import { trackingIntervals } from "../../src/hmm/exposure.ts";
import { gridFromPosition } from "../../src/hmm/grid.ts";
import { validateRecording } from "../../src/hmm/recording.ts";
import {
  encodeSortedSpikes,
  isEnough,
  rateTable,
  smoothedSpeed,
} from "../../src/hmm/sorted_spikes.ts";
import { poissonLikelihood } from "../reference/poisson_likelihood.ts";
import { seeded } from "../support/random.ts";
import type { TestRecording } from "../support/recordings.ts";
import { smallRecording } from "../support/recordings.ts";

type Encode = Parameters<typeof encodeSortedSpikes>[0];

function encodingOf(
  { position, spikes }: TestRecording,
  dimensions: 1 | 2,
  extra: Partial<Encode> = {},
) {
  const recording = validateRecording(position, spikes);
  const grid = gridFromPosition(recording.position.values, dimensions, { binSize: 3 });
  const encoding = encodeSortedSpikes({ ...recording, grid, positionStd: 3, ...extra });
  const centers = Array.from(
    grid.interiorIndex,
    (bin) =>
      dimensions === 1 ? [grid.centers[0]![bin]!] : [
        grid.centers[0]![Math.floor(bin / grid.shape[1]!)]!,
        grid.centers[1]![bin % grid.shape[1]!]!,
      ],
  );
  return { recording, encoding, centers };
}

/** Normal density of a distance, over as many dimensions as it has. */
function kernel(place: readonly number[], center: readonly number[], std: number): number {
  return place.reduce(
    (product, value, d) =>
      product * Math.exp(-0.5 * ((value - center[d]!) / std) ** 2) / (std * Math.sqrt(2 * Math.PI)),
    1,
  );
}

/**
 * Hz and seconds by cutting time into slivers: in each, the animal is where a straight line between
 * samples puts it, and counts as far as the samples beside it do. Slivers share their exposure between
 * these as hats do.
 */
function bySlivers(
  { position: { times, values }, spikes }: TestRecording,
  { dimensions, unit, weights, centers, std }: {
    dimensions: number;
    unit: number;
    weights: readonly number[];
    centers: readonly number[][];
    std: number;
  },
) {
  const place = (sample: number) => [
    ...values.subarray(sample * dimensions, (sample + 1) * dimensions),
  ];
  const unknown = (sample: number) => place(sample).some(Number.isNaN);
  const spans = trackingIntervals(times);
  /** Samples beside a time with their shares, none where the position is unknown. */
  const beside = (time: number): [number, number][] => {
    const span = spans.find(([start, stop]) => time >= start && time <= stop);
    if (!span) return [];
    const own = Array.from(times.keys()).filter((i) =>
      times[i]! >= span[0] && times[i]! <= span[1]
    );
    const left = own.findLast((i) => times[i]! <= time) ?? own[0]!;
    const right = own.find((i) => times[i]! > time) ?? own.at(-1)!;
    if (unknown(left) || unknown(right)) {
      // known as far as midway to the unknown one
      const middle = (times[left]! + times[right]!) / 2;
      const near = time <= middle ? left : right;
      return unknown(near) ? [] : [[near, 1]];
    }
    if (left === right || time <= times[left]!) return [[left, 1]];
    const share = (time - times[left]!) / (times[right]! - times[left]!);
    return [[left, 1 - share], [right, share]];
  };
  const seconds = new Float64Array(times.length);
  const SLIVERS = 3;
  for (const [start, stop] of spans) {
    const own = Array.from(times).filter((time) => time > start && time < stop);
    // slivers end where hats have their kinks
    const kinks = [
      start,
      ...own.flatMap((time, i) => i + 1 < own.length ? [time, (time + own[i + 1]!) / 2] : [time]),
      stop,
    ];
    for (let k = 0; k + 1 < kinks.length; k++) {
      const width = (kinks[k + 1]! - kinks[k]!) / SLIVERS;
      for (let i = 0; i < SLIVERS; i++) {
        for (const [sample, share] of beside(kinks[k]! + (i + 0.5) * width)) {
          seconds[sample]! += share * width;
        }
      }
    }
  }
  let exposure = 0;
  const spent = centers.map(() => 0);
  seconds.forEach((own, sample) => {
    if (weights[sample]! * own === 0) return;
    exposure += weights[sample]! * own;
    centers.forEach((center, bin) =>
      spent[bin]! += weights[sample]! * own * kernel(place(sample), center, std)
    );
  });
  const fired = centers.map(() => 0);
  spikes.times.forEach((time, i) => {
    if (spikes.units[i] !== unit) return;
    const shares = beside(time);
    const weight = shares.reduce((sum, [sample, share]) => sum + share * weights[sample]!, 0);
    const at = place(0).map((_, d) =>
      shares.reduce((sum, [sample, share]) => sum + share * place(sample)[d]!, 0)
    );
    if (weight === 0) return;
    centers.forEach((center, bin) => fired[bin]! += weight * kernel(at, center, std));
  });
  return {
    exposure,
    rates: fired.map((own, bin) => Math.max(5e-13, own / spent[bin]!)),
    occupancy: spent.map((own) => own / exposure),
  };
}

function expectClose(got: ArrayLike<number>, wanted: readonly number[], relative: number) {
  const scale = Math.max(...wanted);
  expect(got.length).toBe(wanted.length);
  wanted.forEach((value, i) =>
    expect(Math.abs(got[i]! - value)).toBeLessThan(relative * Math.max(value, 1e-6 * scale))
  );
}

describe("smoothedSpeed()", () => {
  it("is the way within a quarter of a second before and after, by the time that took", () => {
    // a sample every eighth of a second: five lie within half a second
    const times = Float64Array.from({ length: 9 }, (_, i) => i / 8);
    const values = Float64Array.of(0, 1, 0, 4, 4, 4, 5, 7, 7);
    // ways from sample to sample: 1, 1, 4, 0, 0, 1, 2, 0
    const way = [0, 1, 2, 6, 6, 6, 7, 9, 9];
    const wanted = way.map((_, i) => {
      const [from, to] = [Math.max(0, i - 2), Math.min(8, i + 2)];
      return (way[to]! - way[from]!) / ((to - from) / 8);
    });
    expect([...smoothedSpeed(times, values, 1)]).toEqual(wanted);
    expect(wanted[4]).toBe((7 - 2) / 0.5);
    // in two dimensions steps are as the crow flies
    const flat = Float64Array.from([0, 0, 3, 4, 3, 4]);
    expect([...smoothedSpeed(Float64Array.of(0, 0.25, 0.5), flat, 2)]).toEqual([20, 10, 0]);
  });
});

describe("the minimum speed", () => {
  it("leaves out samples at exactly that speed, as slower ones", () => {
    // 10 units a second for 5 s, then 20: eighths and quarters are exact
    const times = Float64Array.from({ length: 81 }, (_, i) => i / 8);
    const values = times.map((time) => time <= 5 ? 10 * time : 50 + 20 * (time - 5));
    expect([...smoothedSpeed(times, values, 1).slice(0, 39)]).toEqual(Array(39).fill(10));
    const recording = validateRecording(
      { times, values },
      [Float64Array.of(1, 2, 8, 9)],
    );
    const grid = gridFromPosition(recording.position.values, 1, { binSize: 3 });
    const encode = (minSpeed: number) =>
      encodeSortedSpikes({ ...recording, grid, positionStd: 3, minSpeed });
    expect(encode(9.999).encodingSamples).toBe(81);
    expect(encode(9.999).encodingSpikes).toBe(4);
    // from the sample on whose half second reaches into the faster part
    expect(encode(10).encodingSamples).toBe(81 - 39);
    expect(encode(10).encodingSpikes).toBe(2);
    expect(() => encode(20)).toThrow(/none of 81 samples/);
  });
});

describe("isEnough()", () => {
  it("counts samples that were tracked, and that are not left out", () => {
    const times = Float64Array.from({ length: 20 }, (_, i) => i / 10);
    const recording = validateRecording({ times, values: times }, [Float64Array.of(1)]);
    const grid = gridFromPosition(times, 1, { binSize: 1 });
    const own = { ...recording, grid, positionStd: 3 };
    const weightAt = (time: number) => time < 1 ? 0.05 : 0.5;
    expect(isEnough({ ...own, weightAt })).toBe(true);
    expect(isEnough({ ...own, weightAt, intervals: [[0, 0.95]] })).toBe(false);
    expect(isEnough({ ...own, weightAt, train: [[0, 0.95]] })).toBe(false);
    expect(isEnough({ ...own, weightAt, intervals: [[0.95, 1.15]] })).toBe(true);
  });
});

describe("encodeSortedSpikes()", () => {
  for (const dimensions of [1, 2] as const) {
    it(`equals the definition in ${dimensions} dimension(s), by slivers of time`, () => {
      const recording = smallRecording({ dimensions, units: 3, seconds: 6 });
      const { encoding, centers } = encodingOf(recording, dimensions);
      for (const unit of [0, 2]) {
        const weights = Array.from(recording.position.times, () => 1);
        const wanted = bySlivers(recording, { dimensions, unit, weights, centers, std: 3 });
        const bins = centers.length;
        expectClose(encoding.rates.subarray(unit * bins, (unit + 1) * bins), wanted.rates, 1e-9);
        expectClose(encoding.occupancy, wanted.occupancy, 1e-9);
        expect(encoding.exposureSeconds).toBeCloseTo(wanted.exposure, 9);
      }
      expect(encoding.encodingSpikes).toBe(recording.spikes.times.length);
    });

    it(`equals it with lost frames, gaps, unknown positions and training: ${dimensions} dimension(s)`, () => {
      for (const seed of [7, 8]) {
        const random = seeded(seed);
        const whole = smallRecording({ dimensions, units: 2, seconds: 6, seed });
        const kept = Array.from(whole.position.times.keys()).filter((i) =>
          random() < 0.7 && !(i > 100 && i < 160)
        );
        const times = Float64Array.from(kept, (i) => whole.position.times[i]!);
        const values = Float64Array.from(
          kept.flatMap((i) => [
            ...whole.position.values.subarray(i * dimensions, (i + 1) * dimensions),
          ]),
        );
        // one of two coordinates is enough
        for (const sample of [20, 21, 50, 90]) values[sample * dimensions] = NaN;
        const recording = { position: { times, values }, spikes: whole.spikes };
        const train = [[0.31, 1.9], [2.5, 2.52], [4, 9]] as const;
        const { encoding, centers } = encodingOf(recording, dimensions, { train });
        const weights = Array.from(
          times,
          (time, sample) =>
            train.some(([from, to]) => time >= from && time <= to) &&
              !Number.isNaN(values[sample * dimensions]!)
              ? 1
              : 0,
        );
        const wanted = bySlivers(recording, { dimensions, unit: 1, weights, centers, std: 3 });
        expectClose(encoding.rates.subarray(centers.length), wanted.rates, 1e-8);
        expectClose(encoding.occupancy, wanted.occupancy, 1e-8);
        expect(encoding.exposureSeconds).toBeCloseTo(wanted.exposure, 8);
        expect(encoding.intervals.length).toBe(2);
      }
    });
  }

  const times = Array.from({ length: 101 }, (_, i) => i * 0.1);
  const line = { times, values: times.map((time) => time) };
  const encode = (spikes: number[], extra: Partial<Encode> = {}, place = line) => {
    const recording = validateRecording(place, [spikes, []]);
    const grid = gridFromPosition(recording.position.values, 1, { binSize: 1 });
    return encodeSortedSpikes({ ...recording, grid, positionStd: 1, ...extra });
  };

  it("gives five spikes in a second 5 Hz, whatever the tracking", () => {
    for (const rate of [1, 30, 500, 1000 / 7]) {
      const samples = Math.round(20 * rate);
      const stamps = Array.from({ length: samples }, (_, i) => i / rate);
      // an animal that stays within a bin of its kernel
      const values = stamps.map((_, i) => i % 2 === 0 ? 0 : 1e-6);
      const spikes = Array.from(
        { length: 100 },
        (_, i) => ((i + 0.5) * samples / 100 - 0.5) / rate,
      );
      const recording = validateRecording({ times: stamps, values }, [spikes]);
      const grid = gridFromPosition(recording.position.values, 1, { binSize: 1 });
      const { rates } = encodeSortedSpikes({ ...recording, grid, positionStd: 1 });
      expect(rates[0]).toBeCloseTo(100 / (samples / rate), 6);
    }
  });

  it("does not care for lost frames or a second sampling rate where the animal walks straight", () => {
    const spikes = Array.from({ length: 300 }, (_, i) => (i * 7.31) % 10);
    const whole = encode(spikes);
    const random = seeded(3);
    for (
      const keep of [
        (_: number, i: number) => i % 3 === 0 || i > 95,
        (_: number, i: number) => i > 50 || i % 4 === 0,
        () => random() < 0.6,
      ]
    ) {
      const kept = times.filter((time, i) => time === 0 || i === 100 || keep(time, i));
      const { rates } = encode(spikes, {}, { times: kept, values: kept });
      // rates by the median interval were off by as much as the frames that were lost
      rates.subarray(0, 10).forEach((rate, bin) =>
        expect(Math.abs(rate / whole.rates[bin]! - 1)).toBeLessThan(0.05)
      );
    }
  });

  it("expects as many spikes as rows are long", () => {
    const { rates, ...rest } = encode([3, 4]);
    const steady = { rates: rates.fill(5), ...rest };
    const silence = { rowStarts: Uint32Array.of(0, 0), units: [] };
    for (const [seconds, wanted] of [[0.002, -0.02], [0.004, -0.04]] as const) {
      const [own] = poissonLikelihood(rateTable(steady, seconds), 10, silence);
      // two units of 5 Hz
      expect(own).toBeCloseTo(wanted, 15);
    }
    // twice as long a row adds log 2 for a spike
    const spike = { rowStarts: Uint32Array.of(0, 1), units: [0] };
    const [short] = poissonLikelihood(rateTable(steady, 0.002), 10, spike);
    const [long] = poissonLikelihood(rateTable(steady, 0.004), 10, spike);
    expect(long! - short!).toBeCloseTo(Math.LN2 - 0.02, 12);
  });

  it("gives a unit without spikes the floor, 5e-13 Hz", () => {
    const encoding = encode([3]);
    expect(encoding.rates.subarray(10).every((rate) => rate === 5e-13)).toBe(true);
    expect(rateTable(encoding, 0.002).subarray(10).every((rate) => rate === 1e-15)).toBe(true);
  });

  it("follows rates out to where f64 ends, not to where a kernel was cut", () => {
    // all training at the left end: bins far off still tell a near spike from a far one
    const { rates } = encode([0.2, 1.8], { train: [[0, 2]], positionStd: 0.5 });
    const far = 9;
    const place = [0.2, 1.8];
    const samples = times.slice(0, 21);
    const density = (points: number[]) =>
      points.reduce((sum, point) => sum + Math.exp(-0.5 * ((point - 9.5) / 0.5) ** 2), 0);
    expect(rates[far]! / (density(place) / (0.1 * density(samples)))).toBeCloseTo(1, 1);
    expect(rates[far]).toBeGreaterThan(1e-3);
  });

  it("weighs spikes at the edge of training by how far they are inside", () => {
    const encoding = encode([0.91, 0.95, 1.05, 2.05, 2.15, 5], { train: [[1, 2]] });
    expect(encoding.encodingSamples).toBe(11);
    // 0.91, 0.95 and 2.05 lie beside samples at 1 and 2
    expect(encoding.encodingSpikes).toBe(4);
    expect(encoding.exposureSeconds).toBeCloseTo(1.1, 12);
    // complementary training shares every spike out
    const spikes = [0.91, 0.95, 1.05, 2.05, 2.15, 5];
    const total = (train: [number, number][]) => {
      const own = encode(spikes, { train });
      const { occupancy, exposureSeconds, rates } = own;
      return rates.subarray(0, 10).reduce(
        (sum, rate, bin) => sum + rate * occupancy[bin]! * exposureSeconds,
        0,
      );
    };
    expect(total([[1, 2]]) + total([[0, 0.95], [2.05, 10]])).toBeCloseTo(total([[0, 10]]), 9);
  });

  it("leaves out slow samples", () => {
    const values = times.map((time) => time < 5 ? time : 5);
    const encoding = encode([2, 8], { minSpeed: 0.5 }, { times, values });
    expect(encoding.encodingSpikes).toBe(1);
    expect(encoding.encodingSamples).toBeLessThan(55);
    expect(() => encode([2], { minSpeed: 50 })).toThrow(/a minimum speed of 50/);
    // tracking so slow that half a second holds one sample
    const slow = times.map((_, i) => i);
    const fast = encode([20], { minSpeed: 0.5 }, { times: slow, values: slow });
    expect(fast.encodingSamples).toBe(101);
  });

  it("leaves out unknown positions, and spikes in gaps", () => {
    const gappy = times.map((time) => time < 5 ? time : time + 3);
    const values = times.map((time) => time > 2 && time < 3 ? NaN : time);
    const encoding = encode([1, 2.5, 6, 9], {}, { times: gappy, values });
    // 2.5 has no position, 6 falls between 4.9 and 8
    expect(encoding.encodingSpikes).toBe(2);
    expect(encoding.encodingSamples).toBe(101 - values.filter(Number.isNaN).length);
    expect(encoding.intervals.map((ends) => ends.map((end) => end.toFixed(2))))
      .toEqual([["-0.05", "4.95"], ["7.95", "13.05"]]);
    const own = encode([1, 6, 9], { intervals: [[0, 2], [5, 10]] }, { times: gappy, values });
    expect(own.encodingSpikes).toBe(3);
    expect(own.intervals).toEqual([[0, 2], [5, 10]]);
  });

  it("averages samples of one time stamp, and tells how many there were", () => {
    const doubled = { times: [0, 1, 1, 1, 2, 3, 3], values: [0, 1, 3, NaN, 2, NaN, NaN] };
    const plain = { times: [0, 1, 2, 3], values: [0, 2, 2, NaN] };
    const grid = gridFromPosition([0, 3], 1, { binSize: 1 });
    const of = (place: typeof plain) => {
      const recording = validateRecording(place, [[0.5, 1, 1.7]]);
      return encodeSortedSpikes({ ...recording, grid, positionStd: 1 });
    };
    const { mergedStamps, ...rest } = of(doubled);
    expect(mergedStamps).toBe(3);
    expect({ mergedStamps: 0, ...rest }).toEqual(of(plain));
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
