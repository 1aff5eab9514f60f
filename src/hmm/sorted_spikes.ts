/**
 * Place fields of sorted units by kernel density, in f64 on the host.
 *
 * Source: the sorted-spikes KDE model of non_local_detector (Denovellis et al. 2021).
 *
 * @module
 */

import type { Place } from "./exposure.ts";
import { locate, trackExposure, valueAt } from "./exposure.ts";
import type { Grid } from "./grid.ts";
import type { Recording } from "./recording.ts";
import type { Interval } from "./time_grid.ts";

/** Place fields. */
export interface Encoding {
  /** [units, interior bins] f64, Hz: spikes a second of exposure; at least 5e-13. */
  rates: Float64Array;
  unitCount: number;
  /** [interior bins] f64, kernel density of the time spent, 1 / position unit (squared in two dimensions). */
  occupancy: Float64Array;
  /** Seconds of position that went into the fields. */
  exposureSeconds: number;
  /** Stretches in which the animal was tracked, as they were given or as gaps left them. */
  intervals: readonly Interval[];
  /** Samples of position that had the time stamp of another one, and were averaged with it. */
  mergedStamps: number;
  /** Samples and spikes that went into the fields. */
  encodingSamples: number;
  encodingSpikes: number;
  /** Missing where an earlier version stored it, and of rates that were fitted. */
  points?: EncodedPoints;
  /** What rates were fitted, where they are no kernel densities. */
  glm?: FittedRates;
}

/** Rates whose logarithm is a product of splines of the position. */
export interface FittedRates {
  /** Of each dimension, ascending; none of one in which positions do not differ. */
  knots: readonly Float64Array[];
  /** [units, products of spline functions], the last dimension's fastest: natural logarithms of Hz. */
  coefficients: Float64Array;
}

const SPEED_WINDOW_SECONDS = 0.5;
/** Kernels are cut here, where f64 has next to nothing left: 5e-298 of the peak. */
const KERNEL_SIGMAS = 37;
/** Smallest rate, Hz: 1e-15 spikes in 2 ms, as in the original. */
export const RATE_FLOOR = 5e-13;
/** What stands for a ratio of densities where no time was spent, as in the original. */
export const NO_RATIO = 1e-15;

/**
 * Speed of the animal at every sample, position units per second: the mean over half a second of
 * step length by step time. NaN positions give NaN.
 */
export function smoothedSpeed(
  times: Float64Array,
  values: Float64Array,
  dimensions: 1 | 2,
): Float64Array {
  const samples = times.length;
  // path[i]: way gone from the first sample to sample i; steps over unknown positions count as known
  // to be unknown
  const path = new Float64Array(samples);
  const unknown = new Uint32Array(samples + 1);
  for (let i = 0; i < samples; i++) {
    let squared = 0;
    for (let d = 0; d < dimensions; d++) {
      const step = i === 0 ? 0 : values[i * dimensions + d]! - values[(i - 1) * dimensions + d]!;
      squared += step * step;
    }
    const known = !Number.isNaN(values[i * dimensions]! + values[(i + 1) * dimensions - 1]!);
    unknown[i + 1] = unknown[i]! + (known ? 0 : 1);
    path[i] = (i === 0 ? 0 : path[i - 1]!) + (Number.isNaN(squared) ? 0 : Math.sqrt(squared));
  }
  const speed = new Float64Array(samples);
  let first = 0;
  let last = 0;
  for (let i = 0; i < samples; i++) {
    while (times[first]! < times[i]! - SPEED_WINDOW_SECONDS / 2) first++;
    while (last + 1 < samples && times[last + 1]! <= times[i]! + SPEED_WINDOW_SECONDS / 2) last++;
    // of slow tracking a window holds one sample: its neighbours tell how fast it was
    const alone = first === i && last === i;
    const [from, to] = alone ? [Math.max(0, i - 1), Math.min(samples - 1, i + 1)] : [first, last];
    const seconds = times[to]! - times[from]!;
    const seen = unknown[to + 1]! === unknown[from]!;
    speed[i] = !seen ? NaN : seconds > 0 ? (path[to]! - path[from]!) / seconds : 0;
  }
  return speed;
}

