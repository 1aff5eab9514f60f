/**
 * Windows over frames: a virtual array whose rows are runs of another array's rows.
 *
 * @module
 */

import { displayedArray } from "../display.ts";
import { crc32c } from "../math/crc32c.ts";
import { elementCount } from "../zarr/data_types.ts";
import type { NumericArray } from "../types.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import type { Padding, RealFrames } from "./window_reading.ts";
import { readWindows } from "./window_reading.ts";

/** How windows lie over frames. */
export interface WindowGrid {
  /** Frames of a window. */
  size: number;
  /** Frames from the start of one window to that of the next. Default 1. */
  stride?: number;
  /** First frame of every segment, ascending from 0; no window crosses into another segment. */
  segments?: ArrayLike<number>;
  /** Frames that must lie before and after a window in its segment. Default 0. */
  before?: number;
  after?: number;
  /** Frames a segment must have. Default 1. */
  least?: number;
  /** How far windows reach beyond their segment. */
  pad?: Padding | undefined;
}

/** A run of frames, [start, end), and what it is called, where it has an id. */
export interface Segment {
  start: number;
  end: number;
  id?: number | string;
}

/**
 * Windows of frames [frames, ...] as an array [windows, size, ...]. It holds no frames: `read` copies
 * them from `base`, which stays the caller's to close. Window i of a segment of L frames covers the
 * frames from i stride on; there are floor((L - size) / stride) + 1 of them, none where L < size.
 */
export class WindowView implements ChunkedArray {
  readonly shape: readonly number[];
  readonly dtype: ChunkedArray["dtype"];
  readonly dims: readonly string[] | undefined;
  readonly chunkRows: number;
  readonly base: ChunkedArray;
  readonly size: number;
  readonly stride: number;
  /** The segments windows come from. */
  readonly segments: readonly Segment[];
  /** Rows of a `float16` view as bits, and of one that is stored as bfloat16. */
  readonly readBits?: NonNullable<ChunkedArray["readBits"]>;
  readonly readBrainBits?: NonNullable<ChunkedArray["readBrainBits"]>;
  readonly padding: Padding | undefined;
  /** Frames that lie before and after each window in its segment. */
  readonly before: number;
  readonly after: number;
  /** Windows before each segment, and in all. */
  readonly #counts: Float64Array;

  /**
   * @param name What a window is called in errors.
   * @throws {RangeError} If size or stride are not whole numbers from 1, segments are not ascending
   * within the frames or one is empty, or there is not one window.
   */
  constructor(
    base: ChunkedArray,
    grid: WindowGrid,
    segments?: readonly Segment[],
    name = "window",
  ) {
    const { size, stride = 1, before = 0, after = 0, least = 1, pad } = grid;
    const frames = base.shape[0]!;
    if (base.dtype === "string") throw new TypeError(`Cannot make ${name}s: frames are strings`);
    for (const [name, value, least] of [["size", size, 1], ["stride", stride, 1]] as const) {
      if (!Number.isInteger(value) || value < least) {
        throw new RangeError(
          `Cannot make windows: ${name} is ${value}, wanted a whole number from ${least}`,
        );
      }
    }
    // starts are u32 in shaders
    if (frames >= 2 ** 32) {
      throw new RangeError(`Cannot make ${name}s: ${frames} frames, wanted fewer than 2^32`);
    }
    this.base = base;
    this.size = size;
    this.stride = stride;
    this.segments = segments ?? segmentsOf(grid.segments ?? [0], frames, name);
    this.padding = pad;
    this.before = before;
    this.after = after;
    this.#counts = new Float64Array(this.segments.length + 1);
    this.segments.forEach(({ start, end }, i) => {
      const room = end - start - before - after - size + (pad ? pad.before + pad.after : 0);
      const own = room < 0 || end - start < least ? 0 : Math.floor(room / stride) + 1;
      this.#counts[i + 1] = this.#counts[i]! + own;
    });
    const count = this.#counts.at(-1)!;
    if (count === 0) {
      const longest = this.segments.reduce(
        (most, { start, end }) => Math.max(most, end - start),
        0,
      );
      const around = before + after > 0 ? ` and ${before + after} around it` : "";
      throw new RangeError(
        `Cannot make ${name}s: a ${name} has ${size} frames${around}, the longest of ` +
          `${this.segments.length} segments has ${longest}`,
      );
    }
    this.shape = [count, size, ...base.shape.slice(1)];
    this.dtype = base.dtype;
    this.dims = base.dims && ["windows", ...base.dims];
    this.chunkRows = Math.max(1, Math.floor(base.chunkRows / stride));
    for (const name of ["readBits", "readBrainBits"] as const) {
      if (!base[name]) continue;
      this[name] = (start, end, options) =>
        readWindows(this, (from, to) => base[name]!(from, to, options), start, end);
    }
  }

