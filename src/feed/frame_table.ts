/**
 * The rows batches are gathered from: frames as they are kept, or windows in eager mode.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../array/array.ts";
import type { PaddingMode, RealFrames } from "../array/window_reading.ts";
import type { WindowView } from "../array/window_view.ts";
import { toNumbers } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import { bfloat16BitsToFloat32, encodeBfloat16 } from "../math/bfloat16.ts";
import { encodeFloat16, float16BitsToFloat32 } from "../math/half.ts";
import type { NumericArray } from "../types.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { elementBytes, elementCount } from "../zarr/data_types.ts";

/** How elements are handed out. */
export type FrameType = "float32" | "float16";

/** How elements are held until then. */
export type HeldType = FrameType | "bfloat16";

/** Elements as they are held: halves as their bits. */
export type FrameValues = Float32Array | Uint16Array;

export const elementBytesOf = (type: HeldType) => type === "float32" ? 4 : 2;

/** Zeros of a type. */
export function createFrames(type: HeldType, length: number): FrameValues {
  return type === "float32" ? new Float32Array(length) : new Uint16Array(length);
}

/** Rows of which a window is a run. */
export interface FrameTable {
  array: ChunkedArray;
  rows: number;
  /** Elements of a row. */
  width: number;
  held: HeldType;
  /** Rows of a window. */
  windowRows: number;
  /** First of the rows that are read for a window: {@link spanRows} of them. */
  rowOf(window: number): number;
  /** Where windows are padded: what stands for rows they lack, and which of a window's are real. */
  padding?: { mode: PaddingMode; realOf(window: number): RealFrames };
}

/** Rows that are read for a window: there may be fewer than it has. */
export function spanRows({ rows, windowRows }: FrameTable): number {
  return Math.min(rows, windowRows);
}

/** Frames of a view, each kept once. */
export function lazyTable(view: WindowView, held: HeldType): FrameTable {
  const [rows, ...inner] = view.base.shape;
  return {
    array: view.base,
    rows: rows!,
    width: inner.reduce((product, size) => product * size, 1),
    held,
    windowRows: view.size,
    rowOf: view.padding ? (window) => paddedRow(view, window) : (window) => view.startOf(window),
    ...view.padding && {
      padding: { mode: view.padding.mode, realOf: (window: number) => view.realOf(window) },
    },
  };
}

/** Where as many rows as a window has begin that have its real ones, within its segment if that is as long. */
function paddedRow(view: WindowView, window: number): number {
  const { start, end } = view.segments[view.segmentOf(window)]!;
  const inside = Math.max(start, Math.min(view.startOf(window), end - view.size));
  return Math.max(0, Math.min(inside, view.base.shape[0]! - view.size));
}

/** Windows of a view, each kept whole. */
export function eagerTable(view: WindowView, held: HeldType): FrameTable {
  const array = view.flatten();
  const [rows, width] = array.shape as [number, number];
  return { array, rows, width, held, windowRows: 1, rowOf: (window) => window };
}

export function rowBytes({ width, held }: FrameTable): number {
  return width * elementBytesOf(held);
}

/** A call of `read`, and the rows of it that are wanted: runs of rows and where they go in a pool. */
export interface Read {
  start: number;
  end: number;
  runs: Run[];
}

/** Neighbouring rows of the table, and the row of a pool they go to. */
export interface Run {
  row: number;
  rows: number;
  at: number;
}

/** Bytes a single read asks for at most, unless chunks are larger. */
const READ_BYTES = 4 * 2 ** 20;
/** Reads under way at once: hides the latency of a disk, and bounds what they hold. */
const READS_AT_ONCE = 4;
/** Small reads, of as many rows in all, under way at once: each may keep a file open. */
const SMALL_READS_AT_ONCE = 128;
/** Rows one read asks for at most. */
function readRows(table: FrameTable): number {
  const { array } = table;
  return array.wholeChunks
    ? array.chunkRows
    : Math.max(1, Math.floor(READ_BYTES / (table.width * 4)));
}

/** Host bytes that reads under way hold at most. */
export function readingBytes(table: FrameTable): number {
  // a chunk as it is stored, decoded, and its rows in order; a run alone
  const copies = table.array.wholeChunks ? 3 : 1;
  const rows = Math.min(readRows(table), table.rows);
  const reads = Math.min(READS_AT_ONCE, Math.ceil(table.rows / rows));
  return reads * copies * rows * table.width * 4;
}

/**
 * The reads that bring runs, ascending: no chunk is read twice where a read costs all of it, and no
 * row that is not wanted otherwise.
 */
