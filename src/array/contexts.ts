/**
 * The recent past of frames: a virtual array whose rows are runs of frames before a target frame.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "./chunked_array.ts";
import { checkRows } from "./chunked_array.ts";
import type { Segment } from "./windows.ts";

/** How contexts lie over frames. */
export interface ContextOptions {
  /** Frames of a context. */
  width: number;
  /** Frames from the last one of a context to its target; 1 for the one just before. */
  lag: number;
  /** Their mean, or all of them one after the other. */
  mode: "mean" | "flat";
  /** Runs of frames that no context crosses, [start, end). */
  segments: readonly Segment[];
  /** First target of a segment, in frames from its start, where that is later than need be. */
  firstTarget?: number;
}

/**
 * Contexts of frames as an array, f32. It holds no frames, and `base` stays the caller's to close.
 *
 * @param frames `[frames, features]` of any number type.
 * @throws {RangeError} If an option makes no sense or no segment is long enough; the message says which.
 */
export function contexts(frames: ChunkedArray, options: ContextOptions): ContextView {
  return new ContextView(frames, options);
}

/**
 * `[rows, features]` for `mean`, `[rows, width * features]` for `flat`: a row for every frame t of a
 * segment with t >= width - 1 + lag and t >= 1, counted in the segment, or t >= firstTarget. It is made of the
 * frames from t - lag - width + 1 up to t - lag.
 */
export class ContextView implements ChunkedArray {
  readonly shape: readonly number[];
  readonly dtype = "float32";
  readonly dims = undefined;
  readonly chunkRows: number;
  readonly base: ChunkedArray;
  readonly width: number;
  readonly lag: number;
  readonly mode: "mean" | "flat";
  readonly segments: readonly Segment[];
  readonly #first: number;
  /** Rows before each segment, and in all. */
  readonly #counts: Float64Array;

  constructor(base: ChunkedArray, { width, lag, mode, segments, firstTarget = 0 }: ContextOptions) {
    for (const [name, value] of [["width", width], ["lag", lag]] as const) {
      if (!(Number.isInteger(value) && value >= 1)) {
        throw new RangeError(
          `Cannot make contexts: ${name} is ${value}, wanted a whole number from 1`,
        );
      }
    }
    const [frames, features] = base.shape as [number, number];
    const outside = segments.find(({ start, end }) =>
      !(start >= 0 && start < end && end <= frames)
    );
    if (base.shape.length !== 2 || outside) {
      throw new RangeError(
        `Cannot make contexts: frames have shape [${base.shape}]` +
          (outside ? `, a segment is [${outside.start}, ${outside.end})` : ", wanted two axes"),
      );
    }
    this.base = base;
    this.width = width;
    this.lag = lag;
    this.mode = mode;
    this.segments = segments;
    this.#first = Math.max(width - 1 + lag, 1, firstTarget);
    this.#counts = new Float64Array(segments.length + 1);
    segments.forEach(({ start, end }, i) => {
      this.#counts[i + 1] = this.#counts[i]! + Math.max(0, end - start - this.#first);
    });
    const rows = this.#counts.at(-1)!;
    if (rows === 0) {
      throw new RangeError(
        `Cannot make contexts: none of ${segments.length} segments has more than ${this.#first} frames`,
      );
    }
    this.shape = [rows, mode === "mean" ? features : width * features];
    this.chunkRows = base.chunkRows;
  }

  /** Frames of `base` that rows [start, end) lead up to. */
  targets(start: number, end: number): Float64Array {
    checkRows(this.shape, start, end);
    const frames = new Float64Array(end - start);
    for (const { row, target, count } of this.#runs(start, end)) {
      for (let i = 0; i < count; i++) frames[row - start + i] = target + i;
    }
    return frames;
  }

  async read(start: number, end: number, options?: ReadOptions): Promise<Float32Array> {
    checkRows(this.shape, start, end);
    const { base, width, lag, mode } = this;
    const [features, columns] = [base.shape[1]!, this.shape[1]!];
    const rows = new Float32Array((end - start) * columns);
    for (const { row, target, count } of this.#runs(start, end)) {
      const first = target - lag - width + 1;
      const frames = await base.read(first, first + width + count - 1, options) as Float32Array;
      for (let i = 0; i < count; i++) {
        const at = (row - start + i) * columns;
        if (mode === "flat") {
          rows.set(frames.subarray(i * features, (i + width) * features), at);
          continue;
        }
        for (let d = 0; d < features; d++) {
          let sum = 0;
          for (let w = 0; w < width; w++) sum += frames[(i + w) * features + d]!;
          rows[at + d] = sum / width;
        }
      }
    }
    return rows;
  }

  /** Does nothing: the frames stay open. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Runs of rows within a segment each: the first of them, its target frame, and how many. */
  *#runs(start: number, end: number): Generator<{ row: number; target: number; count: number }> {
    let [low, high] = [0, this.segments.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#counts[middle]! <= start) low = middle;
      else high = middle - 1;
    }
    for (let row = start, segment = low; row < end; segment++) {
      const count = Math.min(end, this.#counts[segment + 1]!) - row;
      if (count <= 0) continue;
      const target = this.segments[segment]!.start + this.#first + row - this.#counts[segment]!;
      yield { row, target, count };
      row += count;
    }
  }
}
