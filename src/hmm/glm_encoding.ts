/**
 * Place fields of sorted units by a generalised linear model, in f64 on the host: spikes are Poisson, and the logarithm of
 * their rate is a natural cubic spline of the position, in two dimensions a product of such.
 *
 * The fit minimises -(sum of y log(rate) - X rate) / (sum of X) + penalty * |c|^2 over samples of the position, where X
 * is the exposure of a sample in seconds and y its share of the spikes. c are the values that the spline has in its
 * knots, less their part in the mean over all samples, so that the level of a unit costs nothing. By Newton's method,
 * which is iteratively reweighted least squares here.
 *
 * Source of the model: `sorted_spikes_glm` of non_local_detector, which has the natural splines of patsy (`cr`, `te`).
 *
 * @module
 */

import { factorize, solveFactored } from "../math/cholesky.ts";
import { NaturalSpline } from "../math/natural_spline.ts";
import type { Grid } from "./grid.ts";
import type { Encoding, EncodingOptions, FittedRates, Sampled } from "./sorted_spikes.ts";
import { densityOf, RATE_FLOOR, trainOn } from "./sorted_spikes.ts";
import { binCenter } from "./state_bins.ts";

/** What a GLM is told. */
export interface GlmOptions extends EncodingOptions {
  /** [units] What each is called where something is said of it. */
  unitIds: readonly number[];
  /** Distance of knots, position units. Default 2 sqrt(12.5). */
  knotSpacing?: number;
  /** Default 0.5 */
  penalty?: number;
}

const KNOT_SPACING = 2 * Math.sqrt(12.5);
const PENALTY = 0.5;
/** More products of spline functions take minutes for each unit. */
const MOST_FUNCTIONS = 2048;
const MOST_STEPS = 100;
const MOST_HALVINGS = 40;
/** What is still to be gained, relative to the whole, when one more step is enough: it leaves the square of that. */
const GAIN = 1e-12;

/** Products of spline functions of a place. */
export class PlaceSplines {
  readonly #splines: readonly (NaturalSpline | undefined)[];
  /** How many there are. */
  readonly size: number;

  constructor(knots: readonly Float64Array[]) {
    this.#splines = knots.map((along) => along.length > 0 ? new NaturalSpline(along) : undefined);
    this.size = this.#splines.reduce((product, spline) => product * (spline?.size ?? 1), 1);
  }

  /** Functions that are not 0 at a place, and their values. */
  at(place: ArrayLike<number>): { columns: number[]; values: number[] } {
    let columns = [0];
    let values = [1];
    this.#splines.forEach((spline, d) => {
      if (!spline) return;
      const row = spline.rowAt(place[d]!);
      const along = Array.from(row.values);
      columns = columns.flatMap((column) =>
        along.map((_, i) => column * spline.size + row.first + i)
      );
      values = values.flatMap((value) => along.map((own) => value * own));
    });
    return { columns, values };
  }

  /** Values in the knots, [knots, functions]. */
  inKnots(): Float64Array {
    const { size } = this;
    const matrix = new Float64Array(size * size);
    let places: number[][] = [[]];
    for (const spline of this.#splines) {
      const along = spline ? Array.from(spline.knots) : [0];
      places = places.flatMap((place) => along.map((knot) => [...place, knot]));
    }
    places.forEach((place, knot) => {
      const { columns, values } = this.at(place);
      columns.forEach((column, i) => matrix[knot * size + column] = values[i]!);
    });
    return matrix;
  }
}

/** Spikes a second of every unit at a place. */
export function ratesAt(
  { coefficients }: FittedRates,
  splines: PlaceSplines,
  place: ArrayLike<number>,
): Float64Array {
  const { columns, values } = splines.at(place);
  return Float64Array.from({ length: coefficients.length / splines.size }, (_, unit) => {
    let log = 0;
    columns.forEach((column, i) => log += values[i]! * coefficients[unit * splines.size + column]!);
    return Math.max(RATE_FLOOR, Math.exp(log));
  });
}

/**
 * Place fields by a GLM.
 *
 * @returns `warnings` name units whose fit did not come to its end.
 * @throws {RangeError} As {@link trainOn} does, or if knots are so near that there are too many functions.
 */
