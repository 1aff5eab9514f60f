/**
 * Where a posterior says the animal was, or thought of: its likeliest places, and how fast they move.
 *
 * @module
 */

import { readAll } from "../../array/array.ts";
import type { OptionsOf } from "../../options.ts";
import { declare, number } from "../../options.ts";
import type { Grid } from "../grid.ts";
import { interiorGraph, shortestPaths } from "../grid_graph.ts";
import { binCenter } from "../state_bins.ts";
import type { PositionPosterior } from "./position_rows.ts";
import { gridOfPosterior, visitRows } from "./position_rows.ts";

/** [time] The likeliest interior bin of each row, the first of equals; -1 where no bin has a probability. */
export async function likeliestBins(
  source: PositionPosterior,
  action: string,
): Promise<Int32Array> {
  const bins = new Int32Array(source.posterior.shape[0]!);
  await visitRows([source], action, (row, probabilities) => {
    let [likeliest, most] = [-1, 0];
    probabilities!.forEach((value, bin) => {
      if (value > most) [likeliest, most] = [bin, value];
    });
    bins[row] = likeliest;
  });
  return bins;
}

/**
 * The likeliest position of every row, all discrete states together; of equals the first. The original calls it
 * `maximum_a_posteriori_estimate`. (The summary `map` of a decode is the likeliest bin of a single state.)
 *
 * @returns [time] f64 for each dimension, position units; NaN of a row without any probability of a position.
 * @throws {RangeError} If the posterior has another number of bins than its grid.
 */
export async function mapPosition(source: PositionPosterior): Promise<Float64Array[]> {
  const action = "find the likeliest position";
  const grid = gridOfPosterior(source, action);
  const bins = await likeliestBins(source, action);
  return grid.shape.map((_, dimension) =>
    Float64Array.from(
      bins,
      (bin) => bin < 0 ? NaN : binCenter(grid, grid.interiorIndex[bin]!, dimension),
    )
  );
}

export const mapSpeedOptions = declare("find the speed", {
  /** Rows a second. Default: by the times of the posterior. */
  rate: number({
    above: 0,
    otherwise: "by the times of the posterior",
    says: "rows a second",
  }),
  /** Standard deviation of a Gaussian by which speeds are smoothed, seconds; 0 for none. Default 0.0025. */
  smoothStd: number({
    default: 0.0025,
    from: 0,
    says: "standard deviation by which speeds are smoothed, seconds; 0 for none",
  }),
});

export type MapSpeedOptions = OptionsOf<typeof mapSpeedOptions>;

/**
 * The speed of the likeliest position, along the shortest way between bins: around walls in a box, through junctions on a
 * track. Of a row it is half the way from the row before to the row after; of the first and the last, that to its neighbour.
 * Smoothing takes the speed to be 0 beyond the ends, as the original's `get_map_speed` does.
 *
 * @returns [time] f64, position units a second; NaN where there is no way, no likeliest position in the row or beside it, or only
 * one row, and as far from it as smoothing reaches: 8 standard deviations.
 * @throws {RangeError} If the posterior has another number of bins than its grid, or there is neither `rate` nor `time`.
 */
export async function mapSpeed(
  source: PositionPosterior,
  options: MapSpeedOptions = {},
): Promise<Float64Array> {
  const { action } = mapSpeedOptions;
  const { rate: given, smoothStd } = mapSpeedOptions.check(options);
  const grid = gridOfPosterior(source, action);
  const [rows] = source.posterior.shape as [number];
  const rate = given ?? await rateOf(source, action);
  const bins = await likeliestBins(source, action);
  if (rows < 2) return new Float64Array(rows).fill(NaN);
  const before = Int32Array.from(bins, (_, row) => bins[Math.max(0, row - 1)]!);
  const after = Int32Array.from(bins, (_, row) => bins[Math.min(rows - 1, row + 1)]!);
  const speed = pathLengths(grid, before, after).map((length, row) => {
    if (bins[row]! < 0) return NaN;
    return length * rate / (row === 0 || row === rows - 1 ? 1 : 2);
  });
  return smoothed(speed, smoothStd * rate);
}

async function rateOf({ time, posterior }: PositionPosterior, action: string): Promise<number> {
  const rows = posterior.shape[0]!;
  if (rows < 2) return 1;
  if (!time) {
    throw new RangeError(`Cannot ${action}: the posterior has no times, wanted \`rate\``);
  }
  const [first] = await time.read(0, 1);
  const [last] = await time.read(rows - 1, rows);
  return (rows - 1) / (last! - first!);
}

/**
 * Length of the shortest way between the bins of each pair, NaN where there is none, or a bin is -1. Pairs are grouped by
 * where they begin, so that ways from a bin are sought once and none is kept.
 */
export function pathLengths(grid: Grid, from: Int32Array, to: Int32Array): Float64Array {
  const lengths = new Float64Array(from.length).fill(NaN);
  const graph = interiorGraph(grid);
  const pairs = Uint32Array.from(from.keys()).sort((a, b) => from[a]! - from[b]!);
  let bin = -1;
  let distances = new Float64Array(0);
  for (const pair of pairs) {
    if (from[pair]! < 0 || to[pair]! < 0) continue;
    if (from[pair]! === to[pair]!) {
      lengths[pair] = 0;
      continue;
    }
    if (from[pair]! !== bin) {
      bin = from[pair]!;
      distances = shortestPaths(graph, bin, Infinity) as Float64Array<ArrayBuffer>;
    }
    const length = distances[to[pair]!]!;
    lengths[pair] = length === Infinity ? NaN : length;
  }
  return lengths;
}

/** Weights that sum to 1, cut at 8 standard deviations; 0 is taken for what lies beyond the ends. */
function smoothed(values: Float64Array, std: number): Float64Array {
  if (std === 0) return values;
  const reach = Math.floor(8 * std + 0.5);
  const weights = Float64Array.from(
    { length: 2 * reach + 1 },
    (_, i) => Math.exp(-0.5 * ((i - reach) / std) ** 2),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return values.map((_, at) => {
    let sum = 0;
    const last = Math.min(values.length - 1, at + reach);
    for (let other = Math.max(0, at - reach); other <= last; other++) {
      sum += weights[other - at + reach]! / total * values[other]!;
    }
    return sum;
  });
}

/** [time] Centres of rows, seconds. */
export async function timesOf({ time }: PositionPosterior, action: string): Promise<Float64Array> {
  if (time) return await readAll(time);
  throw new RangeError(`Cannot ${action}: the posterior has no times, wanted \`time\` beside it`);
}
