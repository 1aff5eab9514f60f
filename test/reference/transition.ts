/**
 * The transition between interior bins of all discrete states, straight from its definition.
 */

import type { Grid } from "../../src/hmm/grid.ts";
import type { StateModel } from "../../src/hmm/states.ts";

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
 */
export function referenceTransition(
  grid: Grid,
  model: StateModel,
  cutSigmas = Infinity,
): Transition {
  const bins = grid.interiorIndex.length;
  const states = model.names.length;
  const centers = Array.from(grid.interiorIndex, (flat) => {
    if (grid.dimensions === 1) return [grid.centers[0]![flat]!];
    const columns = grid.shape[1]!;
    return [
      grid.centers[0]![Math.floor(flat / columns)]!,
      grid.centers[1]![flat % columns]!,
    ];
  });
  const blockRow = (from: number, to: number, bin: number): SparseRow => {
    const block = model.transitions[from]![to]!;
    const columns: number[] = [];
    const values: number[] = [];
    for (let other = 0; other < bins; other++) {
      let value = 0;
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