export function encodeByGlm(options: GlmOptions): Encoding & { warnings: string[] } {
  const { unitCount, unitIds, grid, knotSpacing = KNOT_SPACING, penalty = PENALTY } = options;
  const training = trainOn(options);
  const { sampled, points } = training;
  const knots = knotsOf(grid, sampled, knotSpacing);
  const splines = new PlaceSplines(knots);
  const fit = new PoissonFit(splines, sampled, grid.dimensions, penalty);
  const coefficients = new Float64Array(unitCount * splines.size);
  const warnings: string[] = [];
  const own: number[][] = Array.from({ length: unitCount }, () => []);
  points.spikeUnits.forEach((unit, spike) => own[unit]!.push(spike));
  own.forEach((spikes, unit) => {
    const { found, isDone } = fit.of(spikes);
    coefficients.set(found, unit * splines.size);
    if (!isDone) {
      warnings.push(`the place field of unit ${unitIds[unit]} did not come to the end of its fit`);
    }
  });
  const glm = { knots, coefficients };
  const interior = grid.interiorIndex.length;
  const rates = new Float64Array(unitCount * interior);
  grid.interiorIndex.forEach((boxBin, bin) => {
    const place = grid.centers.map((_, d) => binCenter(grid, boxBin, d));
    ratesAt(glm, splines, place).forEach((rate, unit) => {
      if (rate === Infinity) {
        throw new RangeError(
          `Cannot encode: the fit of unit ${
            unitIds[unit]
          } has no end at [${place}], which lies beyond ` +
            "the positions, wanted an interior nearer to them, or a larger penalty",
        );
      }
      rates[unit * interior + bin] = rate;
    });
  });
  return {
    ...{ rates, unitCount, glm, warnings },
    exposureSeconds: training.exposureSeconds,
    occupancy: densityOf(training, grid),
    intervals: training.intervals,
    mergedStamps: training.mergedStamps,
    encodingSamples: training.encodingSamples,
    encodingSpikes: training.spikes.length,
  };
}

/** Knots along each dimension: the ends of the positions, and even ones of the grid's range between these. */
function knotsOf(grid: Grid, { places, isInside }: Sampled, spacing: number): Float64Array[] {
  const { dimensions } = grid;
  const knots = grid.edges.map((edges, d) => {
    let [low, high] = [Infinity, -Infinity];
    for (let i = d; i < places.length; i += dimensions) {
      if (!isInside[(i - d) / dimensions]) continue;
      low = Math.min(low, places[i]!);
      high = Math.max(high, places[i]!);
    }
    if (!(low < high)) return new Float64Array(0);
    const [first, last] = [edges[0]!, edges.at(-1)!];
    const count = Math.ceil((last - first) / spacing);
    if (count > MOST_FUNCTIONS) return refuseKnots(spacing, count);
    const even = Array.from(
      { length: Math.max(0, count - 2) },
      (_, i) => first + (i + 1) * (last - first) / (count - 1),
    );
    return Float64Array.of(low, ...even.filter((knot) => knot > low && knot < high), high);
  });
  const functions = knots.reduce((product, { length }) => product * Math.max(1, length), 1);
  if (functions > MOST_FUNCTIONS) refuseKnots(spacing, functions);
  return knots;
}

function refuseKnots(spacing: number, functions: number): never {
  throw new RangeError(
    `Cannot encode: knots ${spacing} apart make ${functions} functions, at most ${MOST_FUNCTIONS} are supported; ` +
      "wanted a larger knotSpacing",
  );
}

/** The fits of units over one path of the animal. */
class PoissonFit {
  readonly #sampled: Sampled;
  readonly #size: number;
  /** Of every sample that counts: functions that are not 0. */
  readonly #rows: { sample: number; columns: Int32Array; values: Float64Array }[] = [];
  /** [functions, functions] twice what |c|^2 costs. */
  readonly #penalty: Float64Array;
  readonly #exposure: number;