/** What {@link encodeSortedSpikes} works on. */
export interface EncodingOptions extends Pick<Recording, "dimensions" | "spikes" | "unitCount"> {
  position: Recording["position"];
  grid: Grid;
  /** Standard deviation of the Gaussian kernel, position units. */
  positionStd: number;
  /** Intervals [start, stop] to encode, seconds; everything by default. */
  train?: readonly Interval[];
  /** When the animal was in the environment that is encoded, seconds: samples outside are no places of it. */
  within?: readonly Interval[];
  /** Stretches in which the animal was tracked, seconds; by default what gaps leave. */
  intervals?: readonly Interval[];
  /** Slower samples are left out, position units per second; see {@link smoothedSpeed}. */
  minSpeed?: number;
  /** How much a sample at a time counts that is not left out, 0 to 1; fully by default. */
  weightAt?: (time: number) => number;
}

/** What an encoding is made of, which tells of places that are no bin's centre. */
export interface EncodedPoints {
  positionStd: number;
  /** [samples, dimensions] f64 where time was spent, and [samples] how many seconds. */
  samplePlaces: Float64Array;
  sampleSeconds: Float64Array;
  /** [encoding spikes, dimensions] f64, and [encoding spikes] how much each counts: above 0. */
  spikePlaces: Float64Array;
  spikeWeights: Float64Array;
  /** [encoding spikes] unit, or electrode, of each. */
  spikeUnits: Uint32Array;
  /** [encoding spikes, features] f64, of those that have some. */
  spikeFeatures?: Float64Array;
}

/**
 * The points of an encoding.
 *
 * @throws {RangeError} If an earlier version stored it, without them.
 */
export function pointsOf({ points }: { points?: EncodedPoints }): EncodedPoints {
  if (points) return points;
  throw new RangeError(
    "Cannot plan a decode: the encoding was stored without the places of its spikes, which a local state and a path " +
      "of spikes with features ask for, wanted one that this version encoded",
  );
}

/** Samples of which the position is known, and where among them spikes lie. */
export interface Sampled {
  /** [samples, dimensions] f64, as the grid has them. */
  places: Float64Array;
  /** [samples] how much each was chosen, 0 to 1, and seconds that it stands for as far as it was. */
  weights: Float64Array;
  seconds: Float64Array;
  /** [samples] whether each was in the environment that is encoded. */
  isInside: readonly boolean[];
  /** [encoding spikes] sample before each, and which share of the way to the next. */
  events: { samples: Uint32Array; shares: Float64Array };
}

/** What training leaves: where time was spent, and the spikes that count. */
export interface Training {
  sampled: Sampled;
  density: DensityMap;
  /** [interior bins] f64 seconds: a sum of kernels, of peak 1, over the time spent. */
  timeSpent: Float64Array;
  exposureSeconds: number;
  intervals: readonly Interval[];
  mergedStamps: number;
  encodingSamples: number;
  /** [encoding spikes] which of the recording's each is. */
  spikes: Uint32Array;
  points: EncodedPoints;
}

/** What {@link trainOn} works on. */
type Chosen = Omit<EncodingOptions, "unitCount">;

/** Samples by their times, and how much each counts, 0 to 1. */
function weighSamples({ position, dimensions, train, intervals, minSpeed, weightAt }: Chosen) {
  const { times, values, merged } = mergeStamps(position, dimensions);
  const known = knownSamples(values, dimensions);
  const speed = minSpeed === undefined ? undefined : smoothedSpeed(times, values, dimensions);
  const weights = Float64Array.from(times, (time, sample) => {
    const isFast = speed === undefined || speed[sample]! > minSpeed!;
    if (!(known[sample] && isFast && isIn(train, time) && isIn(intervals, time))) return 0;
    return weightAt ? weightAt(time) : 1;
  });
  return { times, values, merged, known, weights };
}

function isIn(list: readonly Interval[] | undefined, time: number): boolean {
  return !list || list.some(([from, to]) => time >= from && time <= to);
}

/**
 * Whether samples count enough to be encoded: those that were tracked as much as a whole one, spread over
 * many or not.
 *
 * Source: `min_encoding_local_mass` of non_local_detector.
 */
