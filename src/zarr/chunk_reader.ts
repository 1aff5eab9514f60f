/**
 * Reads rows of an array of zarr from its chunks.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { formatBytes } from "../math/format.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import type { ArrayMetadata } from "./array_metadata.ts";
import { elementCount } from "./data_types.ts";
import { decodeBytes, mostEncodedBytes } from "./decoders.ts";
import type { Size } from "./decompress.ts";
import { ShardIndexes } from "./shard_index.ts";

// Chunks decoded at a time: hides a server's latency, and bounds what a read holds.
const CONCURRENT_CHUNKS = 4;
/** Most bytes that a chunk is decoded to: what codecs and buffers of 32-bit lengths can have. */
const MOST_CHUNK_BYTES = 2 ** 31;

/** What the elements of a chunk are made of. */
export interface ElementCoding<Values extends NumericArray> {
  /** Bytes of so many elements. */
  size(count: number): Size;
  decode(bytes: Uint8Array, count: number): Values;
  /** What elements are that are not stored. */
  fill: number | bigint;
  /** Elements that are 0. */
  create(length: number): Values;
}

/** A chunk in memory, and how far apart neighbours along each axis lie; no data where it is not stored. */
interface Chunk<Values extends NumericArray> {
  data: Values | undefined;
  strides: readonly number[];
}

/** Reads rows of an array chunk by chunk. */
export class ChunkReader<Values extends NumericArray> {
  readonly #store: Store;
  readonly #folder: string;
  readonly #metadata: ArrayMetadata;
  readonly #coding: ElementCoding<Values>;
  readonly #indexes: ShardIndexes | undefined;
  /** Of the elements of a chunk. */
  readonly #strides: readonly number[];

  constructor(
    store: Store,
    folder: string,
    metadata: ArrayMetadata,
    coding: ElementCoding<Values>,
  ) {
    this.#store = store;
    this.#folder = folder;
    this.#metadata = metadata;
    this.#coding = coding;
    const { shards, axisOrder, chunkShape } = metadata;
    this.#indexes = shards &&
      new ShardIndexes(shards, (key, range, options) => store.getRange(key, range, options));
    const strides = chunkShape.map(() => 1);
    let stride = 1;
    for (const axis of axisOrder.toReversed()) {
      strides[axis] = stride;
      stride *= chunkShape[axis]!;
    }
    this.#strides = strides;
  }

  /** Rows [start, end) in C order. */
  async readRows(start: number, end: number, signal: AbortSignal | undefined): Promise<Values> {
    const { shape, chunkShape: chunks } = this.#metadata;
    const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
    const whole = wholeChunk(this.#metadata, start, end);
    const wholeRead = whole && await this.#readChunk(whole, signal);
    if (wholeRead?.data && wholeRead.strides.join() === strides.join()) {
      return wholeRead.data.subarray(0, (end - start) * strides[0]!) as Values;
    }
    const values = this.#create(start, end, strides[0]!);
    const first = shape.map((_, axis) => axis === 0 ? start : 0);
    const last = shape.map((size, axis) => axis === 0 ? end : size);
    const { fill } = this.#coding;

    const positions = chunkPositions(first, last, chunks);
    const work = async () => {
      for (const position of positions) {
        signal?.throwIfAborted();
        const chunk = wholeRead ?? await this.#readChunk(position, signal);
        // where chunk and rows meet, along each axis
        const from = position.map((index, axis) => Math.max(first[axis]!, index * chunks[axis]!));
        const to = position.map((index, axis) =>
          Math.min(last[axis]!, (index + 1) * chunks[axis]!)
        );
        const counts = to.map((stop, axis) => stop - from[axis]!);
        const at = offsetOf(from.map((row, axis) => row - first[axis]!), strides);
        if (!chunk.data) {
          fillBlock(counts, fill, values, strides, at);
          continue;
        }
        copyBlock(
          counts,
          chunk.data,
          chunk.strides,
          offsetOf(from.map((row, axis) => row - position[axis]! * chunks[axis]!), chunk.strides),
          values,
          strides,
          at,
        );
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT_CHUNKS }, work));
    return values;
  }