  /** Segments too short for a window. */
  get shortSegments(): number {
    return this.segments.filter((_, i) => this.#counts[i] === this.#counts[i + 1]).length;
  }

  /** Windows of a segment, by its number. */
  windowsOf(segment: number): number {
    return this.#counts[segment + 1]! - this.#counts[segment]!;
  }

  /** A checksum of which frames each window has. */
  get gridChecksum(): number {
    const { size, stride, before, after, padding, segments } = this;
    const { before: lead = 0, after: tail = 0, mode } = padding ?? {};
    const modes = Number(mode === "edge") + 2 * Number(mode === "zero");
    const grid = Float64Array.of(this.shape[0]!, size, stride, before, after, lead, tail, modes);
    let checksum = crc32c(new Uint8Array(grid.buffer));
    for (const { start, end } of segments) {
      checksum = crc32c(new Uint8Array(Float64Array.of(start, end).buffer), checksum);
    }
    return checksum;
  }

  /** Number among {@link segments} of the one a window lies in. */
  segmentOf(window: number): number {
    if (!(Number.isInteger(window) && window >= 0 && window < this.shape[0]!)) {
      throw new RangeError(
        `Cannot find window ${window}: there are ${this.shape[0]} windows, numbered from 0`,
      );
    }
    let [low, high] = [0, this.segments.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#counts[middle]! <= window) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * First frame of a window; where it begins with padding, that many before the first of its segment.
   *
   * @throws {RangeError} If there is no such window.
   */
  startOf(window: number): number {
    const segment = this.segmentOf(window);
    return this.segments[segment]!.start + this.before - (this.padding?.before ?? 0) +
      (window - this.#counts[segment]!) * this.stride;
  }

  /** The frames of a window that lie in its segment. */
  realOf(window: number): RealFrames {
    const start = this.startOf(window);
    if (!this.padding) return { first: start, frames: this.size, lead: 0 };
    const segment = this.segments[this.segmentOf(window)]!;
    const first = Math.max(start, segment.start);
    const frames = Math.min(start + this.size, segment.end) - first;
    return { first, frames, lead: first - start };
  }

  /**
   * First frames of windows [from, to): with {@link base} all that a kernel needs to index into it.
   *
   * @throws {RangeError} If windows are padded: {@link realOf} tells of each what is real.
   */
  starts(from = 0, to: number = this.shape[0]!): Uint32Array<ArrayBuffer> {
    if (this.padding) {
      throw new RangeError(
        "Cannot list the starts of windows: padded ones begin before their frames, wanted realOf()",
      );
    }
    checkRows(this.shape, from, to);
    const starts = new Uint32Array(to - from);
    for (let window = from; window < to;) {
      const segment = this.segmentOf(window);
      const end = Math.min(to, this.#counts[segment + 1]!);
      let start = this.startOf(window);
      for (; window < end; window++, start += this.stride) starts[window - from] = start;
    }
    return starts;
  }

  /** Windows [start, end) as [end - start, size, ...] in C order, copied. */
  read(start: number, end: number, options?: ReadOptions): Promise<NumericArray> {
    return readWindows(this, (from, to) => this.base.read(from, to, options), start, end);
  }

  get places(): readonly string[] | undefined {
    return this.base.places;
  }

  /** The same windows as rows [windows, size * features]. */
  flatten(): ChunkedArray {
    const { shape, dtype, chunkRows, places } = this;
    return {
      places,
      shape: [shape[0]!, elementCount(shape.slice(1))],
      dtype,
      dims: undefined,
      chunkRows,
      read: (start, end, options) => this.read(start, end, options),
      ...(this.readBits && { readBits: this.readBits }),
      ...(this.readBrainBits && { readBrainBits: this.readBrainBits }),
      close: () => Promise.resolve(),
    };
  }

  /** Does nothing: the frames stay open. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

displayedArray(WindowView.prototype);

/** @param name What lies in segments, for errors. */
export function segmentsOf(
  firsts: ArrayLike<number>,
  frames: number,
  name = "window",
): Segment[] {
  const starts = Array.from(firsts, Number);
  if (starts.length === 0) {
    throw new RangeError(
      `Cannot make ${name}s: segments is empty, wanted the first frame of each, from 0`,
    );
  }
  if (starts[0] !== 0) {
    throw new RangeError(
      `Cannot make ${name}s: the first segment starts at frame ${starts[0]}, wanted 0`,
    );
  }
  return starts.map((start, i) => {
    const end = starts[i + 1] ?? frames;
    if (!Number.isInteger(start) || start >= end) {
      throw new RangeError(
        `Cannot make ${name}s: segment ${i} has the frames from ${start} up to ${end}, wanted at ` +
          `least one of the ${frames} frames`,
      );
    }
    return { start, end };
  });
}