export function* readsOf(table: FrameTable, runs: readonly Run[]): Generator<Read> {
  const most = readRows(table);
  let last: Read | undefined;
  for (const { row, rows, at } of runs) {
    for (let from = row; from < row + rows;) {
      const cut = table.array.wholeChunks ? (Math.floor(from / most) + 1) * most : from + most;
      const to = Math.min(row + rows, cut);
      const part = { row: from, rows: to - from, at: at + from - row };
      const sameChunk = table.array.wholeChunks && last !== undefined &&
        Math.floor(last.start / most) === Math.floor(from / most);
      if (last && sameChunk) {
        last.end = to;
        last.runs.push(part);
      } else {
        if (last) yield last;
        last = { start: from, end: to, runs: [part] };
      }
      from = to;
    }
  }
  if (last) yield last;
}

/** Reads that are begun together: half of what may be under way at once. */
function* groupReads(table: FrameTable, reads: Iterable<Read>): Generator<Read[]> {
  const most = readRows(table) * READS_AT_ONCE / 2;
  let group: Read[] = [];
  let rows = 0;
  for (const read of reads) {
    const own = table.array.wholeChunks ? table.array.chunkRows : read.end - read.start;
    rows += own;
    if (group.length > 0 && (rows > most || group.length >= SMALL_READS_AT_ONCE / 2)) {
      yield group;
      group = [];
      rows = own;
    }
    group.push(read);
  }
  if (group.length > 0) yield group;
}

/** Bytes that a group of reads brings at most, each of them up to a multiple of 8. */
function arenaBytes(table: FrameTable): number {
  const rows = Math.min(table.rows, readRows(table) * READS_AT_ONCE / 2);
  return rows * storedRowBytes(table) + 8 * SMALL_READS_AT_ONCE / 2;
}

/** Bytes of a row as it is stored. */
export function storedRowBytes({ array, width }: FrameTable): number {
  return width * elementBytes(array.dtype as NumericType);
}

/** Bytes a read takes off the disk, before compression: whole chunks where that is how it is. */
export function bytesOfRead(table: FrameTable, { start, end }: Read): number {
  const rowBytes = storedRowBytes(table);
  if (!table.array.wholeChunks) return (end - start) * rowBytes;
  const { chunkRows } = table.array;
  const first = Math.floor(start / chunkRows) * chunkRows;
  return (Math.min(table.rows, first + chunkRows) - first) * rowBytes;
}

/**
 * What is there of values that were there.
 *
 * @throws {ChunkError} If it is less: memory that is handed on to another thread is lost.
 */
export function checkLength(values: ArrayLike<unknown>, wanted: number, what: string): void {
  if (values.length >= wanted) return;
  throw new ChunkError(
    `Cannot go on with windows: ${what} have ${values.length} elements, wanted ${wanted}; memory that ` +
      "is transferred is lost, hand on a copy of it",
    what,
  );
}

/**
 * Values as they are held.
 *
 * @param placeOf Where an element is from, for errors.
 * @throws {RangeError} If a value becomes infinite, or a whole number another one.
 */
export function narrow(
  given: NumericArray,
  held: HeldType,
  placeOf: (element: number) => string,
): FrameValues {
  const values = toNumbers(given);
  const isBig = values !== given;
  const refuse = (i: number, why: string): never => {
    throw new RangeError(
      `Cannot hold ${placeOf(i)} as ${held}: it has ${given[i]}, ${why}`,
    );
  };
  const inexact =
    `a whole number that ${held} does not hold exactly; wanted smaller ones, less an offset`;
  let floats: Float32Array;
  if (values instanceof Float32Array) floats = values;
  else {
    floats = Float32Array.from(values as Float64Array);
    const isWide = values.BYTES_PER_ELEMENT > 2;
    for (let i = 0; isWide && i < floats.length; i++) {
      const value = values[i] as number;
      const isExact = isBig ? BigInt(floats[i]!) === given[i] : floats[i] === value;
      if (isExact || !Number.isFinite(value)) continue;
      if (!Number.isFinite(floats[i]!)) refuse(i, "wanted at most 3.4e38");
      if (isBig || Number.isSafeInteger(value)) refuse(i, inexact);
    }
  }
  if (held === "float32") return floats;
  const isBrain = held === "bfloat16";
  const bits = isBrain ? encodeBfloat16(floats) : encodeFloat16(floats);
  const [infinity, most] = isBrain ? [0x7f80, "3.38e38"] : [0x7c00, "65504"];
  const widenBits = isBrain ? bfloat16BitsToFloat32 : float16BitsToFloat32;
  const isWhole = !(given instanceof Float32Array || given instanceof Float64Array);
  for (let i = 0; i < bits.length; i++) {
    const isInfinite = (bits[i]! & 0x7fff) === infinity;
    if (isInfinite && Number.isFinite(floats[i]!)) refuse(i, `wanted at most ${most}, or float32`);
    if (isWhole && widenBits(bits[i]!) !== floats[i]) refuse(i, inexact);
  }
  return bits;
}