export function isEnough(options: Chosen): boolean {
  return weighSamples(options).weights.reduce((sum, weight) => sum + weight, 0) >= 1;
}

/**
 * Chooses samples and spikes to encode from.
 *
 * Samples weigh as long as they stand for; see `exposure.ts`. Training intervals and the minimum speed
 * choose samples. A spike takes its position from the samples beside it, and counts as far as they were
 * chosen; it does not count where position is unknown.
 *
 * @throws {RangeError} If the kernel is not positive, intervals make no sense, or no sample of position
 * is left.
 */
export function trainOn(options: Chosen): Training {
  const { dimensions, spikes, grid, positionStd, minSpeed } = options;
  if (!(positionStd > 0 && Number.isFinite(positionStd))) {
    throw new RangeError(
      `Cannot encode: the kernel's standard deviation is ${positionStd}, wanted a positive number`,
    );
  }
  const { times, values, merged, known, weights } = weighSamples(options);
  const exposure = trackExposure({
    times,
    known,
    ...(options.intervals && { intervals: options.intervals }),
  });
  const density = new DensityMap(grid, positionStd);
  let exposureSeconds = 0;
  const samplePlaces: number[] = [];
  const sampleSeconds: number[] = [];
  const knownPlaces: number[] = [];
  // which of those that are known
  const rank = new Uint32Array(times.length);
  for (let sample = 0; sample < times.length; sample++) {
    if (!known[sample]) continue;
    const place = placeOn(grid, values.subarray(sample * dimensions, (sample + 1) * dimensions));
    rank[sample] = knownPlaces.length / place.length;
    knownPlaces.push(...place);
    const seconds = weights[sample]! * exposure.seconds[sample]!;
    if (seconds === 0) continue;
    exposureSeconds += seconds;
    samplePlaces.push(...place);
    sampleSeconds.push(seconds);
    density.add(place, seconds);
  }
  const encodingSamples = sampleSeconds.length;
  if (encodingSamples === 0) {
    throw new RangeError(
      `Cannot encode: none of ${times.length} samples of position is left by the training ` +
        `intervals, a minimum speed of ${
          minSpeed ?? "none"
        } and missing positions, wanted at least one`,
    );
  }
  const timeSpent = density.takeInterior();

  const chosen: number[] = [];
  const events: Place[] = [];
  const places: number[] = [];
  const spikeWeights: number[] = [];
  for (let spike = 0; spike < spikes.times.length; spike++) {
    const place = locate(exposure, times, spikes.times[spike]!);
    const weight = place ? valueAt(place, (sample) => weights[sample]!) : 0;
    if (weight === 0) continue;
    chosen.push(spike);
    events.push(place!);
    places.push(...placeOn(
      grid,
      Float64Array.from(
        { length: dimensions },
        (_, d) => valueAt(place!, (sample) => values[sample * dimensions + d]!),
      ),
    ));
    spikeWeights.push(weight);
  }
  const knownOnes = Array.from(times.keys()).filter((sample) => known[sample]);
  const ofKnown = (valueOf: (sample: number) => number) => Float64Array.from(knownOnes, valueOf);
  return {
    ...{ density, timeSpent, exposureSeconds, encodingSamples },
    sampled: {
      places: Float64Array.from(knownPlaces),
      weights: ofKnown((sample) => weights[sample]!),
      seconds: ofKnown((sample) => weights[sample]! * exposure.seconds[sample]!),
      isInside: knownOnes.map((sample) => isIn(options.within, times[sample]!)),
      events: {
        samples: Uint32Array.from(events, ({ sample }) => rank[sample]!),
        shares: Float64Array.from(events, ({ share }) => share),
      },
    },
    intervals: exposure.intervals,
    mergedStamps: merged,
    spikes: Uint32Array.from(chosen),
    points: {
      positionStd,
      samplePlaces: Float64Array.from(samplePlaces),
      sampleSeconds: Float64Array.from(sampleSeconds),
      spikePlaces: Float64Array.from(places),
      spikeWeights: Float64Array.from(spikeWeights),
      spikeUnits: Uint32Array.from(chosen, (spike) => spikes.units[spike]!),
    },
  };
}

