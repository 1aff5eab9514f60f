/**
 * Cells that are packed and held on the host, to be read in any order, as training does: a file would inflate a
 * whole chunk for each.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import { cellsAtOnce } from "../array/anndata/matrix.ts";
import type { ReadOptions } from "../chunked_array.ts";
import { StreamDigest } from "../math/digest.ts";
import { formatBytes } from "../math/format.ts";
import type { CellTable } from "./cell_table.ts";
import { checkMatrix } from "./cell_table.ts";
import type { EntryForm, EntryNames, PackedRows } from "./counts.ts";
import { packCounts, packNumbers } from "./counts.ts";

/** Cells read at once, about: what is read has 12 bytes an entry, what is held 4. */
const STEP = 1024;

export interface HoldOptions extends ReadOptions {
  /** Whether values are counts, and have to be. */
  counts: boolean;
  /** Bytes that may be held. */
  mostBytes: number;
  names?: EntryNames;
}

export class HeldCells {
  readonly cells: number;
  readonly genes: number;
  /** Of the matrix that they were read from. */
  readonly #path: string;
  readonly places: readonly string[] | undefined;
  /** What entries are once they are gathered: narrow only if all of them are. */
  readonly form: EntryForm;
  readonly bytes: number;
  /** Numbers that are not 0. */
  readonly entries: number;
  /** [cells] f64, sums of the values of each. */
  readonly librarySizes: Float64Array;
  readonly #blocks: readonly PackedRows[];
  readonly #step: number;
  /** [cells], entries of each, the most first. */
  #sizes: Float64Array | undefined;

  private constructor(
    blocks: readonly PackedRows[],
    { path, shape: [cells, genes], places }: CellMatrix,
    step: number,
  ) {
    this.#path = path;
    this.places = places;
    this.#blocks = blocks;
    this.#step = step;
    this.cells = cells;
    this.genes = genes;
    this.form = blocks.find(({ form }) => form !== "narrow")?.form ?? "narrow";
    this.bytes = blocks.reduce((sum, block) => sum + bytesOf(block), 0);
    this.entries = blocks.reduce((sum, { starts }) => sum + starts.at(-1)!, 0);
    this.librarySizes = new Float64Array(cells);
    blocks.forEach((block, i) => this.librarySizes.set(block.librarySizes, i * step));
  }

  /**
   * Reads every cell once, in order.
   *
   * @throws {RangeError} If they take more than `mostBytes`, or a value is no count where counts are wanted.
   */
  static async read(
    matrix: CellMatrix,
    { counts, mostBytes, names, signal }: HoldOptions,
  ): Promise<HeldCells> {
    const [cells, genes] = matrix.shape;
    const step = cellsAtOnce(matrix, STEP);
    const blocks: PackedRows[] = [];
    let bytes = 0;
    for (let start = 0; start < cells; start += step) {
      const end = Math.min(cells, start + step);
      const rows = await matrix.rows(start, end, signal ? { signal } : {});
      const block = counts ? packCounts(rows, genes, names) : packNumbers(rows, names);
      blocks.push(block);
      bytes += bytesOf(block);
      if (bytes <= mostBytes) continue;
      throw new RangeError(
        `Cannot hold ${cells} cells: the first ${end} take ${formatBytes(bytes)}, wanted at most ` +
          formatBytes(mostBytes),
      );
    }
    return new HeldCells(blocks, matrix, step);
  }

  /** Entries of a cell. */
  entriesOf(cell: number): number {
    const { first, last } = this.#placeOf(cell);
    return last - first;
  }

  /** Entries of so many cells, at most. */
  mostEntries(count: number): number {
    this.#sizes ??= Float64Array.from({ length: this.cells }, (_, cell) => this.entriesOf(cell))
      .sort()
      .reverse();
    return this.#sizes.subarray(0, count).reduce((sum, size) => sum + size, 0);
  }

  /** @throws {RangeError} If they are other counts than cells were set up for. */
  checkMatrix(table: CellTable): void {
    checkMatrix(table, this.#path, "train");
  }

  /** The digest of all there is. */
  async digest(): Promise<string> {
    const digest = new StreamDigest();
    for (const { starts, entries } of this.#blocks) {
      await digest.add(starts);
      await digest.add(entries);
    }
    return await digest.finish();
  }

  /** Cells in the order in which they are asked for; one may come several times. */
  gather(cells: ArrayLike<number>): PackedRows {
    const starts = new Uint32Array(cells.length + 1);
    const librarySizes = new Float64Array(cells.length);
    for (let i = 0; i < cells.length; i++) {
      const { first, last } = this.#placeOf(cells[i]!);
      starts[i + 1] = starts[i]! + last - first;
      librarySizes[i] = this.librarySizes[cells[i]!]!;
    }
    const words = this.form === "narrow" ? 1 : 2;
    const entries = new Uint32Array(words * starts.at(-1)!);
    for (let i = 0; i < cells.length; i++) {
      const { block, first, last } = this.#placeOf(cells[i]!);
      if (block.form === this.form) {
        entries.set(block.entries.subarray(words * first, words * last), words * starts[i]!);
        continue;
      }
      for (let entry = first, at = 2 * starts[i]!; entry < last; entry++, at += 2) {
        entries[at] = block.entries[entry]! & 0xffff;
        entries[at + 1] = block.entries[entry]! >>> 16;
      }
    }
    return { form: this.form, starts, entries, librarySizes };
  }

  /** Where the entries of a cell lie. */
  #placeOf(cell: number): { block: PackedRows; first: number; last: number } {
    const block = this.#blocks[Math.floor(cell / this.#step)];
    const row = cell % this.#step;
    if (!Number.isInteger(cell) || !block || row >= block.librarySizes.length) {
      throw new RangeError(`Cannot gather cell ${cell}: there are ${this.cells} cells`);
    }
    return { block, first: block.starts[row]!, last: block.starts[row + 1]! };
  }
}

function bytesOf({ starts, entries, librarySizes }: PackedRows): number {
  // library sizes are held in one piece, too
  return starts.byteLength + entries.byteLength + 2 * librarySizes.byteLength;
}
