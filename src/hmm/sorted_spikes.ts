/**
 * Place fields of sorted units by kernel density, in f64 on the host.
 *
 * Source: the sorted-spikes KDE model of non_local_detector (Denovellis et al. 2021).
 *
 * @module
 */

import type { Grid } from "./grid.ts";

/** Spikes as one flat, ascending pair of arrays, or as one ascending list of times per unit. */
export type SpikeInput =
  | { times: ArrayLike<number>; units: ArrayLike<number> }
  | readonly ArrayLike<number>[];

/** A recording whose arrays have been checked. Times in seconds. */
export interface Recording {
  /** `times` [samples] f64 ascending; `values` [samples, dimensions] f64, NaN where unknown. */
  position: { times: Float64Array; values: Float64Array };
  dimensions: 1 | 2;
  /** [spikes], ascending. */
  spikes: { times: Float64Array; units: Uint32Array };
  unitCount: number;
}

/** Place fields, before they are scaled to a time step. */
export interface Encoding {
  /** [units, interior bins] f64, spikes per position sample; 0 where nothing was seen. */
  ratesPerSample: Float64Array;
  unitCount: number;
  /** Samples of position per second: 1 / the median interval. */
  positionRate: number;
  /** [interior bins] f64, kernel-weighted samples of position. */
  occupancy: Float64Array;
  /** Samples and spikes that went into the fields. */
  encodingSamples: number;
  encodingSpikes: number;
}

/** Longer pauses between samples of position are gaps: spikes in them have no position. */
const GAP_SECONDS = 0.5;
const SPEED_WINDOW_SECONDS = 0.5;
/** Kernels are cut here: what is lost is 1e-31 of the peak, far below the rates' floor. */
const KERNEL_SIGMAS = 12;
/** Smallest rate per bin, as in the original. */
const RATE_FLOOR = 1e-15;
/** A unit number above this is taken for a mistake. */
const MAX_UNITS = 2 ** 16;

/**
 * Checks a recording and brings it into flat f64 arrays. Inputs are copied, never kept.
 *
 * @throws {RangeError} If lengths disagree, times are not finite and ascending, or units are no whole
 * numbers from 0 to 65,535; the message names the entry.
 */
export function validateRecording(
  position: { times: ArrayLike<number>; values: ArrayLike<number> },
  spikes: SpikeInput,
): Recording {
  const samples = position.times.length;
  if (samples < 2) {
    throw new RangeError(`Cannot use the position: it has ${samples} samples, wanted at least 2`);
  }
  const dimensions = position.values.length / samples;
  if (dimensions !== 1 && dimensions !== 2) {
    throw new RangeError(
      `Cannot use the position: ${samples} times and ${position.values.length} values, wanted ` +
        `${samples} values (one dimension) or ${2 * samples} (two)`,
    );
  }
  const times = Float64Array.from(position.times);
  checkAscending(times, "position times");
  const flat = "times" in spikes ? flatSpikes(spikes) : mergeUnits(spikes);
  checkAscending(flat.times, "spike times");
  let unitCount = "times" in spikes ? 0 : spikes.length;
  flat.units.forEach((unit, spike) => {
    if (!(Number.isInteger(unit) && unit >= 0 && unit < MAX_UNITS)) {
      throw new RangeError(
        `Cannot use the spikes: spike ${spike} has unit ${unit}, wanted a whole number from 0 to ` +
          `${MAX_UNITS - 1}`,
      );
    }
    unitCount = Math.max(unitCount, unit + 1);
  });
  if (unitCount === 0) {
    throw new RangeError("Cannot use the spikes: there are no units, wanted at least one");
  }
  return {
    position: { times, values: Float64Array.from(position.values) },
    dimensions,
    spikes: { times: flat.times, units: Uint32Array.from(flat.units) },
    unitCount,
  };
}

function flatSpikes(spikes: { times: ArrayLike<number>; units: ArrayLike<number> }) {
  if (spikes.times.length !== spikes.units.length) {
    throw new RangeError(
      `Cannot use the spikes: ${spikes.times.length} times and ${spikes.units.length} units, wanted ` +
        "one unit per time",
    );
  }
  return { times: Float64Array.from(spikes.times), units: Float64Array.from(spikes.units) };
}

