/**
 * The grid of position bins and its interior: where the animal has been.
 *
 * Source of the rules: non_local_detector (`Environment`), after Denovellis et al. 2021.
 *
 * @module
 */

import { isList } from "../options.ts";
import type { InteriorChoices, PositionRange } from "./grid_interior.ts";
import { closedInterior, occupiedBins } from "./grid_interior.ts";

export { binOf } from "./grid_interior.ts";

/** Position bins over one or two dimensions. Flat arrays are in C order, y fastest. */
export interface Grid {
  dimensions: 1 | 2;
  /** Bin edge asked for, position units; the bins are a little smaller, to divide the range evenly. */
  binSize: number;
  /** `[bins]` or `[x bins, y bins]`. */
  shape: readonly number[];
  /** Bin edges along each dimension, f64, position units. */
  edges: readonly Float64Array[];
  /** Bin centres along each dimension. */
  centers: readonly Float64Array[];
  /** 0 or 1 for every bin of the box. */
  interior: Uint8Array;
  /** Flat index of each interior bin, ascending. */
  interiorIndex: Uint32Array;
  /** Of bins that lie one after the other along the ways of a track. They are not all as wide. */
  track?: TrackLine;
  /** Where there are several: this grid is that of the first of them. */
  environments?: readonly Environment[];
}

/** A place with bins of its own. */
export interface Environment {
  name: string;
  grid: Grid;
}

/** Of positions: as many as those of the environment that has most. Bins of a track have one. */
export function dimensionsOf({ dimensions, environments }: Grid): 1 | 2 {
  return environments?.some((own) => own.grid.dimensions === 2) ? 2 : dimensions;
}

/** The grid of an environment, which has no name where it is the only one. */
export function gridOfEnvironment(grid: Grid, name: string | undefined): Grid {
  if (name === undefined && !grid.environments) return grid;
  const found = grid.environments?.find((own) => own.name === name);
  if (found) return found.grid;
  const names = grid.environments?.map((own) => `"${own.name}"`).join(", ");
  throw new RangeError(
    `Cannot lay out states: one is in ${
      name === undefined ? "no environment" : `environment "${name}"`
    }, wanted ${names ? `one of ${names}` : "none: there is a single one, without a name"}`,
  );
}

/** Interior bins as a graph: neighbours of each, and how far their centres are. */
export type Graph = readonly { neighbours: readonly number[]; lengths: readonly number[] }[];

/** How places become positions along a track. */
export interface TrackLine {
  /** What it was made of. */
  graph: TrackGraph;
  ways: Graph;
  /** Its edges, as they lie along the line. */
  segments: readonly TrackSegment[];
  /** NaN of what is not known. */
  positionAt(x: number, y: number): number;
  /** The nearest point of the track; `undefined` of what is not known. */
  nearest(x: number, y: number): TrackPoint | undefined;
}

/** An edge of a track, and where it lies on the line. */
export interface TrackSegment {
  /** Nodes, in the direction in which it lies. */
  from: number;
  to: number;
  length: number;
  start: number;
  /** First of its bins among the interior ones, and how many it has. */
  firstBin: number;
  bins: number;
  /** Which of the graph's edges it is. */
  edge: number;
}

/** A point of a track: a segment, and how far from its first node. */
export interface TrackPoint {
  segment: TrackSegment;
  along: number;
}

/** A track as places and straight ways between them. */
export interface TrackGraph {
  /** [nodes] x and y. */
  nodes: readonly (readonly number[])[];
  /** [edges] two nodes of each. */
  edges: readonly (readonly number[])[];
  /** The edges as they lie along the line, each from its first node to its second. Default: as in `edges`. */
  edgeOrder?: readonly (readonly number[])[];
  /** Length between an edge and the next one along the line: of all, or a list. Default 0. */
  edgeSpacing?: number | readonly number[];
}

export interface GridChoices extends InteriorChoices {
  binSize: number;
  /** Instead of that of the positions; those outside of it count nowhere. */
  positionRange?: PositionRange | undefined;
}

/** A larger box is a mistake in the units rather than a wish. */
const MAX_BINS = 2 ** 24;

