/**
 * How spread out a posterior is, and how well two agree: highest-density regions and the divergence of Kullback and
 * Leibler.
 *
 * @module
 */

import type { OptionsOf } from "../../options.ts";
import { declare, number } from "../../options.ts";
import type { Grid } from "../grid.ts";
import type { PositionPosterior } from "./position_rows.ts";
import { gridOfPosterior, visitRows } from "./position_rows.ts";

const coverage = number({
  default: 0.95,
  above: 0,
  to: 1,
  says: "share of a row that its region has at least",
});

export const highestDensityOptions = declare("find the highest-density region", {
  /** Share of a row's probability that its region has at least. Default 0.95. */
  coverage,
});

export const overlapOptions = declare("compare highest-density regions", { coverage });

export type HighestDensityOptions = OptionsOf<typeof highestDensityOptions>;

/** The smallest regions that have a share of the probability. */
export interface HighestDensity {
  /** [time] f64: the least probability of a bin that is in it, all discrete states together. NaN of a row without any. */
  threshold: Float64Array;
  /** [time] f64: length, or area, of its bins, position units. */
  spatialCoverage: Float64Array;
  /** [time]: how many bins it has. */
  bins: Uint32Array;
}

/**
 * Finds the highest-density region of every row, over places: discrete states are added up first, and bins that are
 * nowhere left out. All bins that are as likely as the last one belong to it.
 *
 * The original calls it `get_highest_posterior_threshold` and `get_HPD_spatial_coverage`.
 *
 * @throws {RangeError} If the posterior has another number of bins than its grid, or the width of a bin is not known.
 */
export async function highestDensity(
  source: PositionPosterior,
  options: HighestDensityOptions = {},
): Promise<HighestDensity> {
  const { coverage } = highestDensityOptions.check(options);
  const { action } = highestDensityOptions;
  const [rows] = source.posterior.shape as [number];
  const sizes = binSizes(gridOfPosterior(source, action), action);
  const [threshold, spatialCoverage] = [new Float64Array(rows), new Float64Array(rows)];
  const bins = new Uint32Array(rows);
  const find = thresholdFinder(coverage);
  await visitRows([source], action, (row, probabilities) => {
    const least = find(probabilities!);
    threshold[row] = least;
    if (Number.isNaN(least)) {
      spatialCoverage[row] = NaN;
      return;
    }
    probabilities!.forEach((value, bin) => {
      if (value < least) return;
      bins[row]!++;
      spatialCoverage[row]! += sizes[bin]!;
    });
  });
  return { threshold, spatialCoverage, bins };
}

/**
 * How much of the smaller one of two highest-density regions lies in the other, by bins: 1 where one contains the other, 0
 * where they lie apart. Of a posterior and a likelihood, it tells whether the data agree with the model.
 *
 * The original calls it `posterior_consistency_hpd_overlap`.
 *
 * @returns [time] f64, NaN where a row of either has no probability.
 * @throws {RangeError} If the two have not as many rows and bins.
 */
export async function hpdOverlap(
  one: PositionPosterior,
  other: PositionPosterior,
  options: HighestDensityOptions = {},
): Promise<Float64Array> {
  const { coverage } = overlapOptions.check(options);
  const overlap = new Float64Array(one.posterior.shape[0]!);
  const find = thresholdFinder(coverage);
  await visitRows([one, other], overlapOptions.action, (row, first, second) => {
    const [least, otherLeast] = [find(first!), find(second!)];
    let [own, others, both] = [0, 0, 0];
    first!.forEach((value, bin) => {
      const isIn = value >= least;
      const isInOther = second![bin]! >= otherLeast;
      if (isIn) own++;
      if (isInOther) others++;
      if (isIn && isInOther) both++;
    });
    overlap[row] = both / Math.min(own, others);
  });
  return overlap;
}

/**
 * The divergence of Kullback and Leibler of one distribution from another, nats: of a posterior from a likelihood. Rows are
 * brought to a sum of 1 first.
 *
 * The original calls it `posterior_consistency_kl_divergence`.
 *
 * @returns [time] f64: Infinity where `other` has nothing in a bin in which `one` has something, NaN where a row of either
 * has no probability.
 * @throws {RangeError} If the two have not as many rows and bins.
 */
export async function klDivergence(
  one: PositionPosterior,
  other: PositionPosterior,
): Promise<Float64Array> {
  const divergence = new Float64Array(one.posterior.shape[0]!);
  await visitRows([one, other], "take the divergence", (row, first, second) => {
    const [total, otherTotal] = [sumOf(first!), sumOf(second!)];
    if (!(total > 0 && otherTotal > 0)) {
      divergence[row] = NaN;
      return;
    }
    first!.forEach((value, bin) => {
      if (value === 0) return;
      divergence[row]! += value / total * Math.log(value / total / (second![bin]! / otherTotal));
    });
  });
  return divergence;
}

/** Finds the least probability of a region; NaN where there is none. */
function thresholdFinder(coverage: number): (probabilities: Float64Array) => number {
  let sorted = new Float64Array(0);
  return (probabilities) => {
    if (sorted.length !== probabilities.length) sorted = new Float64Array(probabilities.length);
    sorted.set(probabilities);
    sorted.sort();
    const total = sumOf(probabilities);
    if (!(total > 0)) return NaN;
    let share = 0;
    let least = NaN;
    // bins without any are in no region, though rounding may leave shares below a coverage of 1
    for (let bin = sorted.length - 1; sorted[bin]! > 0 && share < coverage; bin--) {
      least = sorted[bin]!;
      share += least / total;
    }
    return least;
  };
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

/** Length, or area, of every interior bin. */
function binSizes({ edges, shape, interiorIndex }: Grid, action: string): Float64Array {
  const columns = shape.at(-1)!;
  const width = (dimension: number, bin: number) =>
    edges[dimension]![bin + 1]! - edges[dimension]![bin]!;
  return Float64Array.from(interiorIndex, (place) => {
    const size = shape.length === 1
      ? width(0, place)
      : width(0, Math.floor(place / columns)) * width(1, place % columns);
    if (size > 0) return size;
    throw new RangeError(
      `Cannot ${action}: a store does not tell the width of a single bin, wanted the grid of the decoder`,
    );
  });
}
