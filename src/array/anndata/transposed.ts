/**
 * Rows of a matrix that is stored by columns (CSC). As many rows as memory allows are collected in one pass
 * over all columns, and kept until others are asked for.
 *
 * @module
 */

import type { ReadOptions } from "../../chunked_array.ts";
import { checkRows, toNumbers } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import { formatBytes } from "../../math/format.ts";
import type { CellMatrix } from "./row_entries.ts";
import { EntryRows } from "./row_entries.ts";
import type { SparseParts } from "./sparse_parts.ts";
import { readStarts } from "./sparse_parts.ts";

/** Entries read at once. */
const PIECE = 2 ** 18;
/** A gene and an f64. */
const ENTRY_BYTES = 12;

interface Block {
  from: number;
  to: number;
  /** Per row of the block. */
  starts: Float64Array;
  genes: Uint32Array;
  values: Float64Array;
}

export function openTransposed(
  parts: SparseParts,
  sizes: { path: string; cells: number; genes: number; bytes: number },
): Pick<CellMatrix, "rows" | "chunkRows"> {
  const { path, cells, genes, bytes } = sizes;
  const mostEntries = Math.floor(bytes / ENTRY_BYTES);
  let counts: Promise<Uint32Array> | undefined;
  let block: Block | undefined;
  // one reader at a time: two would each collect a block
  let last: Promise<unknown> = Promise.resolve();

  const collect = async (from: number, atLeast: number, options?: ReadOptions): Promise<Block> => {
    counts ??= countEntries(parts, sizes);
    const entriesOf = await counts.catch((error) => {
      counts = undefined;
      throw error;
    });
    let [to, entries] = [from, 0];
    while (to < cells && entries + entriesOf[to]! <= mostEntries) entries += entriesOf[to++]!;
    if (to < atLeast) {
      throw new ChunkError(
        `Cannot read "${path}": cells ${from} to ${atLeast} of a matrix that is stored by genes take ` +
          `more than ${formatBytes(bytes)} (read fewer rows, or store it as CSR)`,
        path,
      );
    }
    const starts = new Float64Array(to - from + 1);
    for (let row = 0; row < to - from; row++) {
      starts[row + 1] = starts[row]! + entriesOf[from + row]!;
    }
    const next = starts.slice();
    const own: Block = {
      from,
      to,
      starts,
      genes: new Uint32Array(entries),
      values: new Float64Array(entries),
    };
    await eachEntry(parts, sizes, options, true, (cell, gene, value) => {
      if (cell < from || cell >= to) return;
      const place = next[cell - from]!++;
      own.genes[place] = gene;
      own.values[place] = value;
    });
    return own;
  };

  const rows: CellMatrix["rows"] = async (start, end, options) => {
    checkRows([cells], start, end);
    if (!block || start < block.from || end > block.to) {
      // the block before is let go first
      block = undefined;
      block = await collect(start, end, options);
    }
    const found = new EntryRows(path, { start, genes, dtype: parts.values.dtype });
    for (let row = start - block.from; row < end - block.from; row++) {
      const [first, last] = [block.starts[row]!, block.starts[row + 1]!];
      found.add(block.genes.subarray(first, last), block.values.subarray(first, last));
    }
    return found.finish();
  };
  const average = Math.max(1, parts.entries / Math.max(1, cells));
  return {
    chunkRows: Math.max(1, Math.min(cells, Math.floor(mostEntries / average / 2))),
    rows(start, end, options) {
      const read = last.catch(() => {}).then(() => rows(start, end, options));
      last = read;
      return read;
    },
  };
}

async function countEntries(
  parts: SparseParts,
  sizes: { path: string; cells: number; genes: number },
): Promise<Uint32Array> {
  const counts = new Uint32Array(sizes.cells);
  await eachEntry(parts, sizes, undefined, false, (cell) => counts[cell]!++);
  return counts;
}

/** Tells every entry, column by column. */
async function eachEntry(
  parts: SparseParts,
  { path, cells, genes }: { path: string; cells: number; genes: number },
  options: ReadOptions | undefined,
  withValues: boolean,
  take: (cell: number, gene: number, value: number) => void,
): Promise<void> {
  const starts = await readStarts(parts, [0, genes], path, options);
  let gene = 0;
  for (let from = 0; from < parts.entries; from += PIECE) {
    const to = Math.min(parts.entries, from + PIECE);
    const rows = toNumbers(await parts.indices.read(from, to, options));
    const values = withValues ? toNumbers(await parts.values.read(from, to, options)) : undefined;
    for (let i = 0; i < to - from; i++) {
      while (starts[gene + 1]! <= from + i) gene++;
      const cell = rows[i]!;
      if (!(cell >= 0 && cell < cells)) {
        throw new ChunkError(
          `Cannot read "${path}": gene ${gene} has an entry of cell ${cell}, and there are ${cells} cells`,
          path,
        );
      }
      take(cell, gene, values?.[i] ?? 0);
    }
  }
}
