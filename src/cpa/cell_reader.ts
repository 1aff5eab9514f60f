/**
 * Cells read from their matrix and packed for the device, some at a time.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import { cellsAtOnce } from "../array/anndata/matrix.ts";
import type { PackedRows } from "./counts.ts";
import { packCounts, packNumbers } from "./counts.ts";
import type { ModelShape } from "./model_shape.ts";

/** Two words an entry, whatever the rows have. */
export type ReadCells = Pick<PackedRows, "starts" | "entries">;

/** Rows of the matrix that are read at once, about. */
const STEP = 256;

/** Cells that are gone through again and again before the next ones: each of them is read once. */
export const BLOCK_CELLS = 256;

export class CellReader {
  readonly #matrix: CellMatrix;
  readonly #shape: ModelShape;
  readonly #step: number;
  #block: { index: number; read: ReadCells } | undefined;

  constructor(matrix: CellMatrix, shape: ModelShape) {
    this.#matrix = matrix;
    this.#shape = shape;
    this.#step = cellsAtOnce(matrix, STEP);
  }

  /** Bytes of rows while they are read. */
  get readBytes(): number {
    return 40 * this.#shape.genes * this.#step + (this.#matrix.keptBytes ?? 0);
  }

  /** Bytes of a block that is kept. */
  get blockBytes(): number {
    return 8 * this.#shape.genes * BLOCK_CELLS;
  }

  /** @param cells Ascending. */
  async read(cells: Uint32Array, signal: AbortSignal | undefined): Promise<ReadCells> {
    const starts = new Uint32Array(cells.length + 1);
    const parts: Uint32Array[] = [];
    for (let at = 0; at < cells.length;) {
      const first = cells[at]!;
      const end = Math.min(this.#matrix.shape[0], first - first % this.#step + this.#step);
      const packed = this.#pack(await this.#matrix.rows(first, end, signal ? { signal } : {}));
      for (; at < cells.length && cells[at]! < end; at++) {
        const row = cells[at]! - first;
        const [from, to] = [packed.starts[row]!, packed.starts[row + 1]!];
        parts.push(widened(packed, from, to));
        starts[at + 1] = starts[at]! + to - from;
      }
    }
    return { starts, entries: joined(parts, 2 * starts.at(-1)!) };
  }

  /**
   * The same of rows of which each is a cell that was given one of several things: see {@link repeatedCells}.
   *
   * @param cells All of them, ascending.
   */
  async readRepeated(
    cells: Uint32Array,
    rows: readonly RepeatedCell[],
    signal: AbortSignal | undefined,
  ): Promise<ReadCells> {
    const starts = new Uint32Array(rows.length + 1);
    const parts: Uint32Array[] = [];
    for (const [i, { place }] of rows.entries()) {
      const index = Math.floor(place / BLOCK_CELLS);
      if (this.#block?.index !== index) {
        const own = cells.subarray(index * BLOCK_CELLS, (index + 1) * BLOCK_CELLS);
        this.#block = { index, read: await this.read(own, signal) };
      }
      const { read } = this.#block;
      const [from, to] = [0, 1].map((next) => read.starts[place % BLOCK_CELLS + next]!);
      parts.push(read.entries.subarray(2 * from!, 2 * to!));
      starts[i + 1] = starts[i]! + to! - from!;
    }
    return { starts, entries: joined(parts, 2 * starts.at(-1)!) };
  }

  #pack(rows: Awaited<ReturnType<CellMatrix["rows"]>>): PackedRows {
    const { genes, head } = this.#shape;
    return head === "gauss" ? packNumbers(rows) : packCounts(rows, genes);
  }
}

/** A place among cells, and which of the things that they are given. */
export interface RepeatedCell {
  place: number;
  repeat: number;
}

/** Rows from one to another, where a block of cells is given the first thing, then the next, ..., before the next block. */
export function repeatedCells(
  start: number,
  end: number,
  { cells, repeats }: { cells: number; repeats: number },
): RepeatedCell[] {
  return Array.from({ length: end - start }, (_, i) => {
    const block = Math.floor((start + i) / (BLOCK_CELLS * repeats));
    const within = start + i - block * BLOCK_CELLS * repeats;
    const size = Math.min(BLOCK_CELLS, cells - block * BLOCK_CELLS);
    return { place: block * BLOCK_CELLS + within % size, repeat: Math.floor(within / size) };
  });
}

function joined(parts: readonly Uint32Array[], length: number): Uint32Array {
  const all = new Uint32Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function widened({ form, entries }: PackedRows, from: number, to: number): Uint32Array {
  if (form !== "narrow") return entries.slice(2 * from, 2 * to);
  const wide = new Uint32Array(2 * (to - from));
  for (let entry = from, at = 0; entry < to; entry++, at += 2) {
    wide[at] = entries[entry]! & 0xffff;
    wide[at + 1] = entries[entry]! >>> 16;
  }
  return wide;
}
