/**
 * Rows in which what is represented is where the animal is: spikes are expected as they are at its own place, which
 * is no bin's centre.
 *
 * Source: the local likelihoods of non_local_detector.
 *
 * @module
 */

import type { AnimalPath } from "../animal_path.ts";
import type { MarkEncoding } from "../clusterless_encoding.ts";
import { logVolume } from "../clusterless_encoding.ts";
import { KernelSum } from "../kernel_sum.ts";
import { PlaceSplines, ratesAt } from "../glm_encoding.ts";
import type { EncodedPoints, Encoding, FittedRates } from "../sorted_spikes.ts";
import { NO_RATIO, pointsOf, RATE_FLOOR } from "../sorted_spikes.ts";
import type { SpikeBins, TimeGrid } from "../time_grid.ts";
import { rowSeconds, rowTime } from "../time_grid.ts";

/** What rows are asked of. */
export interface LocalParts {
  spikes: SpikeBins;
  time: TimeGrid;
  path: AnimalPath;
}

/** Kernel-weighted seconds below which points far away are looked at too, one by one. */
const LITTLE_TIME = 1e-9;
/** Beyond, nothing of a kernel is left beside the least rate. */
const NOTHING = 745;

/** Densities of time and of all spikes, of peak 1, at any place. */
class PlaceDensities {
  readonly #time: KernelSum;
  readonly #spikes: KernelSum;

  constructor(points: EncodedPoints, dimensions: 1 | 2) {
    const { positionStd, samplePlaces, sampleSeconds, spikePlaces, spikeWeights } = points;
    this.#time = new KernelSum(samplePlaces, sampleSeconds, dimensions, positionStd);
    this.#spikes = new KernelSum(spikePlaces, spikeWeights, dimensions, positionStd);
  }

  /** Seconds around a place; 0 where there are none that f64 can tell. */
  timeAt(place: Float64Array): number {
    const near = this.#time.near(place);
    return near >= LITTLE_TIME ? near : this.#time.of(place);
  }

  /** Spikes a second of all units together, where there are `seconds`. */
  rateAt(place: Float64Array, seconds: number): number {
    const spikes = seconds >= LITTLE_TIME ? this.#spikes.near(place) : this.#spikes.of(place);
    return spikes / seconds;
  }
}

/**
 * Log-likelihoods of sorted spikes.
 *
 * @returns [rows] f64, natural.
 */
export function localSortedRows(
  encoding: Encoding,
  { spikes: { rowStarts, units, missing }, time, path }: LocalParts,
): Float64Array {
  const points = pointsOf(encoding);
  const { unitCount, exposureSeconds } = encoding;
  const densities = new PlaceDensities(points, path.dimensions);
  const own = groupsOf(points, unitCount);
  const totals = own.map((indices) => indices.reduce((sum, i) => sum + points.spikeWeights[i]!, 0));
  // where no time was spent
  const least = totals.map((total) => Math.max(RATE_FLOOR, NO_RATIO * total / exposureSeconds));
  const seconds = rowSeconds(time);
  return Float64Array.from({ length: time.rows }, (_, row) => {
    if (missing?.[row]) return 0;
    const place = path.at(rowTime(time, row));
    const spent = densities.timeAt(place);
    const rateOf = (unit: number) =>
      spent > 0
        ? Math.max(
          RATE_FLOOR,
          own[unit]!.reduce(
            (sum, i) => sum + points.spikeWeights[i]! * kernelAt(points, i, place),
            0,
          ) /
            spent,
        )
        : least[unit]!;
    const all = spent > 0
      // rates below the least one add nothing that f64 can tell
      ? Math.max(unitCount * RATE_FLOOR, densities.rateAt(place, spent))
      : least.reduce((sum, rate) => sum + rate, 0);
    let log = -seconds * all;
    for (let spike = rowStarts[row]!; spike < rowStarts[row + 1]!; spike++) {
      log += Math.log(rateOf(units[spike]!) * seconds);
    }
    return log;
  });
}

/**
 * Log-likelihoods of sorted spikes whose rates were fitted.
 *
 * @returns [rows] f64, natural.
 */
