/**
 * How long the animal was where: seconds for every sample of its position.
 *
 * Between two samples position moves in a straight line, so a sample stands for a hat over its neighbours;
 * its exposure is the integral of its hat over the time in which position is known.
 *
 * Source of the rules: non_local_detector, `encoding_time`. Theirs wants even stamps, or intervals; here
 * gaps make intervals.
 *
 * @module
 */

import { ulpOf } from "../math/ulp.ts";
import type { Interval } from "./time_grid.ts";

/** A stretch of time throughout which position is known, and its first and last sample. */
export interface Run {
  start: number;
  stop: number;
  first: number;
  last: number;
}

/** What {@link trackExposure} works on. Seconds. */
export interface Track {
  /** [samples] strictly ascending. */
  times: Float64Array;
  /** [samples] 1 where the position is known. */
  known: ArrayLike<number>;
  /** Stretches in which the animal was tracked; found from gaps between samples when not given. */
  intervals?: readonly Interval[];
  /** Where exposure begins and ends; first and last interval's ends when not given. */
  range?: Interval;
}

/** Exposure of samples, and where in it a time lies. */
export interface Exposure {
  /** [samples] f64 seconds. */
  seconds: Float64Array;
  /** Ascending. */
  runs: readonly Run[];
  /** Stretches of tracking, ascending. */
  intervals: readonly Interval[];
}

/** A point between sample `sample` and the next: `share` of the way. */
export interface Place {
  sample: number;
  share: number;
}

/** Longer pauses between samples are gaps; so are pauses of five usual intervals, if those are longer. */
const GAP_SECONDS = 0.5;
const GAP_INTERVALS = 5;

/** Median of the intervals between times, seconds; NaN of a single one. */
export function medianInterval(times: Float64Array): number {
  const intervals = times.slice(1).map((time, i) => time - times[i]!).sort();
  return intervals[Math.floor(intervals.length / 2)] ?? NaN;
}

/**
 * Stretches without a gap. Each begins half a median interval before its first sample and ends half of
 * one after its last.
 */
export function trackingIntervals(times: Float64Array): Interval[] {
  const median = medianInterval(times);
  const longest = Math.max(GAP_SECONDS, GAP_INTERVALS * median);
  const intervals: Interval[] = [];
  let first = times[0]!;
  times.forEach((time, i) => {
    const next = times[i + 1];
    if (next !== undefined && next - time <= longest) return;
    intervals.push([first - median / 2, time + median / 2]);
    if (next !== undefined) first = next;
  });
  return intervals;
}

/**
 * Works out the exposure of every sample: where position is unknown, and outside of intervals, none.
 *
 * Runs of known samples end midway to the unknown sample beside them, or with their interval, over which
 * the outermost sample is held.
 *
 * @throws {RangeError} If intervals are not ascending and disjoint, or one has no known sample.
 */
export function trackExposure({ times, known, intervals, range }: Track): Exposure {
  const own = intervals ?? (range && times.length === 1 ? [range] : trackingIntervals(times));
  if (intervals) checkIntervals(intervals);
  const bounds = range ?? [own[0]![0], own.at(-1)![1]];
  const seconds = new Float64Array(times.length);
  const runs: Run[] = [];
  own.forEach(([from, to], index) => {
    // stretches of our own reach as far as the range does
    const start = !intervals && range && index === 0 ? range[0] : from;
    const stop = !intervals && range && index === own.length - 1 ? range[1] : to;
    const [first, end] = [lowerBound(times, from, false), lowerBound(times, to, true)];
    const found = knownRuns(known, first, end);
    if (intervals && found.length === 0) {
      throw new RangeError(
        `Cannot encode: the interval ${from} to ${to} s holds no known position, wanted at least one ` +
          "sample",
      );
    }
    for (const [runFirst, runLast] of found) {
      const before = runFirst === first ? start : (times[runFirst - 1]! + times[runFirst]!) / 2;
      const after = runLast === end - 1 ? stop : (times[runLast]! + times[runLast + 1]!) / 2;
      const run = {
        start: Math.max(before, bounds[0]),
        stop: Math.min(after, bounds[1]),
        first: runFirst,
        last: runLast,
      };
      if (!(run.stop > run.start)) continue;
      addExposure(times, run, seconds);
      runs.push(run);
    }
  });
  return { seconds, runs, intervals: own };
}

