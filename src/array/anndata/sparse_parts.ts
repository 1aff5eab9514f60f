/**
 * The three arrays of a sparse matrix, by rows (CSR) or by columns (CSC).
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../../chunked_array.ts";
import { toNumbers } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import { keepingChunk } from "../kept_chunk.ts";
import type { Tree } from "./tree.ts";

/** Of a sparse matrix: where each row (CSR) or column (CSC) begins, and its entries. */
export interface SparseParts {
  starts: ChunkedArray;
  indices: ChunkedArray;
  values: ChunkedArray;
  /** How many entries there are. */
  entries: number;
}

export async function openParts(
  tree: Tree,
  path: string,
  lines: number,
  refuse: (reason: string) => ChunkError,
): Promise<SparseParts> {
  const open = async (name: string) => {
    const array = await tree.numbers(`${path}/${name}`);
    if (array.shape.length !== 1) {
      throw refuse(`its ${name} has ${array.shape.length} axes, wanted 1`);
    }
    if (name !== "data" && !/^u?int/.test(array.dtype)) {
      throw refuse(`its ${name} holds ${array.dtype}, wanted whole numbers`);
    }
    return keepingChunk(array);
  };
  const starts = await open("indptr");
  const indices = await open("indices");
  const values = await open("data");
  const [entries] = values.shape as [number];
  if (starts.shape[0] !== lines + 1) {
    throw refuse(`its indptr has ${starts.shape[0]} elements, wanted ${lines + 1}`);
  }
  if (indices.shape[0] !== entries) {
    throw refuse(`it has ${indices.shape[0]} indices and ${entries} values`);
  }
  const [first] = toNumbers(await starts.read(0, 1));
  const [last] = toNumbers(await starts.read(lines, lines + 1));
  if (first !== 0 || last !== entries) {
    throw refuse(`its indptr goes from ${first} to ${last}, wanted 0 to ${entries} entries`);
  }
  return { starts, indices, values, entries };
}

/** Starts of lines [from, to) and the end of the last. @throws {ChunkError} If they do not ascend. */
export async function readStarts(
  { starts, entries }: SparseParts,
  [from, to]: readonly [number, number],
  path: string,
  options?: ReadOptions,
): Promise<Float64Array> {
  const own = Float64Array.from(toNumbers(await starts.read(from, to + 1, options)));
  own.forEach((start, i) => {
    if (start >= (i === 0 ? 0 : own[i - 1]!) && start <= entries) return;
    throw new ChunkError(
      `Cannot read "${path}": its indptr does not ascend at ${from + i}: ${start} after ` +
        `${i === 0 ? 0 : own[i - 1]} of ${entries}`,
      path,
    );
  });
  return own;
}
