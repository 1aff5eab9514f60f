/**
 * The grid of a stored decode, from its coordinates.
 *
 * @module
 */

import type { Grid, TrackGraph } from "./grid.ts";
import { positionNames } from "./row_outputs.ts";
import { trackGrid } from "./track_grid.ts";

/** What attributes say of a grid. */
export interface StoredGridFacts {
  bin_size: number;
  shape: number[];
  track_graph?: TrackGraph;
}

/** What is stored along the full axis. */
interface FullAxis {
  /** Where the bins of a state begin that has all of the box; -1 where none has. */
  firstBin: number;
  inside: Uint8Array;
  readCenters(name: string): Promise<Float64Array>;
}

/**
 * The grid of all states that have positions; `undefined` where none has. Bins are evenly spaced unless they lie on a track,
 * so that their centres tell their edges; those of a single bin are NaN.
 */
export async function storedGrid(
  { bin_size: binSize, shape, track_graph: graph }: StoredGridFacts,
  { firstBin, inside, readCenters }: FullAxis,
): Promise<Grid | undefined> {
  if (firstBin < 0) return undefined;
  if (graph) return trackGrid(graph, binSize);
  const dimensions = shape.length as 1 | 2;
  const columns = shape.at(-1)!;
  const boxBins = shape.reduce((product, bins) => product * bins, 1);
  // states before it have one bin each
  const own = <Values extends Uint8Array | Float64Array>(values: Values) =>
    values.subarray(firstBin, firstBin + boxBins);
  const interior = Uint8Array.from(own(inside));
  const centers = await Promise.all(
    positionNames(dimensions).map(async (name, dimension) => {
      const all = own(await readCenters(name));
      const stride = dimension === dimensions - 1 ? 1 : columns;
      return Float64Array.from({ length: shape[dimension]! }, (_, bin) => all[bin * stride]!);
    }),
  );
  const edges = centers.map((along) => {
    const width = along.length > 1 ? (along.at(-1)! - along[0]!) / (along.length - 1) : NaN;
    return Float64Array.from(
      { length: along.length + 1 },
      (_, i) => i === 0 ? along[0]! - width / 2 : along[i - 1]! + width / 2,
    );
  });
  return {
    ...{ dimensions, binSize, shape, edges, centers, interior },
    interiorIndex: Uint32Array.from([...interior.keys()].filter((bin) => interior[bin] === 1)),
  };
}