/**
 * Takes two more words into a checksum. A product carries what changes up, a turn brings it down again: signs that
 * change, the highest bits, would undo each other.
 */
function takeUp(mark: number, first: number, second: number): number {
  const product = Math.imul(mark ^ first, 0x85ebca6b);
  return ((product << 15 | product >>> 17) + second) | 0;
}

/** A checksum of words, not 0, which any one of them changes. Four at a time, that do not wait for each other. */
function markOf(words: Int16Array | Int32Array, from: number, to: number): number {
  let [a, b, c, d] = [1, 2, 3, 4];
  let i = from;
  for (; i + 7 < to; i += 8) {
    a = takeUp(a, words[i]!, words[i + 1]!);
    b = takeUp(b, words[i + 2]!, words[i + 3]!);
    c = takeUp(c, words[i + 4]!, words[i + 5]!);
    d = takeUp(d, words[i + 6]!, words[i + 7]!);
  }
  for (; i < to; i++) a = takeUp(a, words[i]!, 1);
  // turned apart, so that equal changes of two of them do not cancel
  const mark = a ^ (b << 8 | b >>> 24) ^ (c << 16 | c >>> 16) ^ (d << 24 | d >>> 8);
  return mark >>> 0 || 1;
}

/**
 * A checksum of a few frames, by which they are known again, however they are held: of their shape, and
 * of the first, the last and two between.
 */
export async function fingerprint(frames: ChunkedArray, signal: AbortSignal): Promise<number> {
  const [rows, ...inner] = frames.shape as [number, ...number[]];
  let checksum = crc32c(new Uint8Array(Float64Array.of(rows, ...inner).buffer));
  const probes = [0, Math.floor(rows / 3), Math.floor(2 * rows / 3), rows - 1];
  for (const row of probes) {
    const values = toNumbers(await frames.read(row, row + 1, { signal }));
    checkLength(values, elementCount(inner), `values of frame ${row}`);
    checksum = crc32c(new Uint8Array(Float64Array.from(values).buffer), checksum);
  }
  return checksum;
}

/** Rows that were read, and the row of the pool they begin at. */
interface FrameRows {
  at: number;
  rows: number;
  values: FrameValues;
}

/**
 * Memory that is read into again and again: garbage of that size stays for long, since nobody counts it
 * while it is small beside what is held.
 */
class Arena {
  readonly #capacity: number;
  #bytes: Uint8Array | undefined;
  #used = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Makes all of it free again. */
  clear(): void {
    this.#used = 0;
  }

  readonly allocate = (bytes: number): Uint8Array => {
    const start = this.#used;
    // of elements of any size
    this.#used = Math.ceil((start + bytes) / 8) * 8;
    if (this.#used > this.#capacity) return new Uint8Array(bytes);
    // what does not read from a disk never asks
    this.#bytes ??= new Uint8Array(this.#capacity);
    return this.#bytes.subarray(start, start + bytes);
  };
}

/** Where what is read belongs in a pool, [rows, width]: a read of rows, not of chunks, has one run. */
function placeOf({ runs: [run] }: Read, pool: FrameValues, width: number): FrameValues {
  const { at, rows } = run!;
  return pool.subarray(at * width, (at + rows) * width);
}

/** The place itself where it is as large as what is wanted, and other memory for what has to be put in order. */
function allocateIn(place: FrameValues, arena: Arena) {
  const { buffer, byteOffset, byteLength } = place;
  return (bytes: number): Uint8Array =>
    bytes === byteLength ? new Uint8Array(buffer, byteOffset, bytes) : arena.allocate(bytes);
}

/** Reads rows of a table, a few at once, and notices when they are not what they were. */
export class FrameReader {
  readonly #table: FrameTable;
  readonly #signal: AbortSignal;
  /** What was seen of each row; 0 where nothing yet. Rows that are read once have none. */
  readonly #marks: Uint32Array | undefined;
  bytesRead = 0;
  reads = 0;
  /** Milliseconds at least one read was under way. */
  busyMs = 0;
  #underWay = 0;
  #began = 0;
  /** Those that no stream uses. */
  readonly #arenas: Arena[] = [];