/** Where a time lies among known samples; `undefined` where position is unknown. */
export function locate({ runs }: Exposure, times: Float64Array, time: number): Place | undefined {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle]!.start <= time) low = middle + 1;
    else high = middle;
  }
  // a bound that two runs share belongs to the later one
  const run = runs[low - 1];
  if (!run || time > run.stop) return undefined;
  if (time <= times[run.first]!) return { sample: run.first, share: 0 };
  if (time >= times[run.last]!) return { sample: run.last, share: 0 };
  const sample = lowerBound(times, time, true) - 1;
  return { sample, share: (time - times[sample]!) / (times[sample + 1]! - times[sample]!) };
}

/** A value of samples at a place between two of them. */
export function valueAt({ sample, share }: Place, at: (sample: number) => number): number {
  const value = at(sample);
  return share === 0 ? value : value + share * (at(sample + 1) - value);
}

/**
 * Stretches in which an interpolated position would rest on an unknown sample, and those between and
 * outside of intervals. Those at the ends have no bound: what lies beyond is extrapolated from there.
 */
export function untrackedSpans(
  times: Float64Array,
  known: ArrayLike<number>,
  intervals: readonly Interval[],
): Interval[] {
  const samples = times.length;
  const spans: Interval[] = [];
  const unknown = Uint8Array.from({ length: samples }, (_, i) => known[i] ? 0 : 1);
  for (const [first, last] of knownRuns(unknown, 0, samples)) {
    spans.push([
      first <= 1 ? -Infinity : times[first - 1]!,
      last >= samples - 2 ? Infinity : times[last + 1]!,
    ]);
  }
  let before = -Infinity;
  for (const [start, stop] of intervals) {
    if (start > before) spans.push([before, start]);
    // spans are closed where they start, and an interval has its end
    before = stop + Math.max(ulpOf(stop), Number.MIN_VALUE);
  }
  spans.push([before, Infinity]);
  return spans;
}

/** First index whose time is at least `value`, or with `after` above it. */
function lowerBound(times: Float64Array, value: number, after: boolean): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! < value || (after && times[middle] === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** First and last index of every run of ones in [first, end). */
function knownRuns(known: ArrayLike<number>, first: number, end: number): [number, number][] {
  const runs: [number, number][] = [];
  for (let i = first; i < end; i++) {
    if (!known[i]) continue;
    const from = i;
    while (i + 1 < end && known[i + 1]) i++;
    runs.push([from, i]);
  }
  return runs;
}

/** Adds the integrals of a run's hats; outside its samples the outermost ones are held. */
function addExposure(times: Float64Array, run: Run, seconds: Float64Array): void {
  const { start, stop, first, last } = run;
  seconds[first]! += Math.max(0, Math.min(stop, times[first]!) - start);
  seconds[last]! += Math.max(0, stop - Math.max(start, times[last]!));
  for (let i = first; i < last; i++) {
    const from = Math.max(start, times[i]!) - times[i]!;
    const to = Math.min(stop, times[i + 1]!) - times[i]!;
    if (!(to > from)) continue;
    const right = (to * to - from * from) / (2 * (times[i + 1]! - times[i]!));
    seconds[i + 1]! += right;
    seconds[i]! += to - from - right;
  }
}

/** @throws {RangeError} If intervals are not ascending and disjoint. */
export function checkIntervals(intervals: readonly Interval[], action = "encode"): void {
  if (intervals.length === 0) {
    throw new RangeError(`Cannot ${action}: intervals is empty, wanted at least one [start, stop]`);
  }
  intervals.forEach(([start, stop], i) => {
    if (!(Number.isFinite(start) && Number.isFinite(stop) && start < stop)) {
      throw new RangeError(
        `Cannot ${action}: interval ${i} is ${start} to ${stop} s, wanted finite seconds, start < stop`,
      );
    }
    if (i > 0 && start < intervals[i - 1]![1]) {
      throw new RangeError(
        `Cannot ${action}: interval ${i} starts at ${start} s, before the one that ends at ` +
          `${intervals[i - 1]![1]} s, wanted ascending intervals that do not overlap`,
      );
    }
  });
}
