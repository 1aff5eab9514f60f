/**
 * The coordinates of a stored decode: times of rows, names and positions of state bins.
 *
 * @module
 */

import type { Coordinate } from "../stream/output.ts";
import type { NumericArray } from "../types.ts";
import type { ZarrArraySpec } from "../zarr/metadata.ts";
import { positionNames } from "./row_outputs.ts";
import type { Grid } from "./grid.ts";
import { dimensionsOf } from "./grid.ts";
import type { StateBins } from "./state_bins.ts";
import { binCenter } from "./state_bins.ts";
import type { TimeGrid } from "./time_grid.ts";
import { edgeOf, rowTime } from "./time_grid.ts";

/** Characters of the longest string, 1 at least. */
function longest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, [...text].length), 1);
}

/** Times of rows, and which of them carry no evidence. */
export function rowCoordinates(time: TimeGrid, missing: Uint8Array | undefined): Coordinate[] {
  const coordinate = (name: string, at: (row: number) => number): Coordinate => ({
    spec: {
      name,
      shape: [time.rows],
      chunkShape: [time.rows],
      dtype: "float64",
      dims: ["time"],
      attributes: { units: "s" },
    },
    data: () => Float64Array.from({ length: time.rows }, (_, row) => at(row)),
  });
  return [
    coordinate("time", (row) => rowTime(time, row)),
    ...(time.kind === "timestamps" ? [] : [
      coordinate("time_bin_start", (row) => edgeOf(time, row)),
      coordinate("time_bin_end", (row) => edgeOf(time, row + 1)),
    ]),
    ...(missing
      ? [{
        spec: {
          name: "is_missing",
          shape: [time.rows],
          chunkShape: [time.rows],
          dtype: "bool",
          dims: ["time"],
        } as const,
        data: missing,
      }]
      : []),
  ];
}

/** Names and positions of state bins, of those inside the track and of all. */
export function binCoordinates(bins: StateBins): Coordinate[] {
  const { grid, names } = bins;
  const coordinate = (
    name: string,
    dim: string,
    dtype: ZarrArraySpec["dtype"],
    data: NumericArray | readonly string[],
  ): Coordinate => ({
    spec: {
      name,
      shape: [data.length],
      chunkShape: [Math.max(1, data.length)],
      dtype,
      dims: [dim],
      ...(dtype === "string" && { stringLength: longest(data as readonly string[]) }),
    },
    data,
  });
  const interior = ({ interiorIndex }: Grid) => interiorIndex;
  const box = (own: Grid) => Uint32Array.from(own.interior.keys());
  // where each state begins on the full axis
  let next = 0;
  const firstOf = names.map((_, state) => {
    const first = next;
    next += bins.isOneBin(state) ? 1 : bins.grids[state]!.interior.length;
    return first;
  });
  const placed = (prefix: string, dim: string, own: (grid: Grid) => Uint32Array) => [
    coordinate(`${prefix}state`, dim, "string", bins.map(own, (state) => names[state]!)),
    coordinate(
      `${prefix}state_ind`,
      dim,
      "int32",
      Int32Array.from(bins.map(own, (state) => state)),
    ),
    ...positionNames(dimensionsOf(grid)).map((name, dimension) =>
      coordinate(
        prefix + name,
        dim,
        "float64",
        Float64Array.from(
          bins.map(
            own,
            (state, bin) => bin === undefined ? NaN : binCenter(bins.grids[state]!, bin, dimension),
          ),
        ),
      )
    ),
  ];
  return [
    coordinate("states", "states", "string", names),
    ...(bins.environments
      ? [coordinate("environments", "states", "string", bins.environments)]
      : []),
    ...(bins.encodingGroups
      ? [coordinate("encoding_groups", "states", "string", bins.encodingGroups)]
      : []),
    ...placed("", "state_bins", interior),
    coordinate(
      "interior_index",
      "state_bins",
      "int32",
      Int32Array.from(bins.map(interior, (state, bin) => firstOf[state]! + (bin ?? 0))),
    ),
    // so that results on all bins of the box have coordinates too
    ...placed("full_", "full_state_bins", box),
    coordinate(
      "is_track_interior",
      "full_state_bins",
      "bool",
      Uint8Array.from(
        bins.map(box, (state, bin) => bin === undefined ? 1 : bins.grids[state]!.interior[bin]!),
      ),
    ),
  ];
}
