/**
 * Rows of arrays that are read together, a block at a time.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { toNumbers } from "../chunked_array.ts";
import type { NumericArray } from "../types.ts";
import { Turns, unlessAborted } from "../turns.ts";

/** Numbers to calculate with. */
export type Numbers = Exclude<NumericArray, BigInt64Array | BigUint64Array>;

export interface Reading {
  signal?: AbortSignal | undefined;
  /** Is told the share that was read, 0 to 1. */
  onShare?: ((share: number) => void) | undefined;
}

const BLOCK_BYTES = 8 * 2 ** 20;

/** Elements of a row. */
export const widthOf = ({ shape }: Pick<ChunkedArray, "shape">): number =>
  shape.slice(1).reduce((product, size) => product * size, 1);

/**
 * Reads the same rows of several arrays: whole chunks of the widest where a part costs as much. What is held is a
 * block of each, however many rows there are.
 */
export async function readTogether(
  arrays: readonly ChunkedArray[],
  [from, to]: readonly [from: number, to: number],
  onBlock: (start: number, end: number, values: readonly Numbers[]) => void,
  { signal, onShare }: Reading = {},
): Promise<void> {
  const widest = arrays.reduce((most, own) => widthOf(own) > widthOf(most) ? own : most);
  const fitting = Math.max(1, Math.floor(BLOCK_BYTES / (8 * Math.max(1, widthOf(widest)))));
  const rows = widest.wholeChunks
    ? Math.ceil(fitting / widest.chunkRows) * widest.chunkRows
    : fitting;
  const turns = new Turns(signal);
  for (let start = from; start < to;) {
    await turns.next();
    // blocks end where chunks do
    const end = Math.min(to, (Math.floor(start / rows) + 1) * rows);
    const reading = Promise.all(
      arrays.map((array) => array.read(start, end, signal && { signal })),
    );
    onBlock(start, end, (await unlessAborted(signal, reading)).map(toNumbers));
    start = end;
    onShare?.((start - from) / (to - from));
  }
}