  constructor(table: FrameTable, signal: AbortSignal, { readsAgain }: { readsAgain: boolean }) {
    this.#table = table;
    this.#signal = signal;
    this.#marks = readsAgain ? new Uint32Array(table.rows) : undefined;
  }

  /** Host bytes of a reader that reads rows more than once. */
  static markBytes(table: FrameTable): number {
    return 4 * table.rows;
  }

  /**
   * Rows of runs, in order, as they come: each with the row of the pool it begins at. Reads are begun a
   * group at a time, while the group before is used: stores have a way for many small ones together.
   *
   * @param pool Where rows are wanted. Those that are held as they are stored may be read into their place, and
   * come as a part of it.
   * @throws {ChunkError} If rows cannot be read, or are not what they were when read before.
   */
  async *stream(runs: readonly Run[], pool?: FrameValues): AsyncGenerator<FrameRows> {
    const { width, array } = this.#table;
    const groups = groupReads(this.#table, readsOf(this.#table, runs));
    // of the group that is used, and of the one that is read meanwhile
    const arenas = [0, 1].map(() => this.#arenas.pop() ?? new Arena(arenaBytes(this.#table)));
    let number = 0;
    const begin = () => {
      const group: Read[] = groups.next().value ?? [];
      const arena = arenas[number++ % 2]!;
      arena.clear();
      const begun = group.map((read) => {
        const allocate = pool ? allocateIn(placeOf(read, pool, width), arena) : arena.allocate;
        const options = { signal: this.#signal, ...!array.wholeChunks && { allocate } };
        return this.#read(read.start, read.end, options);
      });
      // whoever takes it sees the failure
      for (const values of begun) values.catch(() => {});
      return { group, begun };
    };
    let [under, next]: ReturnType<typeof begin>[] = [{ group: [], begun: [] }, begin()];
    try {
      while (next!.group.length > 0) {
        [under, next] = [next!, begin()];
        for (const [place, read] of under.group.entries()) {
          const values = await under.begun[place]!;
          this.reads++;
          this.bytesRead += bytesOfRead(this.#table, read);
          for (const { row, rows, at } of read.runs) {
            // memory of others that was read before may have gone meanwhile
            checkLength(values, (read.end - read.start) * width, `frames from ${read.start}`);
            const from = (row - read.start) * width;
            const part = values.subarray(from, from + rows * width);
            if (this.#marks) this.#watch(row, part);
            yield { at, rows, values: part };
          }
        }
      }
    } finally {
      await Promise.allSettled([...under!.begun, ...next!.begun]);
      this.#arenas.push(...arenas);
    }
  }

  /** Puts runs into `pool`, [rows, width]. */
  async fill(runs: readonly Run[], pool: FrameValues): Promise<void> {
    const { width } = this.#table;
    for await (const { at, rows, values } of this.stream(runs, pool)) {
      checkLength(values, rows * width, "frames that were read");
      if (values.buffer !== pool.buffer) pool.set(values, at * width);
    }
  }

  /** Rows as they are held. */
  async #read(start: number, end: number, options: ReadOptions): Promise<FrameValues> {
    this.#signal.throwIfAborted();
    if (this.#underWay++ === 0) this.#began = performance.now();
    try {
      const { array, held, width } = this.#table;
      if (held === "float16" && array.readBits) return await array.readBits(start, end, options);
      if (held === "bfloat16" && array.readBrainBits) {
        return await array.readBrainBits(start, end, options);
      }
      const values = await array.read(start, end, options);
      return narrow(values, held, (element) => `frame ${start + Math.floor(element / width)}`);
    } finally {
      if (--this.#underWay === 0) this.busyMs += performance.now() - this.#began;
    }
  }

  #watch(row: number, values: FrameValues): void {
    const { width } = this.#table;
    const { buffer, byteOffset, length } = values;
    const words = values instanceof Uint16Array
      ? new Int16Array(buffer, byteOffset, length)
      : new Int32Array(buffer, byteOffset, length);
    for (let i = 0; i < values.length / width; i++) {
      const mark = markOf(words, i * width, (i + 1) * width);
      const before = this.#marks![row + i]!;
      if (before !== 0 && before !== mark) {
        throw new ChunkError(
          `Cannot go on with windows: frame ${
            row + i
          } changed since it was read before; wait until ` +
            "the frames are written, then begin again",
          `frame ${row + i}`,
        );
      }
      this.#marks![row + i] = mark;
    }
  }
}
