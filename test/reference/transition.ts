/**
 * The transition between interior bins of all discrete states, straight from its definition.
 */

import type { Grid } from "../../src/hmm/grid.ts";
import type { ContinuousTransition, StateModel } from "../../src/hmm/states.ts";

/** A matrix that can be applied to a row vector (forward) and to a column vector (backward). */
export interface Transition {
  size: number;
  /** v @ T */
  apply(v: Float64Array): Float64Array;
  /** T @ v */
  applyTranspose(v: Float64Array): Float64Array;
}

/** Entries of a row that are not zero. */
interface SparseRow {
  columns: number[];
  values: number[];
}

/**
 * Builds `T[i, j] = C[i, j] * D[state of i, state of j]` over states x interior bins. Random walks are
 * Gaussian in the distance of bin centres, each row divided by its own sum.
 *
 * @param cutSigmas Leaves out steps along any one dimension beyond so many standard deviations.
 * @param positions [samples, dimensions], for empirical blocks.
 */
export function referenceTransition(
  grid: Grid,
  model: StateModel,
  cutSigmas = Infinity,
  positions: readonly number[] = [],
): Transition {
  const bins = grid.interiorIndex.length;
  const states = model.names.length;
  const centers = interiorCenters(grid);
  const general = model.transitions.map((row) =>
    row.map((block) => generalBlock(grid, block, positions, cutSigmas))
  );
  const blockRow = (from: number, to: number, bin: number): SparseRow => {
    const block = model.transitions[from]![to]!;
    const columns: number[] = [];
    const values: number[] = [];
    for (let other = 0; other < bins; other++) {
      let value = general[from]![to]?.[bin]?.[other] ?? 0;
      if (block.kind === "uniform") value = 1;
      if (block.kind === "identity") value = other === bin ? 1 : 0;
      if (block.kind === "randomWalk") {
        const steps = centers[bin]!.map((center, d) => centers[other]![d]! - center);
        const reach = cutSigmas * Math.sqrt(block.movementVar);
        const within = steps.every((step) => Math.abs(step) <= reach * (1 + 1e-12));
        const squared = steps.reduce((sum, step) => sum + step * step, 0);
        value = within ? Math.exp(-0.5 * squared / block.movementVar) : 0;
      }
      if (value > 0) {
        columns.push(other);
        values.push(value);
      }
    }
    const sum = values.reduce((total, value) => total + value, 0);
    // a row that reaches nothing stays zero
    return { columns, values: values.map((value) => value / sum) };
  };
  const rows: SparseRow[] = [];
  for (let from = 0; from < states; from++) {
    for (let bin = 0; bin < bins; bin++) {
      const row: SparseRow = { columns: [], values: [] };
      for (let to = 0; to < states; to++) {
        const weight = model.discreteTransition[from]![to]!;
        if (weight === 0) continue;
        const block = blockRow(from, to, bin);
        for (let i = 0; i < block.columns.length; i++) {
          row.columns.push(to * bins + block.columns[i]!);
          row.values.push(weight * block.values[i]!);
        }
      }
      rows.push(row);
    }
  }
  return sparseTransition(rows);
}

function interiorCenters(grid: Grid): number[][] {
  return Array.from(grid.interiorIndex, (flat) => {
    if (grid.dimensions === 1) return [grid.centers[0]![flat]!];
    const columns = grid.shape[1]!;
    return [
      grid.centers[0]![Math.floor(flat / columns)]!,
      grid.centers[1]![flat % columns]!,
    ];
  });
}

