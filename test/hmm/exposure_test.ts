import { describe, expect, it } from "vitest";
import {
  locate,
  trackExposure,
  trackingIntervals,
  untrackedSpans,
  valueAt,
} from "../../src/hmm/exposure.ts";
import type { Interval } from "../../src/hmm/time_grid.ts";
import { missingRows, timeGrid } from "../../src/hmm/time_grid.ts";
import { seeded } from "../support/random.ts";
import { decoderVectors } from "../support/recordings.ts";
import { sharedDataMissing } from "../support/shared_data.ts";

/** Value at `time` of sample `index`'s hat among samples that hold their ends. */
function hat(stamps: readonly number[], index: number, time: number): number {
  if (time <= stamps[0]!) return index === 0 ? 1 : 0;
  if (time >= stamps.at(-1)!) return index === stamps.length - 1 ? 1 : 0;
  const left = stamps.findLastIndex((stamp) => stamp <= time);
  const share = (time - stamps[left]!) / (stamps[left + 1]! - stamps[left]!);
  return index === left ? 1 - share : index === left + 1 ? share : 0;
}

/** Integral of a hat by trapezoids between kinks: exact, for it is straight there. */
function exposureByTrapezoids(
  stamps: readonly number[],
  [start, stop]: Interval,
): number[] {
  const kinks = [start, ...stamps.filter((stamp) => stamp > start && stamp < stop), stop];
  return stamps.map((_, index) =>
    kinks.slice(1).reduce((sum, right, i) => {
      const left = kinks[i]!;
      // a hat that is held jumps nowhere, so its limits are its values
      return sum + (right - left) * (hat(stamps, index, left) + hat(stamps, index, right)) / 2;
    }, 0)
  );
}

/** An uneven recording: gaps, unknown stretches, jitter, from an origin of its own. */
function unevenTrack(seed: number, origin: number, samples = 300) {
  const random = seeded(seed);
  const times: number[] = [];
  let time = origin;
  for (let i = 0; i < samples; i++) {
    times.push(time);
    time += 0.01 + 0.03 * random() + (random() < 0.02 ? 3 * random() : 0);
  }
  const known = times.map(() => 1);
  for (let i = 0; i < 8; i++) {
    const first = Math.floor(random() * samples);
    for (let k = first; k < Math.min(samples, first + 1 + 6 * random()); k++) known[k] = 0;
  }
  return { times: Float64Array.from(times), known };
}

describe("trackExposure()", () => {
  it("is the integral of hats, whatever the stamps: gaps, unknown positions, any origin", () => {
    for (const [seed, origin] of [[1, 0], [2, 1.7e9], [3, -50]] as const) {
      const { times, known } = unevenTrack(seed, origin);
      const exposure = trackExposure({ times, known });
      const wanted = new Float64Array(times.length);
      let length = 0;
      for (const [from, to] of trackingIntervals(times)) {
        const own = Array.from(times.keys()).filter((i) => times[i]! >= from && times[i]! <= to);
        own.forEach((first, place) => {
          if (!known[first] || (place > 0 && known[own[place - 1]!])) return;
          const run = [first];
          while (own[place + run.length] !== undefined && known[own[place + run.length]!]) {
            run.push(own[place + run.length]!);
          }
          const before = own[place - 1];
          const after = own[place + run.length];
          const bounds: Interval = [
            before === undefined ? from : (times[before]! + times[first]!) / 2,
            after === undefined ? to : (times[run.at(-1)!]! + times[after]!) / 2,
          ];
          length += bounds[1] - bounds[0];
          exposureByTrapezoids(run.map((i) => times[i]!), bounds)
            .forEach((seconds, i) => wanted[run[i]!]! += seconds);
        });
      }
      const ulp = origin > 1e9 ? 2.4e-7 : 1e-12;
      exposure.seconds.forEach((seconds, i) =>
        expect(Math.abs(seconds - wanted[i]!)).toBeLessThan(4 * ulp)
      );
      const total = exposure.seconds.reduce((sum, seconds) => sum + seconds, 0);
      expect(Math.abs(total - length)).toBeLessThan(times.length * ulp);
      expect(exposure.seconds.every((seconds, i) => seconds === 0 || known[i] === 1)).toBe(true);
    }
  });

  it("gives even samples the interval between them", () => {
    const times = Float64Array.from({ length: 50 }, (_, i) => i / 500);
    const { seconds } = trackExposure({ times, known: new Uint8Array(50).fill(1) });
    seconds.forEach((own) => expect(own).toBeCloseTo(0.002, 14));
  });

  it("takes a pause for a gap by the sampling, not by the clock", () => {
    const slow = Float64Array.from({ length: 60 }, (_, i) => i);
    expect(trackingIntervals(slow)).toEqual([[-0.5, 59.5]]);
    const fast = Float64Array.from({ length: 60 }, (_, i) => i < 30 ? i / 50 : 1 + i / 50);
    expect(trackingIntervals(fast).map(([a, b]) => [a.toFixed(3), b.toFixed(3)]))
      .toEqual([["-0.010", "0.590"], ["1.590", "2.190"]]);
    // 0.4 s is no gap at 50 Hz, 6 s is one at 1 Hz
    const pauses = (times: number[]) => trackingIntervals(Float64Array.from(times)).length;
    expect(pauses([0, 0.02, 0.04, 0.44, 0.46])).toBe(1);
    expect(pauses([0, 1, 2, 8, 9])).toBe(2);
  });

  it("refuses intervals that are none, overlap, or hold no known position", () => {
    const track = { times: Float64Array.of(0, 1, 2, 3), known: [1, 1, 0, 1] };
    const using = (...intervals: Interval[]) => () => trackExposure({ ...track, intervals });
    expect(using()).toThrow(/intervals is empty/);
    expect(using([1, 0])).toThrow(/interval 0 is 1 to 0 s/);
    expect(using([0, Infinity])).toThrow(/finite seconds/);
    expect(using([0, 1.5], [1, 3])).toThrow(/interval 1 starts at 1 s.*ends at 1.5 s/);
    expect(using([0, 1], [1.5, 2.5])).toThrow(/1.5 to 2.5 s holds no known position/);
  });

  it("meets the reference's published exposures", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const { exposure: cases } = await decoderVectors();
    expect(cases.length).toBe(10);
    for (const item of cases) {
      const times = Float64Array.from(item.position_time);
      const exposure = trackExposure({
        times,
        known: item.position.map((value) => value === null ? 0 : 1),
        ...(item.valid_position_intervals && { intervals: item.valid_position_intervals }),
        ...(item.encoding_time_range && { range: item.encoding_time_range }),
      });
      item.exposure_seconds.forEach((wanted, i) =>
        expect(Math.abs(exposure.seconds[i]! - wanted), item.name).toBeLessThan(1e-9)
      );
      expect(exposure.runs.map(({ start, stop, first, last }) => [start, stop, first, last]))
        .toEqual(item.segments.map(([start, stop, samples]) => [
          start,
          stop,
          samples[0],
          samples.at(-1),
        ]));
      item.events?.forEach((time, i) =>
        expect(locate(exposure, times, time) !== undefined).toBe(item.contained![i])
      );
    }
  });
});