  #create(start: number, end: number, rowElements: number): Values {
    try {
      return this.#coding.create((end - start) * rowElements);
    } catch (error) {
      throw new RangeError(
        `Cannot read rows ${start} to ${end} of "${this.#store.place + this.#folder}": no array ` +
          `has room for their ${(end - start) * rowElements} elements`,
        { cause: error },
      );
    }
  }

  async #readChunk(
    position: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<Chunk<Values>> {
    const { chunkShape, fileShape, fileName, decoders } = this.#metadata;
    const strides = this.#strides;
    const perFile = chunkShape.map((size, axis) => fileShape[axis]! / size);
    const file = position.map((index, axis) => Math.floor(index / perFile[axis]!));
    const key = `${this.#folder}/${fileName(file)}`;
    const path = this.#store.place + key;
    try {
      const within = position.map((index, axis) => index - file[axis]! * perFile[axis]!);
      const count = elementCount(chunkShape);
      const size = this.#coding.size(count);
      const mostBytes = mostEncodedBytes(decoders, size);
      const bytes = await this.#readBytes(key, within, mostBytes, signal);
      signal?.throwIfAborted();
      if (!bytes) return { data: undefined, strides };
      if (size.most > MOST_CHUNK_BYTES) {
        throw new RangeError(
          `its chunks are ${formatBytes(size.most)}, wanted ${
            formatBytes(MOST_CHUNK_BYTES)
          } at most`,
        );
      }
      const decoded = await decodeBytes(bytes, decoders, size);
      signal?.throwIfAborted();
      return { data: this.#coding.decode(decoded, count), strides };
    } catch (error) {
      signal?.throwIfAborted();
      const reason = (error as Error).message.replace(`Cannot read "${path}": `, "");
      throw new ChunkError(`Cannot read chunk ${position} in "${path}": ${reason}`, path, error);
    }
  }

  /** The bytes of a chunk, which can have become so many; `undefined` if it is not stored. */
  async #readBytes(
    key: string,
    within: readonly number[],
    mostBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    const options = signal ? { signal, mostBytes } : { mostBytes };
    if (!this.#indexes) return await this.#store.get(key, options);
    const range = await this.#indexes.find(key, within, signal);
    if (!range) return undefined;
    if (range.length > mostBytes) {
      throw new RangeError(`its index says ${range.length} bytes, wanted ${mostBytes} at most`);
    }
    const bytes = await this.#store.getRange(key, range, options);
    if (bytes?.length === range.length) return bytes;
    throw new RangeError(
      `its shard has ${bytes?.length ?? 0} bytes of it, its index says ${range.length}`,
    );
  }
}

/** The chunk that rows [start, end) are all of: it needs no copying. `undefined` if there is none. */
function wholeChunk(
  { shape, chunkShape }: ArrayMetadata,
  start: number,
  end: number,
): number[] | undefined {
  const [chunkRows, ...inner] = chunkShape as [number, ...number[]];
  const isWhole = start % chunkRows === 0 && start < end &&
    end === Math.min(shape[0]!, start + chunkRows) &&
    inner.every((size, axis) => size === shape[axis + 1]);
  return isWhole ? [start / chunkRows, ...inner.map(() => 0)] : undefined;
}

/** Positions in the grid of the chunks that hold elements from `first` up to `last`. */
export function* chunkPositions(
  first: readonly number[],
  last: readonly number[],
  chunks: readonly number[],
): Generator<number[]> {
  if (first.some((from, axis) => from >= last[axis]!)) return;
  const lowest = first.map((from, axis) => Math.floor(from / chunks[axis]!));
  const highest = last.map((to, axis) => Math.floor((to - 1) / chunks[axis]!));
  const position = [...lowest];
  for (;;) {
    yield [...position];
    let axis = position.length - 1;
    while (axis >= 0 && position[axis] === highest[axis]) {
      position[axis] = lowest[axis]!;
      axis--;
    }
    if (axis < 0) return;
    position[axis]!++;
  }
}

function offsetOf(position: readonly number[], strides: readonly number[]): number {
  return position.reduce((offset, index, axis) => offset + index * strides[axis]!, 0);
}

/** Gives the elements of a block a value. */
function fillBlock(
  counts: readonly number[],
  value: number | bigint,
  target: NumericArray,
  strides: readonly number[],
  offset: number,
): void {
  // elements are 0 to begin with
  if (value === 0n || Object.is(value, 0)) return;
  const fill = (axis: number, at: number) => {
    if (axis === counts.length - 1) {
      (target as Float32Array).fill(value as number, at, at + counts[axis]!);
      return;
    }
    for (let i = 0; i < counts[axis]!; i++) fill(axis + 1, at + i * strides[axis]!);
  };
  fill(0, offset);
}

/** Copies a block of `counts` elements between two layouts, runs of memory at once. */
function copyBlock(
  counts: readonly number[],
  source: NumericArray,
  sourceStrides: readonly number[],
  sourceOffset: number,
  target: NumericArray,
  targetStrides: readonly number[],
  targetOffset: number,
): void {
  // the axes from `runAxis` on are one run in both
  let runAxis = counts.length;
  let run = 1;
  while (
    runAxis > 0 && sourceStrides[runAxis - 1] === run && targetStrides[runAxis - 1] === run
  ) {
    runAxis--;
    run *= counts[runAxis]!;
  }
  const copy = (axis: number, from: number, at: number) => {
    if (axis === runAxis) {
      (target as Float32Array).set((source as Float32Array).subarray(from, from + run), at);
      return;
    }
    for (let i = 0; i < counts[axis]!; i++) {
      copy(axis + 1, from + i * sourceStrides[axis]!, at + i * targetStrides[axis]!);
    }
  };
  copy(0, sourceOffset, targetOffset);
}