  constructor(splines: PlaceSplines, sampled: Sampled, dimensions: number, penalty: number) {
    this.#sampled = sampled;
    this.#size = splines.size;
    const inside = sampled.isInside.filter(Boolean).length;
    const mean = new Float64Array(splines.size);
    for (let sample = 0; sample < sampled.isInside.length; sample++) {
      if (!sampled.isInside[sample]) continue;
      const { columns, values } = splines.at(
        sampled.places.subarray(sample * dimensions, (sample + 1) * dimensions),
      );
      columns.forEach((column, i) => mean[column]! += values[i]! / inside);
      if (sampled.weights[sample] === 0) continue;
      this.#rows.push({
        sample,
        columns: Int32Array.from(columns),
        values: Float64Array.from(values),
      });
    }
    this.#exposure = sampled.seconds.reduce((sum, seconds) => sum + seconds, 0);
    this.#penalty = penaltyOf(splines, mean, penalty);
  }

  /** @param spikes Which of those that were encoded. */
  of(spikes: readonly number[]): { found: Float64Array; isDone: boolean } {
    const { events, weights, seconds } = this.#sampled;
    const mass = new Float64Array(seconds.length);
    for (const spike of spikes) {
      const [sample, share] = [events.samples[spike]!, events.shares[spike]!];
      mass[sample]! += (1 - share) * weights[sample]!;
      if (share > 0) mass[sample + 1]! += share * weights[sample + 1]!;
    }
    const total = mass.reduce((sum, own) => sum + own, 0);
    const found = new Float64Array(this.#size);
    if (total === 0) return { found: found.fill(Math.log(RATE_FLOOR)), isDone: true };
    found.fill(Math.log(total / this.#exposure));
    let cost = this.#costOf(found, mass);
    for (let step = 0; step < MOST_STEPS; step++) {
      const { direction, gain } = this.#newton(found, mass);
      if (gain <= GAIN * (1 + Math.abs(cost))) {
        return { found: found.map((own, i) => own - direction[i]!), isDone: true };
      }
      let length = 1;
      let next = cost;
      const moved = new Float64Array(this.#size);
      for (let halving = 0; halving < MOST_HALVINGS; halving++, length /= 2) {
        direction.forEach((own, i) => moved[i] = found[i]! - length * own);
        next = this.#costOf(moved, mass);
        if (next < cost) break;
      }
      if (!(next < cost)) break;
      found.set(moved);
      cost = next;
    }
    return { found, isDone: false };
  }

  #logAt({ columns, values }: { columns: Int32Array; values: Float64Array }, found: Float64Array) {
    let log = 0;
    for (let i = 0; i < columns.length; i++) log += values[i]! * found[columns[i]!]!;
    return log;
  }

  #costOf(found: Float64Array, mass: Float64Array): number {
    let sum = 0;
    for (const row of this.#rows) {
      const log = this.#logAt(row, found);
      const own = mass[row.sample]!;
      if (own > 0) sum -= own * Math.max(LOG_FLOOR, log);
      sum += this.#sampled.seconds[row.sample]! * Math.exp(log);
    }
    const costs = this.#penalised(found);
    const quadratic = found.reduce((total, value, i) => total + value * costs[i]!, 0) / 2;
    return sum / this.#exposure + quadratic;
  }

  /** Step that Newton's method takes, and what it would gain if the cost were a paraboloid. */
  #newton(found: Float64Array, mass: Float64Array): { direction: Float64Array; gain: number } {
    const size = this.#size;
    const curvature = this.#penalty.slice();
    const direction = this.#penalised(found);
    for (const row of this.#rows) {
      const { columns, values, sample } = row;
      const log = this.#logAt(row, found);
      const expected = this.#sampled.seconds[sample]! * Math.exp(log) / this.#exposure;
      // below the floor a higher rate explains no spike better
      const seen = log > LOG_FLOOR ? mass[sample]! / this.#exposure : 0;
      for (let i = 0; i < columns.length; i++) {
        direction[columns[i]!]! += values[i]! * (expected - seen);
        const at = columns[i]! * size;
        const own = expected * values[i]!;
        for (let j = 0; j < columns.length; j++) curvature[at + columns[j]!]! += own * values[j]!;
      }
    }
    const gradient = direction.slice();
    if (!factorize(curvature, size)) return { direction, gain: NaN };
    solveFactored(curvature, direction);
    return { direction, gain: gradient.reduce((sum, own, i) => sum + own * direction[i]!, 0) / 2 };
  }

  #penalised(found: Float64Array): Float64Array {
    const size = this.#size;
    return Float64Array.from({ length: size }, (_, i) => {
      let sum = 0;
      for (let j = 0; j < size; j++) sum += this.#penalty[i * size + j]! * found[j]!;
      return sum;
    });
  }
}

const LOG_FLOOR = Math.log(RATE_FLOOR);

/**
 * Twice the matrix of penalty * |c|^2: what the spline has in its knots, less its mean over samples. Functions sum to
 * 1, so that taking the mean from a field is taking it from all coefficients.
 */
function penaltyOf(splines: PlaceSplines, mean: Float64Array, penalty: number): Float64Array {
  const { size } = splines;
  const inKnots = splines.inKnots();
  const centred = new Float64Array(size * size);
  for (let knot = 0; knot < size; knot++) {
    const row = inKnots.subarray(knot * size, (knot + 1) * size);
    for (let i = 0; i < size; i++) centred[knot * size + i] = row[i]! - mean[i]!;
  }
  const matrix = new Float64Array(size * size);
  for (let knot = 0; knot < size; knot++) {
    for (let i = 0; i < size; i++) {
      const own = 2 * penalty * centred[knot * size + i]!;
      if (own === 0) continue;
      for (let j = 0; j < size; j++) matrix[i * size + j]! += own * centred[knot * size + j]!;
    }
  }
  return matrix;
}
