/**
 * Transitions between the bins of two discrete states, row by row, in f64: every kind of block from
 * its definition, as the bins that a row reaches and their probabilities.
 *
 * Source of the kinds: non_local_detector (`continuous_state_transitions`), after Denovellis et al.
 * 2021. A row is masked to the interior and divided by its own sum; a row that reaches nothing stays
 * zero.
 *
 * @module
 */

import type { Graph, Grid } from "../grid.ts";
import { binOf, gridOfEnvironment } from "../grid.ts";
import { interiorBins, interiorGraph, shortestPaths } from "../grid_graph.ts";
import type { ContinuousTransition, StateModel } from "../states.ts";
import { CUT_SIGMAS, gaussianTaps } from "./transition.ts";

/** Entries of a row that are not zero, by interior bin, ascending. */
export interface BlockRow {
  bins: ArrayLike<number>;
  /** p(bin | the row's bin); they sum to 1. */
  values: ArrayLike<number>;
}

/** Rows of a block, by interior bin. */
export type BlockRows = (bin: number) => BlockRow;

/** What some kinds of block are made from. */
export interface BlockSources {
  /** Positions in time order, [samples, dimensions] in C order; wanted by `empirical`. */
  positions?: ArrayLike<number>;
}

/** The rows of every block, [from][to]; equal blocks share theirs. */
export function transitionBlocks(
  grid: Grid,
  model: StateModel,
  sources: BlockSources = {},
): BlockRows[][] {
  const made = new Map<string, BlockRows>();
  return model.transitions.map((row) =>
    row.map((block, to) => {
      const environment = model.environments?.[to];
      const own = gridOfEnvironment(grid, environment);
      if (block.kind === "matrix") return matrixRows(own, block.values);
      if (block.kind === "empirical" && grid.environments) {
        throw new RangeError(
          "Cannot build an empirical transition: there are several environments, and positions do not tell them " +
            "apart, wanted one",
        );
      }
      const key = JSON.stringify([block, environment]);
      const rows = made.get(key) ?? blockRows(own, block, sources);
      made.set(key, rows);
      return rows;
    })
  );
}

/**
 * The rows of one block.
 *
 * @throws {RangeError} If a matrix is not [interior, interior], a one-way walk is on a grid of two
 * dimensions, or `empirical` has no positions.
 */
export function blockRows(
  grid: Grid,
  block: ContinuousTransition,
  { positions }: BlockSources = {},
): BlockRows {
  switch (block.kind) {
    case "uniform":
      return uniformRows(grid);
    case "identity":
      return (bin) => ({ bins: [bin], values: [1] });
    case "randomWalk":
      return randomWalkRows(grid, block.movementVar);
    case "oneWayWalk":
      return oneWayRows(grid, block);
    case "graphWalk":
      return graphWalkRows(grid, block);
    case "empirical":
      if (!positions) {
        throw new RangeError(
          "Cannot build an empirical transition: there are no positions, wanted those of the animal",
        );
      }
      return empiricalRows(grid, positions, block);
    case "matrix":
      return matrixRows(grid, block.values);
  }
}

function uniformRows(grid: Grid): BlockRows {
  const { length } = grid.interiorIndex;
  const bins = Uint32Array.from({ length }, (_, bin) => bin);
  const values = new Float64Array(length).fill(1 / length);
  return () => ({ bins, values });
}

/** With the very taps of the convolution that {@link transitionOperator} makes of it. */
function randomWalkRows(grid: Grid, variance: number): BlockRows {
  // along a track steps go by its ways
  if (grid.track) return graphWalkRows(grid, { kind: "graphWalk", movementVar: variance });
  const flat = grid.dimensions === 1;
  const rows = flat ? 1 : grid.shape[0]!;
  const columns = grid.shape[flat ? 0 : 1]!;
  const spacing = grid.edges.map((edges, i) => (edges.at(-1)! - edges[0]!) / grid.shape[i]!);
  const tapsX = flat ? Float64Array.of(1) : gaussianTaps(variance, spacing[0]!, rows);
  const tapsY = gaussianTaps(variance, spacing[flat ? 0 : 1]!, columns);
  const binAt = interiorBins(grid);
  return (bin) => {
    const place = grid.interiorIndex[bin]!;
    const [row, column] = [Math.floor(place / columns), place % columns];
    const bins: number[] = [];
    const values: number[] = [];
    const endX = Math.min(rows, row + tapsX.length);
    const endY = Math.min(columns, column + tapsY.length);
    for (let x = Math.max(0, row - tapsX.length + 1); x < endX; x++) {
      for (let y = Math.max(0, column - tapsY.length + 1); y < endY; y++) {
        const other = binAt[x * columns + y]!;
        if (other < 0) continue;
        const value = tapsX[Math.abs(x - row)]! * tapsY[Math.abs(y - column)]!;
        if (value === 0) continue;
        bins.push(other);
        values.push(value);
      }
    }
    return normalised(bins, values);
  };
}

/** A random walk that never goes to a lower bin, or never to a higher one. */
function oneWayRows(
  grid: Grid,
  { movementVar, direction }: Extract<ContinuousTransition, { kind: "oneWayWalk" }>,
): BlockRows {
  if (grid.dimensions !== 1) {
    throw new RangeError(
      `Cannot build a one-way walk: the grid is ${grid.shape.join(" x ")} bins, wanted one ` +
        "dimension; use a graphWalk towards or away from the centre",
    );
  }
  const walk = randomWalkRows(grid, movementVar);
  return (bin) => filtered(walk(bin), (other) => direction === "up" ? other >= bin : other <= bin);
}