/**
 * Lays a grid over positions: `ceil(extent / binSize)` bins along each dimension, evenly spaced over
 * the range; in two dimensions one more bin at each side, and the interior closed by a cross.
 *
 * In two dimensions a sample at the very maximum of the range counts in the trailing bin beside it, which
 * is closed over and then cleared, as the original has it: the last bin before it may stay empty.
 *
 * @param values `[samples, dimensions]` in C order, position units; samples with a NaN are left out.
 * @throws {RangeError} If the bin size is not positive, gives no bins, or gives more than 2^24.
 */
export function gridFromPosition(
  values: ArrayLike<number>,
  dimensions: 1 | 2,
  { binSize, positionRange, ...interiorChoices }: GridChoices,
): Grid {
  if (positionRange) checkRange(positionRange, dimensions);
  if (dimensions === 1 && (interiorChoices.fillHoles || interiorChoices.dilate)) {
    throw new RangeError(
      `Cannot lay a grid: ${
        interiorChoices.fillHoles ? "fillHoles" : "dilate"
      } is for two dimensions, and positions have one`,
    );
  }
  if (!(binSize > 0 && Number.isFinite(binSize))) {
    throw new RangeError(`Cannot lay a grid: the bin size is ${binSize}, wanted a positive number`);
  }
  const edges: Float64Array[] = [];
  for (let dimension = 0; dimension < dimensions; dimension++) {
    edges.push(evenEdges(values, dimensions, dimension, { binSize, positionRange }));
  }
  const shape = edges.map((edge) => edge.length - 1);
  const bins = shape.reduce((product, length) => product * length, 1);
  if (bins > MAX_BINS) {
    throw new RangeError(
      `Cannot lay a grid: a bin size of ${binSize} gives ${shape.join(" x ")} bins, at most ` +
        `${MAX_BINS} are supported; use larger bins`,
    );
  }
  const occupied = occupiedBins(values, edges, shape, positionRange);
  const interior = dimensions === 1 ? occupied : closedInterior(occupied, shape, interiorChoices);
  const interiorIndex = indexOf(interior);
  if (interiorIndex.length === 0) {
    throw new RangeError(
      `Cannot lay a grid: a bin size of ${binSize} leaves no interior bin among ` +
        `${shape.join(" x ")}; use smaller bins`,
    );
  }
  return {
    dimensions,
    binSize,
    shape,
    edges,
    centers: edges.map(centersOf),
    interior,
    interiorIndex,
  };
}

/** Share of a bin by which others may be wider or narrower: what rounding leaves of even edges. */
const EVEN_SHARE = 1e-6;

/** Edges of bins along one or two dimensions, and which of them can be reached. */
export interface GridEdges {
  /** Along each dimension, ascending at even distances, position units. */
  edges: readonly ArrayLike<number>[];
  /** A value for every bin of the box in C order, y fastest; all by default. */
  interior?: ArrayLike<number | boolean>;
}

/**
 * A grid of the caller's own.
 *
 * @throws {RangeError} If edges do not ascend evenly, there are not one or two dimensions, or the interior is
 * empty or of another size.
 */
export function gridFromEdges({ edges: given, interior: mask, ...others }: GridEdges | Grid): Grid {
  const refuse = (is: string, wanted: string): never => {
    throw new RangeError(`Cannot lay a grid: ${is}, wanted ${wanted}`);
  };
  if ("environments" in others && others.environments) {
    return refuse("it is that of several environments", "that of one of them");
  }
  if (!(isList(given) && Array.from(given).every(isList) && (mask === undefined || isList(mask)))) {
    return refuse(
      "it lacks lists",
      "{ edges, interior }: a list of edges along each dimension, and a value for each bin",
    );
  }
  const { length: dimensions } = given;
  if (dimensions !== 1 && dimensions !== 2) {
    return refuse(`edges are along ${dimensions} dimensions`, "1 or 2");
  }
  const edges = given.map((along) => Float64Array.from(along));
  edges.forEach((along, d) => {
    const bins = along.length - 1;
    const width = (along[bins]! - along[0]!) / bins;
    if (!(bins >= 1 && width > 0 && width < Infinity)) {
      refuse(`edges along dimension ${d} are [${along}]`, "at least two numbers that ascend");
    }
    along.forEach((edge, i) => {
      if (Math.abs(edge - (along[0]! + i * width)) <= EVEN_SHARE * width) return;
      refuse(
        `edge ${i} along dimension ${d} is ${edge}`,
        `bins of one width, here ${along[0]! + i * width}`,
      );
    });
  });
  const shape = edges.map((along) => along.length - 1);
  const bins = shape.reduce((product, length) => product * length, 1);
  if (bins > MAX_BINS) refuse(`edges make ${bins} bins`, `at most ${MAX_BINS}`);
  if (mask && mask.length !== bins) {
    refuse(`interior has ${mask.length} values`, `one for each of ${bins} bins`);
  }
  const interior = Uint8Array.from({ length: bins }, (_, bin) => !mask || mask[bin] ? 1 : 0);
  const interiorIndex = indexOf(interior);
  if (interiorIndex.length === 0) refuse("no bin is interior", "at least one");
  const binSize = (edges[0]!.at(-1)! - edges[0]![0]!) / shape[0]!;
  const centers = edges.map(centersOf);
  return { dimensions, binSize, shape, edges, centers, interior, interiorIndex };
}

