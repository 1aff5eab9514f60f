/**
 * Entries of rows as the device takes them: counts of 16 bits beside the gene in one word where both fit, else
 * in two words. Counts are never halves: f16 has no whole numbers above 2,048.
 *
 * @module
 */

import type { RowEntries } from "../array/anndata/matrix.ts";
import type { ENTRY_FORMS } from "../kernels/densify_rows.ts";

/** What an entry is made of. */
export type EntryForm = typeof ENTRY_FORMS[number];

/** Rows that are ready to be made dense. */
export interface PackedRows {
  form: EntryForm;
  /** [cells + 1] u32: first entry of each cell, and the end of the last. */
  starts: Uint32Array;
  /** [entries] u32, twice as many where an entry is not narrow. */
  entries: Uint32Array;
  /** [cells] f64: sum of the values of each cell. */
  librarySizes: Float64Array;
}

/** Who is meant by numbers, for messages. */
export interface EntryNames {
  cell(cell: number): string;
  gene(gene: number): string;
}

const MOST_NARROW = 2 ** 16;

/**
 * Looks at every value.
 *
 * @returns The largest.
 * @throws {RangeError} At the first that is no count, or that may have been rounded when it was stored; names cell,
 * gene and value.
 */
export function checkCounts(rows: RowEntries, names?: EntryNames): number {
  const most = Math.min(rows.wholeBelow, 2 ** 32 - 1);
  let largest = 0;
  rows.values.forEach((value, i) => {
    if (!(Number.isInteger(value) && value >= 0 && value <= most)) throw notCount(rows, i, names);
    largest = Math.max(largest, value);
  });
  return largest;
}

/**
 * Packs counts.
 *
 * @throws {RangeError} As {@link checkCounts}.
 */
export function packCounts(rows: RowEntries, genes: number, names?: EntryNames): PackedRows {
  const { starts, genes: indices, values } = rows;
  const largest = checkCounts(rows, names);
  const librarySizes = sumRows(rows);
  if (genes <= MOST_NARROW && largest < MOST_NARROW) {
    const entries = new Uint32Array(values.length);
    for (let i = 0; i < entries.length; i++) entries[i] = (indices[i]! | values[i]! << 16) >>> 0;
    return { form: "narrow", starts, entries, librarySizes };
  }
  const entries = new Uint32Array(2 * values.length);
  for (let i = 0; i < values.length; i++) {
    entries[2 * i] = indices[i]!;
    entries[2 * i + 1] = values[i]!;
  }
  return { form: "wide", starts, entries, librarySizes };
}

/**
 * Packs numbers of any kind, rounded to f32, which Gaussian models take.
 *
 * @throws {RangeError} If one is beyond f32.
 */
export function packNumbers(rows: RowEntries, names?: EntryNames): PackedRows {
  const { starts, genes, values } = rows;
  const entries = new Uint32Array(2 * values.length);
  const floats = new Float32Array(entries.buffer);
  for (let i = 0; i < values.length; i++) {
    entries[2 * i] = genes[i]!;
    floats[2 * i + 1] = values[i]!;
    if (!Number.isFinite(floats[2 * i + 1])) {
      const { cell, gene } = placeOf(rows, i, names);
      throw new RangeError(`Cannot take values: ${cell} has ${values[i]} of ${gene}, wanted f32`);
    }
  }
  return { form: "float", starts, entries, librarySizes: sumRows(rows) };
}

function sumRows({ starts, values }: RowEntries): Float64Array {
  return Float64Array.from({ length: starts.length - 1 }, (_, row) => {
    let sum = 0;
    for (let i = starts[row]!; i < starts[row + 1]!; i++) sum += values[i]!;
    return sum;
  });
}

function placeOf(rows: RowEntries, entry: number, names?: EntryNames) {
  const cell = rows.start + rows.starts.findIndex((start) => start > entry) - 1;
  const gene = rows.genes[entry]!;
  return {
    cell: `cell ${cell}${names ? ` ("${names.cell(cell)}")` : ""}`,
    gene: `gene ${gene}${names ? ` ("${names.gene(gene)}")` : ""}`,
  };
}

function notCount(rows: RowEntries, entry: number, names?: EntryNames): RangeError {
  const { cell, gene } = placeOf(rows, entry, names);
  const value = rows.values[entry]!;
  const has = `Cannot take counts: ${cell} has ${value} of ${gene}`;
  return new RangeError(
    value > rows.wholeBelow
      ? `${has}, where what is stored has whole numbers to ${rows.wholeBelow} alone (store counts in 32 bits)`
      : `${has}, wanted whole numbers from 0 below 2^32 (raw counts may lie in a layer, or a Gaussian ` +
        "model takes any numbers)",
  );
}
