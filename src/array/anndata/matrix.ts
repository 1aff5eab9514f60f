/**
 * Matrices of cells by genes, read by rows whatever they are stored as.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";
import { checkRows, toNumbers } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import { bytesOfChunk, keepingChunk } from "../kept_chunk.ts";
import { described } from "./frame.ts";
import type { CellMatrix } from "./row_entries.ts";
import { EntryRows } from "./row_entries.ts";
import type { SparseParts } from "./sparse_parts.ts";
import { openParts, readStarts } from "./sparse_parts.ts";
import { openTransposed } from "./transposed.ts";
import type { Tree } from "./tree.ts";

export type { CellMatrix, RowEntries } from "./row_entries.ts";
export { cellsAtOnce } from "./row_entries.ts";

export interface MatrixOptions {
  /** Bytes that columns may take while they are turned into rows (CSC). */
  transposeBytes: number;
}

/** The chunk that is kept, and the next one, packed and not. */
const CHUNK_COPIES = 3;

/** Entries that are read at once, at most: more is damage, or too many rows in one read. */
const MOST_ENTRIES = 2 ** 27;

/** @throws {ChunkError} If it is not there, of another size, or not as AnnData writes it. */
export async function openCellMatrix(
  tree: Tree,
  path: string,
  [cells, genes]: readonly [cells: number, genes: number],
  { transposeBytes }: MatrixOptions,
): Promise<CellMatrix> {
  const full = `${tree.place}/${path}`;
  const places = [full];
  const refuse = (reason: string) => new ChunkError(`Cannot open "${full}": ${reason}`, full);
  const node = await tree.node(path);
  if (!node) throw refuse("there is no such matrix");
  const encoding = node.attributes["encoding-type"];
  if (!node.isGroup && !node.isText && (encoding === "array" || encoding === undefined)) {
    const array = await tree.numbers(path);
    checkShape(array.shape, [cells, genes], refuse);
    return {
      path: full,
      places,
      shape: [cells, genes],
      layout: "dense",
      keptBytes: CHUNK_COPIES * bytesOfChunk(array),
      ...denseRows(keepingChunk(array), full),
    };
  }
  if (encoding !== "csr_matrix" && encoding !== "csc_matrix") {
    throw refuse(`it is ${described(node)}, wanted an array, csr_matrix or csc_matrix`);
  }
  checkShape(
    Array.from(Object(node.attributes.shape ?? []) as ArrayLike<unknown>, Number),
    [cells, genes],
    refuse,
  );
  const layout = encoding === "csr_matrix" ? "csr" : "csc";
  const parts = await openParts(tree, path, layout === "csr" ? cells : genes, refuse);
  const chunkBytes = [parts.starts, parts.indices, parts.values]
    .reduce((sum, array) => sum + CHUNK_COPIES * bytesOfChunk(array), 0);
  if (layout === "csc") {
    const rows = openTransposed(parts, { path: full, cells, genes, bytes: transposeBytes });
    // rows that were collected, and how many entries each has
    const keptBytes = chunkBytes + Math.min(transposeBytes, 12 * parts.entries) + 4 * cells;
    return { path: full, places, shape: [cells, genes], layout, keptBytes, ...rows };
  }
  return {
    path: full,
    places,
    shape: [cells, genes],
    layout,
    keptBytes: chunkBytes,
    ...sparseRows(parts, full, cells, genes),
  };
}

function sparseRows(
  parts: SparseParts,
  path: string,
  cells: number,
  genes: number,
): Pick<CellMatrix, "rows" | "chunkRows"> {
  const { indices, values, entries } = parts;
  const perRow = Math.max(1, entries / Math.max(1, cells));
  const chunkRows = Math.max(1, Math.min(cells, Math.round(values.chunkRows / perRow)));
  return {
    chunkRows,
    async rows(start, end, options) {
      checkRows([cells], start, end);
      const starts = await readStarts(parts, [start, end], path, options);
      const [from, to] = [starts[0]!, starts.at(-1)!];
      checkEntries(to - from, path);
      const genesRead = toNumbers(await indices.read(from, to, options));
      const read = toNumbers(await values.read(from, to, options));
      const rows = new EntryRows(path, { start, genes, dtype: values.dtype });
      for (let row = 0; row < end - start; row++) {
        const [first, last] = [starts[row]! - from, starts[row + 1]! - from];
        rows.add(genesRead.subarray(first, last), read.subarray(first, last));
      }
      return rows.finish();
    },
  };
}

function checkEntries(count: number, path: string): void {
  if (count <= MOST_ENTRIES) return;
  throw new ChunkError(
    `Cannot read "${path}": ${count} entries are asked for at once, wanted at most ${MOST_ENTRIES} ` +
      "(read fewer rows)",
    path,
  );
}

function denseRows(array: ChunkedArray, path: string): Pick<CellMatrix, "rows" | "chunkRows"> {
  const [cells, genes] = array.shape as [number, number];
  return {
    chunkRows: array.chunkRows,
    async rows(start, end, options) {
      checkRows([cells], start, end);
      const rows = new EntryRows(path, { start, genes, dtype: array.dtype });
      const places = new Uint32Array(genes);
      for (let from = start; from < end;) {
        const to = Math.min(end, from - from % array.chunkRows + array.chunkRows);
        const values = toNumbers(await array.read(from, to, options));
        for (let row = 0; row < to - from; row++) {
          const own = values.subarray(row * genes, (row + 1) * genes);
          let count = 0;
          for (let gene = 0; gene < genes; gene++) if (own[gene] !== 0) places[count++] = gene;
          const found = places.subarray(0, count);
          rows.add(found, Float64Array.from(found, (gene) => own[gene]!));
        }
        from = to;
      }
      return rows.finish();
    },
  };
}

function checkShape(
  shape: readonly number[],
  wanted: readonly number[],
  refuse: (reason: string) => ChunkError,
): void {
  if (shape.length === 2 && shape[0] === wanted[0] && shape[1] === wanted[1]) return;
  throw refuse(
    `its shape is [${shape.join(", ")}], and there are ${wanted[0]} cells and ${wanted[1]} genes`,
  );
}
