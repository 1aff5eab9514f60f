/**
 * Rows that are mostly zero, as the entries that are not.
 *
 * @module
 */

import type { ReadOptions } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import type { DataType } from "../../types.ts";

/** Some rows of a matrix of cells by genes. */
export interface RowEntries {
  /** Cells [start, end). */
  start: number;
  end: number;
  /** [cells + 1]: first entry of each cell, and the end of the last. */
  starts: Uint32Array;
  /** [entries], ascending within a cell. */
  genes: Uint32Array;
  /** [entries] finite, as they are stored. */
  values: Float64Array;
  /** Below it no whole number was rounded when it was stored: 2^11 of halves, 2^24 of f32. */
  wholeBelow: number;
}

/** Of each float, where whole numbers begin to be left out. */
const WHOLE_BITS: Record<string, number> = { float16: 11, float32: 24 };

/** A matrix of cells by genes. */
export interface CellMatrix {
  readonly path: string;
  /** [cells, genes]. */
  readonly shape: readonly [cells: number, genes: number];
  readonly layout: "dense" | "csr" | "csc";
  /** Cells that are best read together, where nothing is kept between two reads. */
  readonly chunkRows: number;
  /**
   * Bytes of chunks, and of rows that were collected, that are held at most: cells that come one after the other are read once then,
   * however few at a time. Absent where nothing is kept between two reads.
   */
  readonly keptBytes?: number;
  /** As those of arrays. */
  readonly places?: readonly string[] | undefined;
  /**
   * Cells [start, end), each with its genes that are not zero, in ascending order. Entries that are out of
   * order are sorted, and entries of one gene added up, as scipy does.
   *
   * @throws {RangeError} If there are no such cells.
   * @throws {ChunkError} If what is stored is damaged, or a value is no finite number; names cell and gene.
   */
  rows(start: number, end: number, options?: ReadOptions): Promise<RowEntries>;
}

/** Cells that are read at once, about `least`: whole chunks, unless these are kept. */
export function cellsAtOnce({ chunkRows, keptBytes }: CellMatrix, least: number): number {
  return keptBytes === undefined ? Math.ceil(least / chunkRows) * chunkRows : least;
}

/** Collects rows, and checks their entries. */
export class EntryRows {
  readonly #path: string;
  readonly #start: number;
  readonly #genes: number;
  readonly #starts: number[] = [0];
  #count = 0;
  #indices = new Uint32Array(1024);
  #values = new Float64Array(1024);

  readonly #wholeBelow: number;

  /** @param dtype Of the values. */
  constructor(
    path: string,
    { start, genes, dtype }: { start: number; genes: number; dtype: DataType },
  ) {
    this.#wholeBelow = 2 ** (WHOLE_BITS[dtype] ?? 53);
    this.#path = path;
    this.#start = start;
    this.#genes = genes;
  }

  /** The next row; its entries may be in any order, and of one gene several. */
  add(indices: ArrayLike<number>, values: ArrayLike<number>): void {
    const row = this.#starts.length - 1;
    this.#reserve(indices.length);
    const first = this.#count;
    let sorted = true;
    for (let i = 0; i < indices.length; i++) {
      const [gene, value] = [indices[i]!, values[i]!];
      if (!(gene >= 0 && gene < this.#genes)) {
        throw this.#refuse(row, `has an entry of gene ${gene}, and there are ${this.#genes} genes`);
      }
      if (!Number.isFinite(value)) {
        throw this.#refuse(row, `has ${value} of gene ${gene}, wanted finite numbers`);
      }
      sorted &&= i === 0 || gene > indices[i - 1]!;
      this.#indices[first + i] = gene;
      this.#values[first + i] = value;
    }
    this.#count += sorted ? indices.length : this.#sort(first, first + indices.length);
    this.#starts.push(this.#count);
  }

  finish(): RowEntries {
    return {
      start: this.#start,
      end: this.#start + this.#starts.length - 1,
      starts: Uint32Array.from(this.#starts),
      genes: this.#indices.slice(0, this.#count),
      values: this.#values.slice(0, this.#count),
      wholeBelow: this.#wholeBelow,
    };
  }

  /** Puts entries in order and adds up those of one gene. Returns how many are left. */
  #sort(first: number, end: number): number {
    const order = Uint32Array.from({ length: end - first }, (_, i) => first + i);
    // of one gene in the order of the file: sums of floats depend on it
    order.sort((a, b) => this.#indices[a]! - this.#indices[b]! || a - b);
    const indices = Uint32Array.from(order, (place) => this.#indices[place]!);
    const values = Float64Array.from(order, (place) => this.#values[place]!);
    let count = 0;
    indices.forEach((gene, i) => {
      if (i > 0 && gene === indices[i - 1]) this.#values[first + count - 1]! += values[i]!;
      else {
        this.#indices[first + count] = gene;
        this.#values[first + count] = values[i]!;
        count++;
      }
    });
    return count;
  }

  #reserve(more: number): void {
    if (this.#count + more <= this.#indices.length) return;
    const length = Math.max(this.#count + more, 2 * this.#indices.length);
    const [indices, values] = [new Uint32Array(length), new Float64Array(length)];
    indices.set(this.#indices.subarray(0, this.#count));
    values.set(this.#values.subarray(0, this.#count));
    [this.#indices, this.#values] = [indices, values];
  }

  #refuse(row: number, reason: string): ChunkError {
    return new ChunkError(
      `Cannot read "${this.#path}": cell ${this.#start + row} ${reason}`,
      this.#path,
    );
  }
}