describe("locate()", () => {
  it("finds the samples beside a time, and none where position is unknown", () => {
    const { times, known } = unevenTrack(4, 100);
    const exposure = trackExposure({ times, known });
    const random = seeded(5);
    let found = 0;
    for (let i = 0; i < 2000; i++) {
      const time = times[0]! - 1 + (times.at(-1)! - times[0]! + 2) * random();
      const place = locate(exposure, times, time);
      const run = exposure.runs.find(({ start, stop }) => time >= start && time <= stop);
      expect(place !== undefined).toBe(run !== undefined);
      if (!place) continue;
      found++;
      const own = Array.from(times).slice(run!.first, run!.last + 1);
      const wanted = own.reduce((sum, stamp, k) => sum + stamp * hat(own, k, time), 0);
      expect(valueAt(place, (sample) => times[sample]!)).toBeCloseTo(wanted, 9);
    }
    expect(found).toBeGreaterThan(500);
  });

  it("shares events out as the reference does", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    for (const item of (await decoderVectors()).event_counts) {
      const times = Float64Array.from(item.position_time);
      const exposure = trackExposure({
        times,
        known: times.map(() => 1),
        ...(item.valid_position_intervals && { intervals: item.valid_position_intervals }),
      });
      const counts = new Array<number>(times.length).fill(0);
      let total = 0;
      for (const spike of item.spikes) {
        const { sample, share } = locate(exposure, times, spike)!;
        counts[sample]! += (1 - share) * item.weights[sample]!;
        if (share > 0) counts[sample + 1]! += share * item.weights[sample + 1]!;
        total += valueAt({ sample, share }, (at) => item.weights[at]!);
      }
      counts.forEach((count, i) => expect(count, item.name).toBeCloseTo(item.counts[i]!, 12));
      if (item.total !== undefined) expect(total).toBeCloseTo(item.total, 12);
    }
  });
});

describe("untrackedSpans()", () => {
  const times = Float64Array.of(0, 1, 2, 3, 4, 5, 6, 7);
  // an end is a rounding off, so as not to be in two
  const spans = (unknown: number[], intervals: Interval[] = [[-0.5, 7.5]]) =>
    untrackedSpans(times, Array.from(times, (_, i) => unknown.includes(i) ? 0 : 1), intervals)
      .map((span) => span.map((end) => Number.isFinite(end) ? Number(end.toFixed(12)) : end));

  it("reach from the known sample before to the one after, without bounds at the ends", () => {
    const outside = [[-Infinity, -0.5], [7.5, Infinity]];
    expect(spans([3, 4])).toEqual([[2, 5], ...outside]);
    expect(spans([1])).toEqual([[-Infinity, 2], ...outside]);
    expect(spans([6])).toEqual([[5, Infinity], ...outside]);
  });

  it("lie between intervals, too", () => {
    expect(spans([], [[-0.5, 2.5], [2.5, 4], [5, 7.5]]))
      .toEqual([[-Infinity, -0.5], [4, 5], [7.5, Infinity]]);
  });

  it("leave a row alone that ends with an interval, or starts with one", () => {
    const grid = timeGrid({ start: 0, stop: 6, rate: 1 });
    const rows = (
      intervals: Interval[],
    ) => [...missingRows(grid, untrackedSpans(times, times.map(() => 1), intervals)) ?? []];
    expect(rows([[0, 6]])).toEqual([]);
    expect(rows([[1, 3], [4, 6]])).toEqual([1, 0, 0, 1, 0, 0]);
    expect(rows([[0, 2], [2, 5.9]])).toEqual([0, 0, 0, 0, 0, 1]);
  });

  it("make the rows missing that the reference says are", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const cases = (await decoderVectors()).missing_bins;
    expect(cases.length).toBe(4);
    for (const { position_time, nan_samples, edges, missing, name } of cases) {
      const stamps = Float64Array.from(position_time);
      const known = position_time.map((_, i) => nan_samples.includes(i) ? 0 : 1);
      const grid = timeGrid({ start: edges[0]!, stop: edges.at(-1)!, step: 0.5 });
      const rows = missingRows(grid, untrackedSpans(stamps, known, [[-1, 8]]));
      expect([...rows!].map(Boolean), name).toEqual(missing);
    }
  });
});
