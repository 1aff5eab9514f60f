/**
 * A transition as the 4 x 4 tiles of its matrix that are not zero, and the lists of them that
 * `multiply_sparse` reads.
 *
 * @module
 */

import { SPARSE_SLICE, SPARSE_TILE } from "../../kernels/multiply_sparse.ts";
import type {
  GeneralTransition,
  GeneralTransitionOptions,
  TransitionRow,
} from "./general_transition.ts";
import { generalTransition } from "./general_transition.ts";
import type { Grid } from "../grid.ts";
import type { StateModel } from "../states.ts";

/** Which tiles make which results, as the kernel takes it. */
export interface TileLists {
  /** [ceil(quads / 32) + 1] first entry of each slice of 32 quads. */
  slices: Uint32Array<ArrayBuffer>;
  /** [entries, 2] quad of the vector and number of the tile; interleaved within a slice. */
  entries: Uint32Array<ArrayBuffer>;
}

/** A matrix in tiles, with lists for both directions. */
export interface SparseTiles {
  /** [tiles, 4, 4] f32; the first is zero. */
  tiles: Float32Array<ArrayBuffer>;
  /** For v @ T: by columns of T. */
  forward: TileLists;
  /** For T @ v: by rows of T. */
  transposed: TileLists;
  /** Entries of T that are not zero. */
  nonZeros: number;
  /** Multiply-adds of one application, zeros in tiles included; the larger of both directions. */
  multiplyAdds: number;
}

/** T less what is spread, in tiles. */
export interface SparseTransition extends GeneralTransition, SparseTiles {}

/**
 * Builds the tiles of `model` on `grid`.
 *
 * @throws {RangeError} If a block cannot be built on this grid; see {@link blockRows}.
 */
export function sparseTransition(
  grid: Grid,
  model: StateModel,
  options: GeneralTransitionOptions = {},
): SparseTransition {
  const general = generalTransition(grid, model, options);
  return { ...general, ...sparseTiles(general.bins, general.bins, general.row) };
}

/** Gathers the tiles of a matrix from its rows; entries that are zero in f32 are dropped. */
export function sparseTiles(
  rows: number,
  columns: number,
  rowAt: (row: number) => TransitionRow,
): SparseTiles {
  const byRow: TileEntry[][] = Array.from({ length: Math.ceil(rows / SPARSE_TILE) }, () => []);
  const byColumn: TileEntry[][] = Array.from(
    { length: Math.ceil(columns / SPARSE_TILE) },
    () => [],
  );
  const perTile = SPARSE_TILE * SPARSE_TILE;
  const strips: Float32Array[] = [new Float32Array(perTile)];
  let count = 1;
  let nonZeros = 0;
  byRow.forEach((own, quad) => {
    const first = quad * SPARSE_TILE;
    const strip = Array.from(
      { length: Math.min(SPARSE_TILE, rows - first) },
      (_, i) => rowAt(first + i),
    );
    const numbers = new Map<number, number>();
    for (const { bins, values } of strip) {
      bins.forEach((bin, i) => values[i] !== 0 && numbers.set(Math.floor(bin / SPARSE_TILE), 0));
    }
    const used = [...numbers.keys()].sort((a, b) => a - b);
    used.forEach((other, i) => {
      numbers.set(other, i);
      own.push({ quad: other, tile: count + i });
      byColumn[other]!.push({ quad, tile: count + i });
    });
    const made = new Float32Array(perTile * used.length);
    strip.forEach(({ bins, values }, row) =>
      bins.forEach((bin, i) => {
        if (values[i] === 0) return;
        const tile = numbers.get(Math.floor(bin / SPARSE_TILE))!;
        made[perTile * tile + SPARSE_TILE * row + bin % SPARSE_TILE] = values[i]!;
        nonZeros++;
      })
    );
    strips.push(made);
    count += used.length;
  });
  const tiles = new Float32Array(perTile * count);
  let at = 0;
  for (const strip of strips) {
    tiles.set(strip, at);
    at += strip.length;
  }
  const forward = tileLists(byColumn);
  const transposed = tileLists(byRow);
  const entries = Math.max(forward.slices.at(-1)!, transposed.slices.at(-1)!);
  return { tiles, forward, transposed, nonZeros, multiplyAdds: perTile * entries };
}

/** The count of {@link SparseTiles.multiplyAdds}, without making the tiles. */
export function sparseMultiplyAdds(
  rows: number,
  columns: number,
  rowAt: (row: number) => TransitionRow,
): number {
  const byRow: number[] = [];
  const byColumn = new Array<number>(Math.ceil(columns / SPARSE_TILE)).fill(0);
  for (let first = 0; first < rows; first += SPARSE_TILE) {
    const used = new Set<number>();
    for (let row = first; row < Math.min(rows, first + SPARSE_TILE); row++) {
      const { bins, values } = rowAt(row);
      bins.forEach((bin, i) => values[i] !== 0 && used.add(Math.floor(bin / SPARSE_TILE)));
    }
    byRow.push(used.size);
    for (const other of used) byColumn[other]!++;
  }
  const entries = Math.max(sliceStarts(byColumn).at(-1)!, sliceStarts(byRow).at(-1)!);
  return SPARSE_TILE * SPARSE_TILE * entries;
}

interface TileEntry {
  quad: number;
  tile: number;
}

/** Where slices of 32 lists start, each as long as the longest of them; then the end. */
function sliceStarts(lengths: readonly number[]): Uint32Array<ArrayBuffer> {
  const starts = new Uint32Array(Math.ceil(lengths.length / SPARSE_SLICE) + 1);
  for (let slice = 0; slice < starts.length - 1; slice++) {
    const longest = Math.max(...lengths.slice(slice * SPARSE_SLICE, (slice + 1) * SPARSE_SLICE));
    starts[slice + 1] = starts[slice]! + SPARSE_SLICE * longest;
  }
  return starts;
}

/** Interleaves lists, a slice at a time. */
function tileLists(lists: readonly (readonly TileEntry[])[]): TileLists {
  const slices = sliceStarts(lists.map((list) => list.length));
  // a binding cannot be empty; entries that are left at 0 are the zero tile
  const entries = new Uint32Array(Math.max(2, 2 * slices.at(-1)!));
  lists.forEach((list, quad) => {
    const first = slices[Math.floor(quad / SPARSE_SLICE)]! + quad % SPARSE_SLICE;
    list.forEach((entry, i) => {
      entries.set([entry.quad, entry.tile], 2 * (first + SPARSE_SLICE * i));
    });
  });
  return { slices, entries };
}
