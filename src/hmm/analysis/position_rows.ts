/**
 * Rows of a posterior as probabilities of places: what all discrete states have there, together.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";
import type { Grid } from "../grid.ts";

/**
 * Probabilities of bins, and where these lie: a decode, its `causal` or `predictive` probabilities, or any array with the
 * grid of a decoder: `{ posterior: fromTypedArray(values, [rows, bins]), grid: model.grid }`.
 */
export interface PositionPosterior {
  /** `[time, state_bins]`, probabilities, or anything in proportion to them. */
  posterior: ChunkedArray<Float32Array | Float64Array>;
  /** `undefined` where no state has positions. */
  grid: Grid | undefined;
  /**
   * [state_bins] Interior bin of the grid of each, -1 of one that is nowhere. Default: all of them in order, once for
   * every state.
   */
  places?: ArrayLike<number>;
  /** `[time]` f64, seconds: the centres of rows, where they are known. */
  time?: ChunkedArray<Float64Array>;
}

/** Bytes that are read at a time, where chunks are smaller. */
const READ_BYTES = 2 ** 20;

/** The grid of a posterior. */
export function gridOfPosterior({ grid }: PositionPosterior, action: string): Grid {
  // between places of several there is no distance, and their bins are not those of the first
  if (grid && !grid.environments) return grid;
  throw new RangeError(
    `Cannot ${action}: no state has positions, or there are several environments, wanted the grid of one`,
  );
}

/** [state_bins] interior bin of each. */
function placesOf(source: PositionPosterior, action: string): ArrayLike<number> {
  const { posterior: { shape }, places } = source;
  const bins = gridOfPosterior(source, action).interiorIndex.length;
  const [, width] = shape;
  if (places?.length === width && shape.length === 2) return places!;
  if (!places && shape.length === 2 && width! % bins === 0 && width! > 0) {
    return Int32Array.from({ length: width! }, (_, bin) => bin % bins);
  }
  throw new RangeError(
    `Cannot ${action}: the posterior has the shape [${shape}], wanted [rows, ${
      places ? places.length : `${bins} bins for every state`
    }]`,
  );
}

/**
 * Visits every row of some posteriors, a chunk at a time.
 *
 * @param visit Gets, of each posterior, the sums over discrete states in every interior bin, f64: the same arrays for
 * every row. A row that is not stored is all NaN.
 * @throws {RangeError} If there are not as many rows and bins in each, bins lie elsewhere, or a row is NaN in some bins alone.
 */
export async function visitRows(
  sources: readonly PositionPosterior[],
  action: string,
  visit: (row: number, ...probabilities: Float64Array[]) => void,
): Promise<void> {
  const places = sources.map((source) => placesOf(source, action));
  const bins = sources.map((source) => source.grid!.interiorIndex.length);
  const [{ posterior: { shape: [rows] } }] = sources as [PositionPosterior];
  sources.forEach(({ posterior: { shape } }, i) => {
    if (shape[0] === rows && bins[i] === bins[0]) return;
    throw new RangeError(
      `Cannot ${action}: one posterior has ${rows} rows of ${bins[0]} bins, the other ${
        shape[0]
      } of ${bins[i]}, wanted as many`,
    );
  });
  if (sources.some(({ grid }) => !haveSameBins(sources[0]!.grid!, grid!))) {
    throw new RangeError(
      `Cannot ${action}: the bins of one posterior lie elsewhere than those of the other, wanted the same grid`,
    );
  }
  const sums = bins.map((count) => new Float64Array(count));
  const step = Math.max(
    Math.min(...sources.map(({ posterior }) => posterior.chunkRows)),
    Math.ceil(READ_BYTES / 4 / Math.max(...places.map(({ length }) => length))),
  );
  for (let start = 0; start < rows!; start += step) {
    const end = Math.min(rows!, start + step);
    const read: (Float32Array | Float64Array)[] = [];
    for (const { posterior } of sources) read.push(await posterior.read(start, end));
    for (let row = start; row < end; row++) {
      read.forEach((values, i) => {
        const own = places[i]!;
        const sum = sums[i]!.fill(0);
        const from = (row - start) * own.length;
        let unknown = 0;
        for (let bin = 0; bin < own.length; bin++) {
          const value = values[from + bin]!;
          if (Number.isNaN(value)) unknown++;
          if (own[bin]! >= 0) sum[own[bin]!]! += value;
        }
        checkRow(unknown, own.length, row, action);
      });
      visit(row, ...sums);
    }
  }
}

/** @throws {RangeError} Of a row on all bins of the box, some of which would be taken for others. */
function checkRow(unknown: number, bins: number, row: number, action: string): void {
  if (unknown === 0 || unknown === bins) return;
  throw new RangeError(
    `Cannot ${action}: row ${row} is NaN in ${unknown} of ${bins} state bins, wanted numbers in all or in none; ` +
      "bins outside the track are left out of `posterior`",
  );
}

/** Share of a bin by which centres may differ: what rounding leaves of them. */
const SAME_SHARE = 1e-6;

function haveSameBins(one: Grid, other: Grid): boolean {
  if (one === other) return true;
  return one.shape.join() === other.shape.join() &&
    one.interiorIndex.every((bin, i) => bin === other.interiorIndex[i]) &&
    one.centers.every((along, d) =>
      along.every((center, i) =>
        Math.abs(center - other.centers[d]![i]!) <= SAME_SHARE * one.binSize
      )
    );
}