function mergeUnits(lists: readonly ArrayLike<number>[]) {
  const count = lists.reduce((sum, list) => sum + list.length, 0);
  const all = new Float64Array(count);
  const owners = new Float64Array(count);
  let next = 0;
  lists.forEach((list, unit) => {
    const own = Float64Array.from(list);
    checkAscending(own, `spike times of unit ${unit}`);
    all.set(own, next);
    owners.fill(unit, next, next + own.length);
    next += own.length;
  });
  const order = Uint32Array.from({ length: count }, (_, i) => i)
    .sort((a, b) => all[a]! - all[b]! || a - b);
  return {
    times: Float64Array.from(order, (spike) => all[spike]!),
    units: Float64Array.from(order, (spike) => owners[spike]!),
  };
}

function checkAscending(times: Float64Array, what: string): void {
  times.forEach((time, i) => {
    if (!Number.isFinite(time)) {
      throw new RangeError(`Cannot use the ${what}: entry ${i} is ${time}, wanted finite seconds`);
    }
    if (i > 0 && time < times[i - 1]!) {
      throw new RangeError(
        `Cannot use the ${what}: entry ${i} is ${time} s after ${times[i - 1]} s, wanted ` +
          "ascending times",
      );
    }
  });
}

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
    const seconds = times[last]! - times[first]!;
    const seen = unknown[last + 1]! === unknown[first]!;
    speed[i] = !seen ? NaN : seconds > 0 ? (path[last]! - path[first]!) / seconds : 0;
  }
  return speed;
}

/** What {@link encodeSortedSpikes} works on. */
export interface EncodingOptions extends Recording {
  grid: Grid;
  /** Standard deviation of the Gaussian kernel, position units. */
  positionStd: number;
  /** Intervals [start, stop] to encode, seconds; everything by default. */
  train?: readonly (readonly [number, number])[];
  /** Slower samples are left out, position units per second; see {@link smoothedSpeed}. */
  minSpeed?: number;
}

/**
 * Place fields: kernel density of the animal's position at spikes over that at all samples.
 *
 * Spikes count when a sample beside them does; unknown positions and gaps of more than 0.5 s are left out.
 *
 * @throws {RangeError} If the kernel is not positive or no sample of position is left.
 */
export function encodeSortedSpikes(options: EncodingOptions): Encoding {
  const { position, dimensions, spikes, unitCount, grid, positionStd } = options;
  const { times, values } = position;
  if (!(positionStd > 0 && Number.isFinite(positionStd))) {
    throw new RangeError(
      `Cannot encode: the kernel's standard deviation is ${positionStd}, wanted a positive number`,
    );
  }
  const kept = encodingSamples(options);
  const encoding = kept.reduce((sum, keep) => sum + keep, 0);
  if (encoding === 0) {
    throw new RangeError(
      `Cannot encode: none of ${times.length} samples of position is left by the training ` +
        `intervals, a minimum speed of ${
          options.minSpeed ?? "none"
        } and missing positions, wanted ` +
        "at least one",
    );
  }
  const density = new DensityMap(grid, positionStd);
  for (let sample = 0; sample < times.length; sample++) {
    if (kept[sample]) density.add(values.subarray(sample * dimensions, (sample + 1) * dimensions));
  }
  const occupancy = density.takeInterior();

  const interior = grid.interiorIndex.length;
  const ratesPerSample = new Float64Array(unitCount * interior);
  const places: number[][] = Array.from({ length: unitCount }, () => []);
  let encodingSpikes = 0;
  let sample = 0;
  for (let spike = 0; spike < spikes.times.length; spike++) {
    const time = spikes.times[spike]!;
    if (time < times[0]! || time > times[times.length - 1]!) continue;
    while (sample < times.length - 2 && times[sample + 1]! <= time) sample++;
    const seconds = times[sample + 1]! - times[sample]!;
    if (!(kept[sample] || kept[sample + 1]) || seconds > GAP_SECONDS) continue;
    const share = seconds > 0 ? (time - times[sample]!) / seconds : 0;
    const place: number[] = [];
    for (let d = 0; d < dimensions; d++) {
      const before = values[sample * dimensions + d]!;
      place.push(before + share * (values[(sample + 1) * dimensions + d]! - before));
    }
    if (place.some(Number.isNaN)) continue;
    places[spikes.units[spike]!]!.push(...place);
    encodingSpikes++;
  }
  places.forEach((flat, unit) => {
    if (flat.length === 0) return;
    for (let i = 0; i < flat.length; i += dimensions) density.add(flat.slice(i, i + dimensions));
    const atSpikes = density.takeInterior();
    // mean rate x density at spikes / density of samples: the two counts cancel
    for (let bin = 0; bin < interior; bin++) {
      const seen = occupancy[bin]!;
      ratesPerSample[unit * interior + bin] = seen > 0 ? atSpikes[bin]! / seen : 0;
    }
  });
  return {
    ratesPerSample,
    unitCount,
    positionRate: 1 / medianInterval(times),
    occupancy,
    encodingSamples: encoding,
    encodingSpikes,
  };
}

