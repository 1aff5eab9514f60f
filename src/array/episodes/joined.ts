/**
 * Arrays that lie after one another, an episode or a file each, as one.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../../chunked_array.ts";
import { checkRows } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import type { NumericArray } from "../../types.ts";
import { elementCount } from "../../zarr/data_types.ts";

/** Rows that lie together. */
export interface ArrayPart {
  /** For errors. */
  name: string;
  rows: number;
  /** The first of the rows in its array. */
  first?: number;
  /** It is closed when it was read. */
  open(): Promise<ChunkedArray>;
}

/**
 * The rows of all parts, in order. Parts are opened when they are read; where any row costs its whole
 * part, the last two stay for those that follow.
 *
 * @throws {ChunkError} If the first part cannot be read, and later, if another is not of its kind.
 */
export async function joinArrays(
  path: string,
  parts: readonly ArrayPart[],
  places: readonly string[],
): Promise<ChunkedArray> {
  const like = await parts[0]!.open();
  const { dtype, dims, wholeChunks = false } = like;
  const inner = like.shape.slice(1);
  await like.close();
  const width = elementCount(inner);
  const starts = [0];
  for (const { rows } of parts) starts.push(starts.at(-1)! + rows);
  const shape = [starts.at(-1)!, ...inner];

  /** Opens a part, and says what is wrong with it. */
  const opened = async <Result>(
    part: ArrayPart,
    use: (array: ChunkedArray) => Promise<Result>,
  ): Promise<Result> => {
    const array = await part.open();
    try {
      const wanted = part.rows + (part.first ?? 0);
      const isLike = array.dtype === dtype && array.shape.slice(1).join() === inner.join();
      if (!isLike || array.shape[0]! < wanted) {
        throw new ChunkError(
          `Cannot read "${path}": ${part.name} has ${array.dtype} [${
            array.shape.join(", ")
          }], wanted ` +
            `${dtype} [${[wanted, ...inner].join(", ")}] as in ${parts[0]!.name}`,
          path,
        );
      }
      return await use(array);
    } finally {
      await array.close();
    }
  };
  const held = new Map<number, Promise<NumericArray>>();
  const wholePart = (number: number): Promise<NumericArray> => {
    const part = parts[number]!;
    const { first = 0, rows } = part;
    let values = held.get(number);
    if (!values) {
      values = opened(part, (array) => array.read(first, first + rows));
      held.set(number, values);
      values.catch(() => held.delete(number));
      if (held.size > 2) held.delete(held.keys().next().value!);
    }
    return values;
  };
  const readPart = async (number: number, from: number, to: number, { signal }: ReadOptions) => {
    if (wholeChunks) return (await wholePart(number)).subarray(from * width, to * width);
    const part = parts[number]!;
    const { first = 0 } = part;
    return await opened(
      part,
      (array) => array.read(first + from, first + to, signal && { signal }),
    );
  };
  return {
    shape,
    dtype,
    dims,
    places,
    chunkRows: wholeChunks
      ? parts.reduce((most, { rows }) => Math.max(most, rows), 1)
      : Math.max(1, Math.min(shape[0]!, like.chunkRows)),
    wholeChunks,
    async read(start, end, options = {}) {
      options.signal?.throwIfAborted();
      checkRows(shape, start, end);
      let all: NumericArray | undefined;
      let number = partOf(starts, start);
      for (let row = start; row < end; number++) {
        const [first, last] = [starts[number]!, starts[number + 1]!];
        const to = Math.min(end, last);
        if (to === row) continue;
        const own = await readPart(number, row - first, to - first, options);
        if (row === start && to === end) return own;
        all ??= new (own.constructor as new (length: number) => NumericArray)(
          (end - start) * width,
        );
        all.set(own as never, (row - start) * width);
        row = to;
      }
      return all ?? await opened(parts[0]!, (array) => array.read(0, 0));
    },
    close: () => Promise.resolve(),
  };
}

/** The part that a row lies in. */
function partOf(starts: readonly number[], row: number): number {
  let [low, high] = [0, starts.length - 2];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (starts[middle]! <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}