/** What attributes say of a grid. */
export function gridFacts({ binSize, shape, track, environments }: Grid): object {
  return {
    bin_size: binSize,
    shape: [...shape],
    ...(track && { track_graph: track.graph }),
    ...(environments && {
      environments: environments.map(({ name, grid }) => ({ name, ...gridFacts(grid) })),
    }),
  };
}

/** What bins are, in numbers. */
export function gridArrays({ edges, interior, environments }: Grid): ArrayBufferView[] {
  return environments?.flatMap(({ grid }) => gridArrays(grid)) ?? [...edges, interior];
}

function checkRange(range: PositionRange, dimensions: number): void {
  if (range.length !== dimensions) {
    throw new RangeError(
      `Cannot lay a grid: positionRange has ${range.length} entries, wanted ${dimensions}, one for each ` +
        "dimension",
    );
  }
  for (const [least, largest] of range) {
    if (Number.isFinite(least) && Number.isFinite(largest) && least < largest) continue;
    throw new RangeError(
      `Cannot lay a grid: positionRange has ${least} to ${largest}, wanted finite positions that ascend`,
    );
  }
}

function indexOf(interior: Uint8Array): Uint32Array {
  return Uint32Array.from(Array.from(interior.keys()).filter((bin) => interior[bin] === 1));
}

function centersOf(edges: Float64Array): Float64Array {
  return Float64Array.from(
    { length: edges.length - 1 },
    (_, i) => (edges[i]! + edges[i + 1]!) / 2,
  );
}

function evenEdges(
  values: ArrayLike<number>,
  dimensions: number,
  dimension: number,
  { binSize, positionRange }: Pick<GridChoices, "binSize" | "positionRange">,
): Float64Array {
  let [low, high] = positionRange?.[dimension] ?? [Infinity, -Infinity];
  for (let i = 0; !positionRange && i < values.length; i += dimensions) {
    let known = true;
    for (let d = 0; d < dimensions; d++) known &&= !Number.isNaN(values[i + d]!);
    if (!known) continue;
    low = Math.min(low, values[i + dimension]!);
    high = Math.max(high, values[i + dimension]!);
  }
  if (low > high) {
    throw new RangeError(
      `Cannot lay a grid: none of ${
        values.length / dimensions
      } positions is known, wanted at least two`,
    );
  }
  const bins = Math.ceil((high - low) / binSize);
  if (!(bins >= 1)) {
    throw new RangeError(
      `Cannot lay a grid: positions span ${high - low} along dimension ${dimension}, wanted an ` +
        "extent above 0",
    );
  }
  if (bins > MAX_BINS) {
    throw new RangeError(
      `Cannot lay a grid: a bin size of ${binSize} gives ${bins} bins along dimension ` +
        `${dimension}, at most ${MAX_BINS} are supported; use larger bins`,
    );
  }
  const spacing = (high - low) / bins;
  const inner = Float64Array.from(
    { length: bins + 1 },
    (_, i) => i === bins ? high : low + i * spacing,
  );
  if (dimensions === 1) return inner;
  const width = inner[1]! - low;
  return Float64Array.of(low - width, ...inner, high + width);
}