/** Blocks that are neither random walk, uniform nor identity, as matrices; rows are not normalised. */
function generalBlock(
  grid: Grid,
  block: ContinuousTransition,
  positions: readonly number[],
  cutSigmas: number,
): number[][] | undefined {
  const centers = interiorCenters(grid);
  const each = (value: (i: number, j: number) => number) =>
    centers.map((_, i) => centers.map((_, j) => value(i, j)));
  const gaussian = (distance: number, variance: number) =>
    distance <= cutSigmas * Math.sqrt(variance) ? Math.exp(-0.5 * distance ** 2 / variance) : 0;
  switch (block.kind) {
    case "matrix":
      return each((i, j) => block.values[i * centers.length + j]!);
    case "oneWayWalk":
      return each((i, j) =>
        (block.direction === "up" ? j >= i : j <= i)
          ? gaussian(Math.abs(centers[i]![0]! - centers[j]![0]!), block.movementVar)
          : 0
      );
    case "graphWalk": {
      const distances = pathLengths(centers, grid);
      const closeness = distances.map((row) => {
        const reached = row.filter((distance) => distance < Infinity);
        const sum = reached.reduce((total, distance) => total + distance, 0);
        return sum === 0 ? 0 : (reached.length - 1) ** 2 / sum;
      });
      const centre = closeness.indexOf(Math.max(...closeness));
      const allowed = (here: number, there: number) =>
        block.direction === undefined ||
        (block.direction === "towards" ? there <= here : there >= here);
      return each((i, j) =>
        allowed(distances[centre]![i]!, distances[centre]![j]!)
          ? gaussian(distances[i]![j]!, block.movementVar)
          : 0
      );
    }
    case "empirical": {
      const { speedup = 1, timeReversed = false } = block;
      const visited: number[] = [];
      for (let i = 0; i < positions.length; i += grid.dimensions) {
        const along = grid.edges.map((edges, d) =>
          edges.findLastIndex((edge) => edge <= positions[i + d]!)
        );
        const flat = grid.dimensions === 1 ? along[0]! : along[0]! * grid.shape[1]! + along[1]!;
        visited.push(grid.interiorIndex.indexOf(flat));
      }
      const counts = each(() => 0);
      visited.slice(1).forEach((to, i) => {
        const [a, b] = timeReversed ? [to, visited[i]!] : [visited[i]!, to];
        counts[a]![b]!++;
      });
      const once = counts.map((row) => {
        const sum = row.reduce((total, count) => total + count, 0);
        return row.map((count) => sum > 0 ? count / sum : 0);
      });
      let power = once;
      for (let step = 1; step < speedup; step++) {
        power = power.map((row) =>
          row.map((_, j) => row.reduce((sum, value, k) => sum + value * once[k]![j]!, 0))
        );
      }
      return power;
    }
    default:
      return undefined;
  }
}

/** Lengths of all shortest ways between neighbouring bins, by Floyd and Warshall. */
function pathLengths(centers: number[][], grid: Grid): number[][] {
  const spacing = grid.centers.map((center) => center.length > 1 ? center[1]! - center[0]! : 1);
  const lengths = centers.map((a) =>
    centers.map((b) => {
      const steps = a.map((value, d) => Math.round(Math.abs(value - b[d]!) / spacing[d]!));
      if (steps.some((step) => step > 1)) return Infinity;
      return Math.hypot(...a.map((value, d) => value - b[d]!));
    })
  );
  for (let via = 0; via < lengths.length; via++) {
    for (const row of lengths) {
      row.forEach((direct, to) => row[to] = Math.min(direct, row[via]! + lengths[via]![to]!));
    }
  }
  return lengths;
}

/** A dense matrix [size, size] as a {@link Transition}. */
export function matrixTransition(matrix: readonly (readonly number[])[]): Transition {
  return sparseTransition(
    matrix.map((row) => ({ columns: row.map((_, column) => column), values: [...row] })),
  );
}

function sparseTransition(rows: readonly SparseRow[]): Transition {
  const size = rows.length;
  const starts = new Uint32Array(size + 1);
  rows.forEach(({ columns }, row) => starts[row + 1] = starts[row]! + columns.length);
  const columns = Uint32Array.from(rows.flatMap((row) => row.columns));
  const values = Float64Array.from(rows.flatMap((row) => row.values));
  return {
    size,
    apply(v) {
      const out = new Float64Array(size);
      for (let row = 0; row < size; row++) {
        const weight = v[row]!;
        for (let i = starts[row]!; i < starts[row + 1]!; i++) {
          out[columns[i]!]! += weight * values[i]!;
        }
      }
      return out;
    },
    applyTranspose(v) {
      const out = new Float64Array(size);
      for (let row = 0; row < size; row++) {
        let sum = 0;
        for (let i = starts[row]!; i < starts[row + 1]!; i++) sum += values[i]! * v[columns[i]!]!;
        out[row] = sum;
      }
      return out;
    },
  };
}

/** Nats that are applied at a time: f64 ends at e^-745. */
const RUN_NATS = 300;

/** A linear map of numbers, on natural logarithms of any size; -Infinity is 0. */
export function applyLog(
  apply: (v: Float64Array) => Float64Array,
  logs: Float64Array,
): Float64Array {
  const result = new Float64Array(logs.length).fill(-Infinity);
  for (let below = Infinity;;) {
    const highest = logs.reduce((most, log) => log < below ? Math.max(most, log) : most, -Infinity);
    if (highest === -Infinity) return result;
    const lowest = highest - RUN_NATS;
    const run = logs.map((log) => log < below && log >= lowest ? Math.exp(log - highest) : 0);
    apply(run).forEach((value, i) => {
      if (value === 0) return;
      const own = Math.log(value) + highest;
      const [more, less] = [Math.max(own, result[i]!), Math.min(own, result[i]!)];
      result[i] = more + Math.log1p(Math.exp(less - more));
    });
    below = lowest;
  }
}
