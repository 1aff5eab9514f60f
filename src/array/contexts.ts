/**
 * Contexts: the frames before a target frame as a row, none of which is stored.
 *
 * @module
 */

import { displayedArray } from "../display.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { toNumbers } from "../chunked_array.ts";
import type { Segment } from "./window_view.ts";
import { segmentsOf, WindowView } from "./window_view.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, isList, oneOf, whole } from "../options.ts";

export const contextOptions = declare("make contexts", {
  /** Frames of a context. */
  width: whole({
    required: true,
    from: 1,
    flag: "context",
    takes: "W",
    says: "frames of a context",
  }),
  /** Frames from the last one of a context to its target. Default 1. */
  lag: whole({
    default: 1,
    from: 0,
    takes: "L",
    says: "frames from the last of a context to its target",
  }),
  /** Their mean, `[features]`, or all of them one after the other, `[width * features]`. */
  mode: oneOf(["mean", "flat"], {
    required: true,
    flag: "context-mode",
    takes: "MODE",
    says: "their mean, or flat: one after the other",
  }),
  /**
   * First frame of every segment, ascending from 0, or segments that leave frames out, ascending; no
   * context crosses into another. Default [0].
   */
  segments: custom(
    "first frames, or segments of { start, end }",
    isList as Is<ArrayLike<number> | readonly Segment[]>,
    { takes: "S", says: "first frame of every segment, from 0; contexts do not cross" },
  ),
  /**
   * Least target, counted from its segment's first frame, so that contexts of several lags have the
   * same targets: max(width - 1 + largest lag, 1). Default: the least there is for this lag.
   */
  firstTarget: whole({
    from: 0,
    takes: "T",
    otherwise: "width - 1 + lag",
    says: "least target of a segment, for the same rows at several lags",
  }),
});

/** How {@link contexts} are made. */
export type ContextOptions = OptionsOf<typeof contextOptions>;

/** Rows of a segment: each begins a frame after the one before it. */
export interface ContextRun {
  /** The first row, and how many there are. */
  row: number;
  rows: number;
  /** First frame of the first row. */
  frame: number;
}

/**
 * A view of the contexts of frames: the row of target t holds frames [t - lag - width + 1, t - lag], as
 * their mean or one after the other. A segment has a row for every t >= max(width - 1 + lag, 1,
 * firstTarget), counted from its first frame; one that is too short has none.
 *
 * {@link PCA} takes flat contexts by the frames they are made of, width times fewer.
 *
 * @example
 * ```ts
 * const frames = await openArray("latents.npy"); // [frames, features]
 * const rows = contexts(frames, { width: 8, lag: 1, mode: "flat", segments });
 * const pca = await new PCA({ components: 8 }).fit(gpu, rows).run();
 * ```
 *
 * @param frames `[frames, features]` of any number type. They stay the caller's to close.
 * @returns `[rows, features]` or `[rows, width * features]`: f32, or f64 for frames that f32 may not hold (f64
 * and integers of 32 and 64 bits); means are summed in f64.
 * @throws {TypeError} If frames are no numbers, or an option is of another kind.
 * @throws {RangeError} If frames have other axes, an option is out of its range, segments do not ascend
 * within the frames, or none is long enough.
 */
export function contexts(frames: ChunkedArray, options: ContextOptions): ContextView {
  return new ContextView(frames, options);
}

/** What {@link contexts} makes. */
export class ContextView implements ChunkedArray {
  readonly shape: readonly [rows: number, features: number];
  readonly dtype: "float32" | "float64";
  readonly dims = undefined;
  readonly chunkRows: number;
  readonly base: ChunkedArray;
  readonly width: number;
  readonly lag: number;
  readonly mode: "mean" | "flat";
  /** All segments, also those that have no rows. */
  readonly segments: readonly Segment[];
  /** Where the rows of segments that have any lie among the frames. */
  readonly runs: readonly ContextRun[];
  readonly #windows: WindowView;

  constructor(base: ChunkedArray, options: ContextOptions) {
    const { width, lag, mode, firstTarget = 0, segments: given = [0] } = contextOptions.check(
      options,
    );
    if (base.shape.length !== 2) {
      throw new RangeError(
        `Cannot make contexts: frames have shape [${base.shape}], wanted [frames, features]`,
      );
    }
    const reach = width - 1 + lag;
    const before = Math.max(reach, 1, firstTarget) - reach;
    const segments = segmentsIn(base.shape[0]!, given);
    const grid = { size: width, before, after: lag };
    this.#windows = new WindowView(base, grid, segments, "context");
    this.base = base;
    this.width = width;
    this.lag = lag;
    this.mode = mode;
    this.segments = this.#windows.segments;
    this.chunkRows = base.chunkRows;
    this.dtype = /(int32|64)$/.test(base.dtype) ? "float64" : "float32";
    const rows = this.#windows.shape[0]!;
    this.shape = [rows, (mode === "flat" ? width : 1) * base.shape[1]!];
    const runs: ContextRun[] = [];
    let row = 0;
    for (const { start, end } of this.segments) {
      const own = end - start - before - reach;
      if (own <= 0) continue;
      runs.push({ row, rows: own, frame: start + before });
      row += own;
    }
    this.runs = runs;
  }

  get places(): readonly string[] | undefined {
    return this.base.places;
  }

  /** Target frames of rows [start, end). */
  targets(start = 0, end: number = this.shape[0]): Float64Array {
    const reach = this.width - 1 + this.lag;
    return Float64Array.from(this.#windows.starts(start, end), (frame) => frame + reach);
  }

  async read(
    start: number,
    end: number,
    options?: ReadOptions,
  ): Promise<Float32Array | Float64Array> {
    const Values = this.dtype === "float64" ? Float64Array : Float32Array;
    if (this.mode === "flat") {
      const values = await this.#windows.read(start, end, options);
      return values instanceof Values ? values : Values.from(toNumbers(values));
    }
    const { base, width, shape: [, features] } = this;
    const means = new Values((end - start) * features);
    const sums = new Float64Array(features);
    const starts = this.#windows.starts(start, end);
    for (let i = 0, next = 0; i < starts.length; i = next) {
      for (next = i + 1; starts[next]! - starts[next - 1]! === 1;) next++;
      const read = await base.read(starts[i]!, starts[next - 1]! + width, options);
      const frames = toNumbers(read);
      for (let row = i; row < next; row++) {
        // each by itself, so that it is the same whatever is read with it
        sums.fill(0);
        let at = (row - i) * features;
        for (let w = 0; w < width; w++) {
          for (let d = 0; d < features; d++) sums[d]! += frames[at++]!;
        }
        for (let d = 0; d < features; d++) means[row * features + d] = sums[d]! / width;
      }
    }
    return means;
  }

  /** Does nothing: the frames stay open. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

displayedArray(ContextView.prototype);

function segmentsIn(
  frames: number,
  segments: ArrayLike<number> | readonly Segment[],
): readonly Segment[] {
  if (typeof segments[0] !== "object") {
    return segmentsOf(segments as ArrayLike<number>, frames, "context");
  }
  const own = segments as readonly Segment[];
  own.forEach(({ start, end }, i) => {
    const least = i === 0 ? 0 : own[i - 1]!.end;
    if (Number.isInteger(start) && start >= least && end > start && end <= frames) return;
    throw new RangeError(
      `Cannot make contexts: segment ${i} is [${start}, ${end}), wanted some of the frames from ` +
        `${least} to ${frames}`,
    );
  });
  return own;
}
