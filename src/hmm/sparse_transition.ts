/**
 * A transition as lists of entries, in the slices that `multiply_sparse` reads.
 *
 * @module
 */

import { SPARSE_SLICE } from "../kernels/multiply_sparse.ts";
import type { GeneralTransition, GeneralTransitionOptions } from "./general_transition.ts";
import { generalTransition } from "./general_transition.ts";
import type { Grid } from "./grid.ts";
import type { StateModel } from "./states.ts";

/** What rows gather, as the kernel takes it. */
export interface SparseLists {
  /** [ceil(bins / 32) + 1] first entry of each slice of 32 rows. */
  slices: Uint32Array<ArrayBuffer>;
  /** [entries, 2] index and bits of the f32 value; interleaved within a slice, padded with zeros. */
  entries: Uint32Array<ArrayBuffer>;
}

/** Both directions of T, less what is spread. */
export interface SparseTransition extends GeneralTransition {
  /** For v @ T: the columns of T. */
  forward: SparseLists;
  /** For T @ v: the rows of T. */
  transposed: SparseLists;
  /** Entries that are not padding. */
  nonZeros: number;
  /** Multiply-adds of one application, padding included; the larger of the two directions. */
  multiplyAdds: number;
}

/**
 * Builds the lists of `model` on `grid`. Entries that are zero in f32 are dropped.
 *
 * @throws {RangeError} If a block cannot be built on this grid; see {@link blockRows}.
 */
export function sparseTransition(
  grid: Grid,
  model: StateModel,
  options: GeneralTransitionOptions = {},
): SparseTransition {
  const general = generalTransition(grid, model, options);
  const { bins } = general;
  const starts = new Uint32Array(bins + 1);
  const columnStarts = new Uint32Array(bins + 1);
  const rows: { bins: Uint32Array; values: Float32Array }[] = [];
  for (let bin = 0; bin < bins; bin++) {
    const row = general.row(bin);
    const kept = Array.from(row.values.keys()).filter((i) => row.values[i] !== 0);
    rows.push({
      bins: Uint32Array.from(kept, (i) => row.bins[i]!),
      values: Float32Array.from(kept, (i) => row.values[i]!),
    });
    starts[bin + 1] = starts[bin]! + kept.length;
    for (const i of kept) columnStarts[row.bins[i]! + 1]!++;
  }
  for (let bin = 0; bin < bins; bin++) columnStarts[bin + 1]! += columnStarts[bin]!;
  const nonZeros = starts[bins]!;
  const indices = new Uint32Array(nonZeros);
  const values = new Float32Array(nonZeros);
  const columnIndices = new Uint32Array(nonZeros);
  const columnValues = new Float32Array(nonZeros);
  const next = columnStarts.slice();
  rows.forEach((row, bin) => {
    indices.set(row.bins, starts[bin]!);
    values.set(row.values, starts[bin]!);
    row.bins.forEach((column, i) => {
      const at = next[column]!++;
      columnIndices[at] = bin;
      columnValues[at] = row.values[i]!;
    });
  });
  const transposed = sliceRows(starts, indices, values);
  const forward = sliceRows(columnStarts, columnIndices, columnValues);
  return {
    ...general,
    forward,
    transposed,
    nonZeros,
    multiplyAdds: Math.max(forward.entries.length, transposed.entries.length) / 2,
  };
}

/** Interleaves compressed rows, 32 at a time, each as long as the longest of them. */
export function sliceRows(
  starts: Uint32Array,
  indices: Uint32Array,
  values: Float32Array,
): SparseLists {
  const rows = starts.length - 1;
  const slices = new Uint32Array(Math.ceil(rows / SPARSE_SLICE) + 1);
  for (let slice = 0; slice < slices.length - 1; slice++) {
    let longest = 0;
    const end = Math.min(rows, (slice + 1) * SPARSE_SLICE);
    for (let row = slice * SPARSE_SLICE; row < end; row++) {
      longest = Math.max(longest, starts[row + 1]! - starts[row]!);
    }
    slices[slice + 1] = slices[slice]! + SPARSE_SLICE * longest;
  }
  // a binding cannot be empty
  const entries = new Uint32Array(Math.max(2, 2 * slices.at(-1)!));
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let row = 0; row < rows; row++) {
    const first = slices[Math.floor(row / SPARSE_SLICE)]! + row % SPARSE_SLICE;
    for (let i = starts[row]!; i < starts[row + 1]!; i++) {
      const at = first + SPARSE_SLICE * (i - starts[row]!);
      entries[2 * at] = indices[i]!;
      entries[2 * at + 1] = bits[i]!;
    }
  }
  return { slices, entries };
}