export function localFittedRows(
  glm: FittedRates,
  { spikes: { rowStarts, units, missing }, time, path }: LocalParts,
): Float64Array {
  const splines = new PlaceSplines(glm.knots);
  const seconds = rowSeconds(time);
  return Float64Array.from({ length: time.rows }, (_, row) => {
    if (missing?.[row]) return 0;
    const rates = ratesAt(glm, splines, path.at(rowTime(time, row)));
    let log = -seconds * rates.reduce((sum, rate) => sum + rate, 0);
    for (let spike = rowStarts[row]!; spike < rowStarts[row + 1]!; spike++) {
      log += Math.log(rates[units[spike]!]! * seconds);
    }
    return log;
  });
}

/** Spikes of which features are known. */
interface LocalMarks extends LocalParts {
  /** [spikes of the recording] */
  spikeTimes: Float64Array;
  electrodes: Uint32Array;
  /** [spikes, features] f64 */
  features: Float64Array;
}

/**
 * Log-likelihoods of spikes with features: each at the place where the animal was when it came.
 *
 * @returns [rows] f64, natural.
 */
export function localMarkedRows(
  encoding: MarkEncoding,
  { spikes, time, path, spikeTimes, electrodes, features }: LocalMarks,
): Float64Array {
  const points = pointsOf(encoding);
  const { featureCount, waveformStd } = encoding;
  const { rowStarts, units, missing } = spikes;
  const densities = new PlaceDensities(points, path.dimensions);
  const own = groupsOf(points, electrodes.reduce((most, one) => Math.max(most, one), 0) + 1);
  const seconds = rowSeconds(time);
  const constant = -logVolume(featureCount, waveformStd);
  const logRateOf = (spike: number): number => {
    const place = path.at(spikeTimes[spike]!);
    const spent = densities.timeAt(place);
    if (spent === 0) return Math.log(RATE_FLOOR);
    const logs: number[] = [];
    for (const i of own[electrodes[spike]!]!) {
      let below = squaredAt(points, i, place) / 2;
      for (let f = 0; f < featureCount && below < NOTHING; f++) {
        const difference = features[featureCount * spike + f]! -
          points.spikeFeatures![featureCount * i + f]!;
        below += 0.5 * (difference / waveformStd) ** 2;
      }
      if (below < NOTHING) logs.push(Math.log(points.spikeWeights[i]!) - below);
    }
    const largest = logs.reduce((most, log) => Math.max(most, log), -Infinity);
    if (largest === -Infinity) return Math.log(RATE_FLOOR);
    const sum = logs.reduce((total, log) => total + Math.exp(log - largest), 0);
    return Math.max(
      Math.log(RATE_FLOOR),
      largest + Math.log(sum) - Math.log(spent) + constant,
    );
  };
  return Float64Array.from({ length: time.rows }, (_, row) => {
    if (missing?.[row]) return 0;
    const place = path.at(rowTime(time, row));
    const spent = densities.timeAt(place);
    const all = spent > 0 ? densities.rateAt(place, spent) : 0;
    let log = -seconds * Math.max(RATE_FLOOR, all);
    for (let at = rowStarts[row]!; at < rowStarts[row + 1]!; at++) {
      log += logRateOf(units[at]!) + Math.log(seconds);
    }
    return log;
  });
}

function groupsOf({ spikeUnits }: EncodedPoints, units: number): number[][] {
  const own: number[][] = Array.from({ length: units }, () => []);
  spikeUnits.forEach((unit, i) => (own[unit] ??= []).push(i));
  return own;
}

/** Squared distance of an encoding spike from a place, in standard deviations. */
function squaredAt({ spikePlaces, positionStd }: EncodedPoints, i: number, place: Float64Array) {
  let squared = 0;
  for (let d = 0; d < place.length; d++) {
    squared += ((spikePlaces[i * place.length + d]! - place[d]!) / positionStd) ** 2;
  }
  return squared;
}

function kernelAt(points: EncodedPoints, i: number, place: Float64Array): number {
  return Math.exp(-0.5 * squaredAt(points, i, place));
}
