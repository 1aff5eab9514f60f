/**
 * Activations of one layer as rows, whatever lies between them in the array that they are read from.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { elementCount } from "../zarr/data_types.ts";
import { RowMap } from "./row_map.ts";
import type { ActsType, StoredValues } from "./types.ts";
import { createValues, TYPE_BYTES } from "./types.ts";

/** Rows `[rows, hidden]` of a layer. */
export interface Plane {
  readonly rows: number;
  readonly hidden: number;
  readonly dtype: ActsType;
  /** Rows that are read together: any of them costs all. 1 where each can be read alone. */
  readonly unitRows: number;
  /** Bytes that reading a row of a whole unit costs: more than its own where layers lie side by side. */
  readonly rowBytes: number;
  /** Planes that follow each other in this one, and are read each by itself. */
  readonly parts?: readonly Plane[];
  /** Host bytes that reading so many rows of whole units takes, at most. */
  hostBytes(rows: number): number;
  read(start: number, end: number, options?: ReadOptions): Promise<StoredValues>;
}

/** How a layer lies in an array of rows `[layers, tokens, hidden]`. */
export interface PlaneLayout {
  dtype: ActsType;
  /** Layers of a row of the array, and which of them is meant. */
  layers: number;
  layer: number;
  /** Tokens of a row of the array. */
  tokens: number;
  hidden: number;
}

/** A layer in an array. */
export class ArrayPlane implements Plane {
  readonly rows: number;
  readonly hidden: number;
  readonly dtype: ActsType;
  readonly unitRows: number;
  readonly rowBytes: number;
  readonly #array: ChunkedArray;
  readonly #layout: PlaneLayout;

  constructor(array: ChunkedArray, layout: PlaneLayout) {
    const { layers, tokens, hidden, dtype } = layout;
    const width = elementCount(array.shape.slice(1));
    if (width !== layers * tokens * hidden) {
      throw new RangeError(
        `Cannot read activations: rows of shape [${
          array.shape.slice(1)
        }] have ${width} elements, ` +
          `wanted ${
            layers * tokens * hidden
          }, [${layers} layers, ${tokens} tokens, ${hidden} channels]`,
      );
    }
    this.#array = array;
    this.#layout = layout;
    this.rows = array.shape[0]! * tokens;
    this.hidden = hidden;
    this.dtype = dtype;
    const isHeld = array.values !== undefined;
    this.unitRows = isHeld ? 1 : tokens * (array.wholeChunks ? array.chunkRows : 1);
    this.rowBytes = TYPE_BYTES[dtype] * hidden * (isHeld ? 1 : layers);
  }

  hostBytes(rows: number): number {
    const { hidden, layers } = this.#layout;
    return this.#array.values ? 0 : rows * TYPE_BYTES[this.dtype] * hidden * (layers + 1);
  }

  async read(start: number, end: number, options?: ReadOptions): Promise<StoredValues> {
    const { layers, layer, tokens, hidden } = this.#layout;
    const first = Math.floor(start / tokens);
    const last = Math.ceil(end / tokens);
    const values = await readStored(this.#array, this.dtype, first, last, options);
    if (layers === 1) {
      return values.subarray((start - first * tokens) * hidden, (end - first * tokens) * hidden);
    }
    const own = createValues(this.dtype, (end - start) * hidden);
    for (let row = start; row < end;) {
      const outer = Math.floor(row / tokens);
      const stop = Math.min(end, (outer + 1) * tokens);
      const at = (((outer - first) * layers + layer) * tokens + row % tokens) * hidden;
      own.set(values.subarray(at, at + (stop - row) * hidden), (row - start) * hidden);
      row = stop;
    }
    return own;
  }
}

/** Rows of an array as they are stored. */
async function readStored(
  array: ChunkedArray,
  dtype: ActsType,
  start: number,
  end: number,
  options?: ReadOptions,
): Promise<StoredValues> {
  if (dtype === "float16" && array.readBits) return await array.readBits(start, end, options);
  if (dtype === "bfloat16" && array.readBrainBits) {
    return await array.readBrainBits(start, end, options);
  }
  const values = await array.read(start, end, options);
  if (values instanceof Int16Array) {
    return new Uint16Array(values.buffer, values.byteOffset, values.length);
  }
  return values as StoredValues;
}

/** How many bytes were read of sources, for whoever wants to see it. */
export interface ByteCount {
  bytes: number;
}

/** Reads wanted rows, in their order. */
export interface RowReader {
  /** Wanted rows [from, to), in memory of their own. */
  read(from: number, to: number, options?: ReadOptions): Promise<StoredValues>;
}

/** Reads wanted rows of a plane one after the other. The unit that is begun stays, so that it is read once. */
export class PlaneReader implements RowReader {
  readonly #plane: Plane;
  readonly #map: RowMap;
  readonly #units: UnitReader;

  constructor(plane: Plane, map: RowMap, count: ByteCount) {
    this.#plane = plane;
    this.#map = map;
    this.#units = new UnitReader(plane, count);
  }

  /** Host bytes that {@link read} takes beside its result. */
  static hostBytes(plane: Plane, rows: number): number {
    const { unitRows, hidden, dtype, parts = [] } = plane;
    if (parts.length > 0) {
      return Math.max(...parts.map((part) => PlaneReader.hostBytes(part, rows)));
    }
    const touched = unitRows === 1 ? rows : rows + 2 * unitRows;
    const held = unitRows === 1 ? 0 : unitRows * hidden * TYPE_BYTES[dtype];
    return plane.hostBytes(touched) + held;
  }