/**
 * Rates per time bin: `rates per sample x step x sampling rate of the position`, at least 1e-15. The
 * factor is 1 where both sampling rates are equal, which is the only case the original treats right.
 *
 * @returns [units, interior bins] f64, spikes per row.
 */
export function rateTable(encoding: Encoding, stepSeconds: number): Float64Array {
  const factor = stepSeconds * encoding.positionRate;
  const exact = Math.abs(factor - 1) < 1e-6 ? 1 : factor;
  return encoding.ratesPerSample.map((rate) => Math.max(RATE_FLOOR, rate * exact));
}

/** 1 for every sample of position that may shape the fields. */
function encodingSamples(
  { position, dimensions, train, minSpeed }: EncodingOptions,
): Uint8Array {
  const { times, values } = position;
  const speed = minSpeed === undefined ? undefined : smoothedSpeed(times, values, dimensions);
  return Uint8Array.from(times, (time, sample) => {
    for (let d = 0; d < dimensions; d++) {
      if (Number.isNaN(values[sample * dimensions + d]!)) return 0;
    }
    if (train && !train.some(([start, stop]) => time >= start && time <= stop)) return 0;
    return speed === undefined || speed[sample]! > minSpeed! ? 1 : 0;
  });
}

function medianInterval(times: Float64Array): number {
  const intervals = times.slice(1).map((time, i) => time - times[i]!).sort();
  return intervals[Math.floor(intervals.length / 2)]!;
}

/**
 * Sums of a separable Gaussian over the box of a grid. A point touches the bins within reach along each
 * dimension, so the exponentials are few and the rest is an outer product.
 */
class DensityMap {
  readonly #grid: Grid;
  readonly #std: number;
  readonly #box: Float64Array;
  readonly #along: Float64Array[];

  constructor(grid: Grid, std: number) {
    this.#grid = grid;
    this.#std = std;
    this.#box = new Float64Array(grid.interior.length);
    this.#along = grid.shape.map((bins) => new Float64Array(bins));
  }

  add(place: ArrayLike<number>): void {
    const ranges = this.#grid.centers.map((centers, d) => this.#weigh(centers, place[d]!, d));
    if (ranges.length === 1) {
      const [first, end] = ranges[0]!;
      for (let bin = first; bin < end; bin++) this.#box[bin]! += this.#along[0]![bin]!;
      return;
    }
    const [[firstX, endX], [firstY, endY]] = ranges as [[number, number], [number, number]];
    const columns = this.#grid.shape[1]!;
    const [alongX, alongY] = this.#along as [Float64Array, Float64Array];
    for (let x = firstX; x < endX; x++) {
      const weight = alongX[x]!;
      const row = x * columns;
      for (let y = firstY; y < endY; y++) this.#box[row + y]! += weight * alongY[y]!;
    }
  }

  /** The sums at interior bins; starts again from zero. */
  takeInterior(): Float64Array {
    const interior = Float64Array.from(this.#grid.interiorIndex, (bin) => this.#box[bin]!);
    this.#box.fill(0);
    return interior;
  }

  /** Kernel values along one dimension; returns the range [first, end) of bins within reach. */
  #weigh(centers: Float64Array, value: number, dimension: number): [number, number] {
    const spacing = centers.length > 1 ? centers[1]! - centers[0]! : 1;
    const reach = KERNEL_SIGMAS * this.#std / spacing;
    const at = (value - centers[0]!) / spacing;
    const first = Math.max(0, Math.ceil(at - reach));
    const end = Math.min(centers.length, Math.floor(at + reach) + 1);
    for (let bin = first; bin < end; bin++) {
      const distance = (centers[bin]! - value) / this.#std;
      this.#along[dimension]![bin] = Math.exp(-0.5 * distance * distance);
    }
    return [first, end];
  }
}