/**
 * Gaussian density of the shortest way through the interior, from bin centre to neighbouring bin
 * centre, 8 neighbours in two dimensions; cut at 8 standard deviations. Towards or away from the
 * bin with the highest closeness, steps that keep the distance to it included.
 */
function graphWalkRows(
  grid: Grid,
  { movementVar, direction }: Extract<ContinuousTransition, { kind: "graphWalk" }>,
): BlockRows {
  const graph = interiorGraph(grid);
  const reach = CUT_SIGMAS * Math.sqrt(movementVar);
  const fromCentre = direction && centreDistances(grid, graph);
  return (bin) => {
    const distances = shortestPaths(graph, bin, reach);
    const bins: number[] = [];
    const values: number[] = [];
    distances.forEach((distance, other) => {
      if (distance > reach) return;
      if (fromCentre) {
        const [here, there] = [fromCentre[bin]!, fromCentre[other]!];
        if (direction === "towards" ? there > here : there < here) return;
      }
      bins.push(other);
      values.push(Math.exp(-0.5 * distance * distance / movementVar));
    });
    return normalised(bins, values);
  };
}

/**
 * Where the animal went from each bin within one sample, `speedup` times over. Bins it never left
 * for another sample have no row.
 */
function empiricalRows(
  grid: Grid,
  positions: ArrayLike<number>,
  { speedup = 1, timeReversed = false }: Extract<ContinuousTransition, { kind: "empirical" }>,
): BlockRows {
  const bins = grid.interiorIndex.length;
  const binAt = interiorBins(grid);
  const counts = Array.from({ length: bins }, () => new Map<number, number>());
  let before = -1;
  for (let i = 0; i < positions.length; i += grid.dimensions) {
    let place = 0;
    let inside = true;
    for (let d = 0; d < grid.dimensions; d++) {
      const along = binOf(grid.edges[d]!, positions[i + d]!);
      inside &&= along >= 0;
      place = place * grid.shape[d]! + along;
    }
    const bin = inside ? binAt[place]! : -1;
    if (before >= 0 && bin >= 0) {
      const [from, to] = timeReversed ? [bin, before] : [before, bin];
      counts[from]!.set(to, (counts[from]!.get(to) ?? 0) + 1);
    }
    before = bin;
  }
  const once = counts.map((row) => {
    const visited = [...row.keys()].sort((a, b) => a - b);
    return normalised(visited, visited.map((bin) => row.get(bin)!));
  });
  return (bin) => {
    let row = once[bin]!;
    for (let step = 1; step < speedup; step++) row = advance(row, once, bins);
    return row;
  };
}

/** A row times a matrix. */
function advance(row: BlockRow, matrix: readonly BlockRow[], size: number): BlockRow {
  const sums = new Float64Array(size);
  for (let i = 0; i < row.bins.length; i++) {
    const { bins, values } = matrix[row.bins[i]!]!;
    for (let k = 0; k < bins.length; k++) sums[bins[k]!]! += row.values[i]! * values[k]!;
  }
  return nonZeros(sums);
}

function matrixRows(grid: Grid, values: ArrayLike<number>): BlockRows {
  const { length } = grid.interiorIndex;
  if (values.length !== length * length) {
    throw new RangeError(
      `Cannot use a transition matrix: it has ${values.length} entries, wanted ${length} x ` +
        `${length} for the interior bins of the grid`,
    );
  }
  return (bin) => {
    const row = Float64Array.from({ length }, (_, other) => values[bin * length + other]!);
    const { bins, values: kept } = nonZeros(row);
    return normalised(bins, kept);
  };
}

function nonZeros(row: Float64Array): BlockRow {
  const bins: number[] = [];
  row.forEach((value, bin) => value !== 0 && bins.push(bin));
  return { bins, values: bins.map((bin) => row[bin]!) };
}

function filtered({ bins, values }: BlockRow, keep: (bin: number) => boolean): BlockRow {
  const kept = Array.from(bins).flatMap((bin, i) => keep(bin) ? [i] : []);
  return normalised(kept.map((i) => bins[i]!), kept.map((i) => values[i]!));
}

function normalised(bins: ArrayLike<number>, values: ArrayLike<number>): BlockRow {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return { bins, values: Float64Array.from(values, (value) => value / sum) };
}

// seconds of work for 5,000 bins, and wanted by who counts an operator's cost and by who builds it
const centres = new WeakMap<Grid, Float64Array>();

/** How far every bin is from the most central one. */
function centreDistances(grid: Grid, graph: Graph): Float64Array {
  const distances = centres.get(grid) ?? shortestPaths(graph, mostCentralBin(graph), Infinity);
  centres.set(grid, distances);
  return distances;
}

/** The bin with the highest closeness; scaled by what it can reach, where the interior has parts. */
function mostCentralBin(graph: Graph): number {
  let best = 0;
  let highest = -1;
  for (let bin = 0; bin < graph.length; bin++) {
    let reached = 0;
    let sum = 0;
    for (const distance of shortestPaths(graph, bin, Infinity)) {
      if (distance === Infinity) continue;
      reached++;
      sum += distance;
    }
    const closeness = sum === 0 ? 0 : (reached - 1) ** 2 / sum;
    if (closeness > highest) [best, highest] = [bin, closeness];
  }
  return best;
}