/**
 * Place fields: spikes a second, as the kernel density of spikes over that of the time spent.
 *
 * @throws {RangeError} As {@link trainOn} does.
 */
export function encodeSortedSpikes(options: EncodingOptions): Encoding {
  const { unitCount, grid } = options;
  const { dimensions } = grid;
  const training = trainOn(options);
  const { density, timeSpent, exposureSeconds, points } = training;
  const { spikePlaces, spikeWeights } = points;
  const interior = grid.interiorIndex.length;
  const rates = new Float64Array(unitCount * interior);
  const own: number[][] = Array.from({ length: unitCount }, () => []);
  points.spikeUnits.forEach((unit, i) => own[unit]!.push(i));
  own.forEach((indices, unit) => {
    let total = 0;
    for (const i of indices) {
      total += spikeWeights[i]!;
      const place = spikePlaces.subarray(i * dimensions, (i + 1) * dimensions);
      density.add(place, spikeWeights[i]!);
    }
    const atSpikes = density.takeInterior();
    for (let bin = 0; bin < interior; bin++) {
      const seconds = timeSpent[bin]!;
      // mean rate x density at spikes / density of time: what both are divided by cancels
      const rate = seconds > 0 ? atSpikes[bin]! / seconds : NO_RATIO * total / exposureSeconds;
      rates[unit * interior + bin] = Math.max(RATE_FLOOR, rate);
    }
  });
  return {
    ...{ rates, unitCount, exposureSeconds, points },
    occupancy: densityOf(training, grid),
    intervals: training.intervals,
    mergedStamps: training.mergedStamps,
    encodingSamples: training.encodingSamples,
    encodingSpikes: training.spikes.length,
  };
}

/** [interior bins] Kernel density of the time spent. */
export function densityOf(
  { timeSpent, exposureSeconds, points: { positionStd } }: Training,
  { dimensions }: Grid,
): Float64Array {
  const peak = exposureSeconds * (positionStd * Math.sqrt(2 * Math.PI)) ** dimensions;
  return timeSpent.map((seconds) => seconds / peak);
}

/**
 * Expected spikes in rows of so many seconds.
 *
 * @returns [units, interior bins] f64, spikes per row.
 */
export function rateTable({ rates }: Encoding, seconds: number): Float64Array {
  return rates.map((rate) => rate * seconds);
}

/** A place in the dimensions of a grid: along its track, where it has one. */
export function placeOn({ track }: Grid, place: Float64Array): Float64Array {
  return track ? Float64Array.of(track.positionAt(place[0]!, place[1]!)) : place;
}

/** Samples of one time stamp become one, at the mean of the positions that are known. */
export function mergeStamps(
  { times, values }: Recording["position"],
  dimensions: number,
): { times: Float64Array; values: Float64Array; merged: number } {
  if (times.every((time, i) => i === 0 || time > times[i - 1]!)) {
    return { times, values, merged: 0 };
  }
  const stamps: number[] = [];
  const means: number[] = [];
  for (let first = 0, end = 1; first < times.length; first = end++) {
    while (end < times.length && times[end] === times[first]) end++;
    const sums = new Array<number>(dimensions).fill(0);
    let count = 0;
    for (let sample = first; sample < end; sample++) {
      const place = values.subarray(sample * dimensions, (sample + 1) * dimensions);
      if (place.some(Number.isNaN)) continue;
      count++;
      place.forEach((value, d) => sums[d]! += value);
    }
    stamps.push(times[first]!);
    means.push(...sums.map((sum) => count > 0 ? sum / count : NaN));
  }
  return {
    times: Float64Array.from(stamps),
    values: Float64Array.from(means),
    merged: times.length - stamps.length,
  };
}

/** [samples] 1 where all coordinates are known. */
export function knownSamples(values: Float64Array, dimensions: number): Uint8Array {
  return Uint8Array.from(
    { length: values.length / dimensions },
    (_, sample) =>
      values.subarray(sample * dimensions, (sample + 1) * dimensions).some(Number.isNaN) ? 0 : 1,
  );
}

/**
 * Sums of a separable Gaussian over the box of a grid. A point touches the bins within reach along each
 * dimension, so the exponentials are few and the rest is an outer product; of four points at once, so
 * that a bin is loaded and stored once for them.
 */
