/**
 * Makes chunks of an array of zarr from its rows: which came, and the buffers they come into.
 *
 * @module
 */

import type { NumericType } from "./data_types.ts";
import { elementBytes, elementCount, filledBytes } from "./data_types.ts";
import type { ZarrArraySpec } from "./metadata.ts";
import { fillValueOf } from "./metadata.ts";

/** Sizes of an array that is cut along its first axis alone. */
export interface RowSizes {
  dtype: NumericType;
  /** Rows of the array, and of a chunk. */
  rows: number;
  chunkRows: number;
  rowElements: number;
  chunkBytes: number;
  chunks: number;
}

export function rowSizes({ name, shape, chunkShape, dtype }: ZarrArraySpec): RowSizes {
  const [rows, ...inner] = shape;
  const [chunkRows, ...chunkInner] = chunkShape;
  if (rows === undefined || chunkRows === undefined || dtype === "string") {
    throw new TypeError(
      `Cannot write "${name}" by rows: it is ${dtype} of shape [${shape}], wanted numbers with at ` +
        `least one axis`,
    );
  }
  if (chunkInner.some((size, axis) => size !== inner[axis])) {
    throw new RangeError(
      `Cannot write "${name}" by rows: its chunks of [${chunkShape}] cut rows of [${inner}], ` +
        `wanted whole rows`,
    );
  }
  const rowElements = elementCount(inner);
  return {
    dtype,
    rows,
    chunkRows,
    rowElements,
    chunkBytes: chunkRows * rowElements * elementBytes(dtype),
    chunks: Math.ceil(rows / chunkRows),
  };
}

/** The chunk being filled: its rows [from, to) have come. */
interface OpenChunk {
  bytes: Uint8Array;
  from: number;
  to: number;
}

/** Fills chunks with rows, and refuses rows that come twice or leave a gap. */
export class FillingChunks {
  readonly sizes: RowSizes;
  readonly #spec: ZarrArraySpec;
  readonly #bufferBytes: number;
  readonly #openChunks: number;
  readonly #done: Uint8Array;
  readonly #open = new Map<number, OpenChunk>();
  /** Buffers that are not in use but kept. */
  #spare: Uint8Array[] = [];
  #buffers = 0;

  /**
   * @param room Bytes of a buffer behind those of its chunk.
   * @param openChunks Chunks that may be filled at a time.
   * @throws {RangeError} If chunks cut rows.
   */
  constructor(spec: ZarrArraySpec, room: number, openChunks: number) {
    this.sizes = rowSizes(spec);
    this.#spec = spec;
    this.#bufferBytes = this.sizes.chunkBytes + room;
    this.#openChunks = openChunks;
    this.#done = new Uint8Array(this.sizes.chunks);
  }

  /** Bytes of the buffers that are alive. */
  get hostBytes(): number {
    return this.#buffers * this.#bufferBytes;
  }

  /** The rows that came of every chunk that is being filled. */
  get openRows(): [from: number, to: number][] {
    return [...this.#open.values()].map(({ from, to }) => [from, to]);
  }

  /** Whether all rows of a chunk came. */
  isDone(index: number): boolean {
    return this.#done[index] === 1;
  }

  /** Says whether all rows of the chunks [first, end) came. */
  setDone(done: boolean, first: number, end = first + 1): void {
    this.#done.fill(Number(done), first, end);
  }

  /**
   * Takes rows [from, to) of a chunk. Returns its buffer once it is complete; it is to be
   * {@link giveBack given back}.
   */
  fill(index: number, from: number, to: number, part: Uint8Array): Uint8Array | undefined {
    const open = this.#open.get(index);
    if (this.isDone(index) || (open && from < open.to && to > open.from)) {
      throw this.#refusal(from, to, "some of them came before, wanted each row once");
    }
    const waiting = open
      ? (from !== open.to && to !== open.from ? open : undefined)
      : this.#open.size >= this.#openChunks
      ? [...this.#open.values()].at(-1)
      : undefined;
    if (waiting) {
      throw this.#refusal(
        from,
        to,
        `rows ${waiting.from} to ${waiting.to} wait for the rest of their chunk, wanted blocks that ` +
          `adjoin, ascending or descending`,
      );
    }
    const { rows, chunkRows, chunkBytes } = this.sizes;
    const chunk = open ?? { bytes: this.#takeBuffer(), from, to };
    const start = index * chunkRows;
    const end = Math.min(rows, start + chunkRows);
    const rowBytes = chunkBytes / chunkRows;
    chunk.bytes.set(part, (from - start) * rowBytes);
    chunk.from = Math.min(chunk.from, from);
    chunk.to = Math.max(chunk.to, to);
    if (chunk.from > start || chunk.to < end) {
      this.#open.set(index, chunk);
      return undefined;
    }
    this.#open.delete(index);
    this.#done[index] = 1;
    const used = (end - start) * rowBytes;
    if (used < chunkBytes) chunk.bytes.set(this.#padding((chunkBytes - used) / rowBytes), used);
    return chunk.bytes;
  }

  /** Takes the buffer of a chunk back, unless somebody kept it. */
  giveBack(buffer: Uint8Array): void {
    if (buffer.byteLength > 0 || this.#bufferBytes === 0) this.#spare.push(buffer);
    else this.#buffers--;
  }

  /** Checks that rows [from, to) are in the array. */
  checkRange(from: number, to: number, elements: number): void {
    const { rows, rowElements } = this.sizes;
    if (!Number.isInteger(to)) {
      throw new RangeError(
        `Cannot write rows of "${this.#spec.name}": got ${elements} elements, wanted a multiple ` +
          `of ${rowElements}`,
      );
    }
    if (!Number.isInteger(from) || from < 0 || to > rows) {
      throw this.#refusal(from, to, `the array has ${rows} rows`);
    }
  }

  /**
   * Lets go of all buffers.
   *
   * @param low First of the rows that had to come, which begins a chunk.
   * @param rows The end of them.
   * @throws {RangeError} If rows are missing; names the first of them.
   */
  finish(low = 0, rows = this.sizes.rows): void {
    const { chunkRows } = this.sizes;
    let missing = low;
    let next = rows;
    for (let index = low / chunkRows; index * chunkRows < rows && next === rows; index++) {
      const start = index * chunkRows;
      const open = this.#open.get(index);
      const came = this.isDone(index) ? { from: start, to: start + chunkRows } : open;
      if (came && came.from > missing) next = came.from;
      else if (came) missing = came.to;
    }
    if (missing < rows) {
      throw new RangeError(
        `Cannot finish "${this.#spec.name}": rows ${missing} to ${next} never came, wanted all ` +
          (low === 0 ? `${rows} rows` : `from ${low} to ${rows}`),
      );
    }
    this.#spare = [];
    this.#buffers = 0;
  }

  #takeBuffer(): Uint8Array {
    const spare = this.#spare.pop();
    if (spare) return spare;
    this.#buffers++;
    return new Uint8Array(this.#bufferBytes);
  }

  #padding(rows: number): Uint8Array {
    const { dtype, rowElements } = this.sizes;
    const fillValue = fillValueOf(this.#spec) as number | boolean;
    return filledBytes(dtype, fillValue, rows * rowElements);
  }

  #refusal(from: number, to: number, reason: string): RangeError {
    return new RangeError(`Cannot write rows ${from} to ${to} of "${this.#spec.name}": ${reason}`);
  }
}