  async read(from: number, to: number, options?: ReadOptions): Promise<StoredValues> {
    const { hidden, dtype } = this.#plane;
    const values = createValues(dtype, (to - from) * hidden);
    let at = 0;
    for (const [start, end] of this.#map.stretches(from, to)) {
      for await (const part of this.#units.read(start, end, options)) {
        values.set(part, at);
        at += part.length;
      }
    }
    return values;
  }
}

/** Reads several planes side by side, `[rows, planes, hidden]`: for what is made of all layers of a row. */
export class WideReader implements RowReader {
  readonly #planes: readonly Plane[];
  readonly #readers: readonly RowReader[];

  constructor(planes: readonly Plane[], map: RowMap, count: ByteCount) {
    this.#planes = planes;
    this.#readers = planes.map((plane) => new PlaneReader(plane, map, count));
  }

  async read(from: number, to: number, options?: ReadOptions): Promise<StoredValues> {
    const [{ hidden, dtype }] = this.#planes as [Plane];
    const width = hidden * this.#planes.length;
    const wide = createValues(dtype, (to - from) * width);
    for (const [i, reader] of this.#readers.entries()) {
      const own = await reader.read(from, to, options);
      for (let row = 0; row < to - from; row++) {
        wide.set(own.subarray(row * hidden, (row + 1) * hidden), row * width + i * hidden);
      }
    }
    return wide;
  }
}

/** Reads whole units, and holds the last one. */
class UnitReader {
  readonly #plane: Plane;
  readonly #count: ByteCount;
  readonly #parts: readonly UnitReader[];
  #held: { start: number; end: number; values: StoredValues } | undefined;

  constructor(plane: Plane, count: ByteCount) {
    this.#plane = plane;
    this.#count = count;
    this.#parts = (plane.parts ?? []).map((part) => new UnitReader(part, count));
  }

  async *read(start: number, end: number, options?: ReadOptions): AsyncGenerator<StoredValues> {
    const { unitRows, hidden, rows, rowBytes } = this.#plane;
    if (this.#parts.length > 0) {
      for (const { part, from, to } of withinParts(this.#plane.parts!, start, end)) {
        yield* this.#parts[part]!.read(from, to, options);
      }
      return;
    }
    const cut = (
      { start: first, values }: { start: number; values: StoredValues },
      from: number,
      to: number,
    ) => values.subarray((from - first) * hidden, (to - first) * hidden);
    if (unitRows === 1) {
      this.#count.bytes += (end - start) * rowBytes;
      yield await this.#plane.read(start, end, options);
      return;
    }
    const held = this.#held;
    if (held && held.start <= start && start < held.end) {
      const stop = Math.min(end, held.end);
      yield cut(held, start, stop);
      start = stop;
    }
    if (start >= end) return;
    const first = Math.floor(start / unitRows) * unitRows;
    const last = Math.min(rows, Math.ceil(end / unitRows) * unitRows);
    this.#count.bytes += (last - first) * rowBytes;
    const read = { start: first, values: await this.#plane.read(first, last, options) };
    const lastUnit = Math.max(first, Math.floor((last - 1) / unitRows) * unitRows);
    this.#held = { start: lastUnit, end: last, values: cut(read, lastUnit, last).slice() };
    yield cut(read, start, end);
  }
}

/** Which rows of which parts rows [start, end) of the whole are. */
function* withinParts(
  parts: readonly Plane[],
  start: number,
  end: number,
): Generator<{ part: number; from: number; to: number }> {
  let before = 0;
  for (const [part, { rows }] of parts.entries()) {
    const from = Math.max(start, before);
    const to = Math.min(end, before + rows);
    if (from < to) yield { part, from: from - before, to: to - before };
    before += rows;
  }
}

/** Bytes of reading: of all that has to be read, and of the rows alone. */
export interface BytesToRead {
  forced: number;
  needed: number;
}

/** Bytes that reading all rows of a map costs, as {@link PlaneReader} reads them, and bytes of the rows alone. */
export function bytesToRead(plane: Plane, map: RowMap): BytesToRead {
  const { unitRows, rowBytes, rows, hidden, dtype, parts = [] } = plane;
  const needed = map.rows * hidden * TYPE_BYTES[dtype];
  if (parts.length > 0) {
    const within: [number, number][][] = parts.map(() => []);
    for (const [start, end] of map.stretches()) {
      for (const { part, from, to } of withinParts(parts, start, end)) {
        within[part]!.push([from, to]);
      }
    }
    const own = parts.map((part, i) => bytesToRead(part, RowMap.of(within[i]!)));
    return { forced: own.reduce((sum, { forced }) => sum + forced, 0), needed };
  }
  if (unitRows === 1) return { forced: map.rows * rowBytes, needed };
  let forced = 0;
  let held = -1;
  for (const [start, end] of map.stretches()) {
    const first = Math.floor(start / unitRows);
    const last = Math.floor((end - 1) / unitRows);
    const from = first === held ? first + 1 : first;
    const read = Math.min(rows, (last + 1) * unitRows) - from * unitRows;
    if (from <= last) forced += read * rowBytes;
    held = last;
  }
  return { forced, needed };
}