export class DensityMap {
  readonly #grid: Grid;
  readonly #std: number;
  readonly #box: Float64Array;
  /** [bins, 4] kernel values of waiting points along each dimension; weights are in those of the first. */
  readonly #along: Float64Array[];
  /** [4, dimensions] */
  readonly #places: Float64Array;
  #waiting = 0;

  constructor(grid: Grid, std: number) {
    this.#grid = grid;
    this.#std = std;
    this.#box = new Float64Array(grid.interior.length);
    this.#along = grid.shape.map((bins) => new Float64Array(4 * bins));
    this.#places = new Float64Array(4 * grid.shape.length);
  }

  add(place: ArrayLike<number>, weight: number): void {
    const point = this.#waiting++;
    this.#grid.centers.forEach((centers, d) => {
      const along = this.#along[d]!;
      this.#places[point * this.#grid.shape.length + d] = place[d]!;
      // bins along a track are not evenly spaced
      const [first, end] = this.#grid.track
        ? [0, centers.length]
        : binsWithin(centers, place[d]!, KERNEL_SIGMAS * this.#std);
      for (let bin = 0; bin < centers.length; bin++) {
        const sigmas = (centers[bin]! - place[d]!) / this.#std;
        along[4 * bin + point] = bin < first || bin >= end
          ? 0
          : (d === 0 ? weight : 1) * Math.exp(-0.5 * sigmas * sigmas);
      }
    });
    if (this.#waiting === 4) this.#addWaiting();
  }

  /** The sums at interior bins; starts again from zero. */
  takeInterior(): Float64Array {
    this.#addWaiting();
    const interior = Float64Array.from(this.#grid.interiorIndex, (bin) => this.#box[bin]!);
    this.#box.fill(0);
    return interior;
  }

  #addWaiting(): void {
    if (this.#waiting === 0) return;
    const box = this.#box;
    const [alongX, alongY] = this.#along as [Float64Array, Float64Array | undefined];
    const columns = this.#grid.shape[1] ?? 1;
    for (let x = 0; x < this.#grid.shape[0]!; x++) {
      const a = alongX[4 * x]!;
      const b = alongX[4 * x + 1]!;
      const c = alongX[4 * x + 2]!;
      const d = alongX[4 * x + 3]!;
      if (alongY === undefined) {
        box[x]! += a + b + c + d;
        continue;
      }
      const [first, end] = this.#reached(x);
      const row = x * columns;
      for (let y = first; y < end; y++) {
        const at = 4 * y;
        box[row + y]! += a * alongY[at]! + b * alongY[at + 1]! + c * alongY[at + 2]! +
          d * alongY[at + 3]!;
      }
    }
    for (const along of this.#along) along.fill(0);
    this.#waiting = 0;
  }

  /** Range [first, end) of bins along y, in row x of the box, that waiting points reach. */
  #reached(x: number): [number, number] {
    const [centersX, centersY] = this.#grid.centers as [Float64Array, Float64Array];
    let [first, end] = [centersY.length, 0];
    for (let point = 0; point < this.#waiting; point++) {
      // within a circle: products beyond are none that f64 can hold, and slow
      const sigmas = (centersX[x]! - this.#places[2 * point]!) / this.#std;
      const squared = KERNEL_SIGMAS ** 2 - sigmas * sigmas;
      if (squared < 0) continue;
      const [from, to] = binsWithin(
        centersY,
        this.#places[2 * point + 1]!,
        Math.sqrt(squared) * this.#std,
      );
      first = Math.min(first, from);
      end = Math.max(end, to);
    }
    return [first, end];
  }
}

/** Range [first, end) of evenly spaced bins whose centres lie within `reach` of a value. */
function binsWithin(centers: Float64Array, value: number, reach: number): [number, number] {
  const spacing = centers.length > 1 ? centers[1]! - centers[0]! : 1;
  const at = (value - centers[0]!) / spacing;
  return [
    Math.max(0, Math.ceil(at - reach / spacing)),
    Math.min(centers.length, Math.floor(at + reach / spacing) + 1),
  ];
}
