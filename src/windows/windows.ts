/**
 * Windows over frame embeddings, with labels, made into batches on demand.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { fromTypedArray, readAll } from "../array/array.ts";
import type { Segment, WindowGrid } from "../array/window_view.ts";
import { WindowView } from "../array/window_view.ts";
import { Gpu } from "../gpu/device.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { elementBytes, elementCount } from "../zarr/data_types.ts";
import type { NumericArray } from "../types.ts";
import type { BatchOptions, HostBatchOptions } from "./batch_options.ts";
import { Batches } from "./batches.ts";
import { checkSeed, permutation } from "../feed/order.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, flag, isList, isObject, numbers, whole } from "../options.ts";
import type { Companions, DeviceBatch, HostBatch, WindowBatch } from "./window_batch.ts";

const isArrayLike = (value: unknown) =>
  isList(value) || isObject(value) && "read" in (value as object);

export const windowOptions = declare("make windows", {
  /** Frames of a window. */
  size: whole({ required: true, from: 1, says: "frames of a window" }),
  /** Frames from the start of one window to that of the next. Default 1. */
  stride: whole({ default: 1, from: 1, says: "frames from one window to the next" }),
  /** First frame of every segment, ascending from 0; no window crosses into another segment. */
  segments: numbers({
    takes: "S",
    otherwise: "one of all frames",
    says: "first frame of every segment, from 0; windows do not cross",
  }),
  /** A label per frame: [frames] or [frames, ...]. A window has that of its last frame. */
  labels: custom(
    "an array",
    isArrayLike as Is<ChunkedArray | NumericArray>,
    { says: "a label for each frame; a window has that of its last frame" },
  ),
  /** Frames by which labels come later: a window has the label of that many frames after its last. */
  delay: whole({ default: 0, from: 0, flag: false, says: "frames by which labels come later" }),
  /** Whether batches have the label of the frame before the labelled one, too. */
  previous: flag({
    default: false,
    flag: false,
    says: "give the label of the frame before the labelled one too",
  }),
  /**
   * A weight per frame, [frames]; a window has that of its labelled frame. One that depends on what came
   * before, as on a change of action, is to be worked out from the frame before.
   */
  weights: numbers({ says: "a weight for each frame; a window has that of its labelled frame" }),
});

/** Options of {@link windows}. */
export type WindowOptions = OptionsOf<typeof windowOptions>;

/**
 * Windows over frames: a virtual array [windows, size, ...] that copies nothing until it is read or
 * made into batches.
 *
 * Window i of a segment covers its frames from i stride on, and is labelled by its last frame, or by
 * the one `delay` frames later. Windows, and the frames of their labels, lie within a segment: of L
 * frames there are floor((L - size - delay) / stride) + 1. With `previous` and windows of one frame and
 * no delay, the first frame of a segment has none before it and starts no window.
 *
 * @example Batches on the GPU, shuffled by a seed
 * ```ts
 * const frames = await openArray("frames.zarr/embeddings");
 * const view = windows(frames, { size: 30, segments, labels });
 * for await (const batch of view.batches(gpu, { size: 256, shuffle: 7 })) {
 *   step(batch.buffer, batch.shape, batch.labels);
 * }
 * ```
 *
 * @param frames [frames, ...] of at most 32 bits an element. They stay the caller's to close.
 * @throws {RangeError} If size or stride are not whole numbers from 1; segments do not ascend from 0
 * within the frames, or one is empty; no segment is long enough; there is not one label or weight per frame.
 */
export function windows(frames: ChunkedArray | NumericArray, options: WindowOptions): Windows {
  const base = isArray(frames) ? frames : fromTypedArray(frames);
  const { labels, weights, delay, previous, ...grid } = windowOptions.check(options);
  if ((previous || delay > 0) && !labels && !weights) {
    throw new TypeError("Cannot make windows: previous and delay want labels, none were given");
  }
  const count = base.shape[0]!;
  const told = { labels: labels && labelsOf(labels, count), weights, delay, previous };
  if (weights && weights.length !== count) {
    throw new RangeError(
      `Cannot make windows: got ${weights.length} weights, there are ${count} frames`,
    );
  }
  return new Windows(base, grid, told);
}

/** What windows know of frames besides the frames. */
interface Told {
  labels: ChunkedArray | undefined;
  weights: ArrayLike<number> | undefined;
  delay: number;
  previous: boolean;
}

/** What {@link windows} makes. */
export class Windows extends WindowView {
  readonly #grid: WindowGrid;
  readonly #told: Told;

  constructor(
    base: ChunkedArray,
    grid: WindowGrid,
    told: Told,
    segments?: readonly Segment[],
  ) {
    const { size } = grid;
    // only a window of one frame may have no frame before the one it is labelled by
    const before = told.previous && size + told.delay === 1 ? 1 : 0;
    super(base, { ...grid, before, after: told.delay }, segments);
    this.#grid = grid;
    this.#told = told;
  }

  /**
   * Batches of windows: in buffers of a GPU, or as typed arrays where none is given. Planned at once;
   * frames are read when they are iterated over.
   *
   * @throws {TypeError} If an option is not known, or of another kind.
   * @throws {RangeError} If an option is out of its range.
   * @throws {BudgetError} If a batch and the frames it needs exceed the budget.
   */
  batches(gpu: Gpu, options?: BatchOptions): Batches<DeviceBatch>;
  batches(options?: HostBatchOptions): Batches<HostBatch>;
  batches(first: Gpu | HostBatchOptions = {}, second: BatchOptions = {}): Batches<WindowBatch> {
    const gpu = first instanceof Gpu ? first : undefined;
    const options = gpu ? second : first as HostBatchOptions;
    return new Batches<WindowBatch>(this, gpu, options, this.#companions());
  }

  /** The frame each window is labelled by, or another one: `shift` frames from it. */
  labelledFrame(window: number, shift = 0): number {
    return this.startOf(window) + this.size - 1 + this.#told.delay + shift;
  }

  /**
   * What values of frames are at the labelled frames: [windows], as samplers take them.
   *
   * @param values [frames].
   */
  atLabels(values: ArrayLike<number>): Float64Array {
    const [frames] = this.base.shape;
    if (values.length !== frames) {
      throw new RangeError(
        `Cannot align values: got ${values.length}, there are ${frames} frames`,
      );
    }
    return Float64Array.from(
      { length: this.shape[0]! },
      (_, window) => values[this.labelledFrame(window)]!,
    );
  }

  /**
   * Splits whole segments, in an order drawn by the seed, so that the first part has about `ratio` of
   * the windows. No frame is in both.
   *
   * @throws {RangeError} If a part would have no window: with a single segment there is no split that
   * keeps frames apart.
   */
  split(ratio: number, seed = 0): [Windows, Windows] {
    if (!(ratio > 0 && ratio < 1)) {
      throw new RangeError(
        `Cannot split windows: the ratio is ${ratio}, wanted one between 0 and 1`,
      );
    }
    checkSeed(seed, "split windows");
    const counted = this.segments.map((segment) => ({ segment, windows: this.#count(segment) }))
      .filter(({ windows }) => windows > 0);
    if (counted.length < 2) {
      throw new RangeError(
        `Cannot split windows: ${counted.length} segment has any, wanted at least 2 to keep frames ` +
          "of one apart from those of the other",
      );
    }
    const order = permutation(counted.length, seed, 0);
    const wanted = ratio * this.shape[0]!;
    let taken = 0;
    const first = new Set<Segment>();
    for (let i = 0; i < counted.length - 1; i++) {
      const { segment, windows } = counted[order.at(i)]!;
      // the nearest that whole segments come
      if (first.size > 0 && Math.abs(taken + windows - wanted) >= Math.abs(taken - wanted)) break;
      first.add(segment);
      taken += windows;
    }
    const part = (inFirst: boolean) =>
      new Windows(
        this.base,
        this.#grid,
        this.#told,
        counted.map(({ segment }) => segment).filter((segment) => first.has(segment) === inFirst),
      );
    return [part(true), part(false)];
  }

  #count({ start, end }: Segment): number {
    const { delay, previous } = this.#told;
    const around = delay + (previous && this.size + delay === 1 ? 1 : 0);
    return Math.max(0, Math.floor((end - start - around - this.size) / this.stride) + 1);
  }

  #companions(): Companions {
    const { labels, weights, previous } = this.#told;
    const inner = labels?.shape.slice(1) ?? [];
    const width = labels ? elementCount(inner) : 0;
    const labelBytes = labels ? width * elementBytes(labels.dtype as NumericType) : 0;
    let values: NumericArray | undefined;
    const pick = (windows: Uint32Array, shift: number): NumericArray => {
      const all = values!;
      const picked = new (all.constructor as new (length: number) => NumericArray)(
        windows.length * width,
      );
      windows.forEach((window, i) => {
        const from = this.labelledFrame(window, shift) * width;
        (picked as Float32Array).set(all.subarray(from, from + width) as Float32Array, i * width);
      });
      return picked;
    };
    return {
      // decoded halves are twice as wide
      heldBytes: labels && !labels.values ? 2 * labels.shape[0]! * labelBytes : 0,
      windowBytes: 2 * labelBytes * (previous ? 2 : 1) + (weights ? 4 : 0),
      async load(signal) {
        if (labels) values = labels.values ?? await readAll(labels, { signal });
      },
      of: (windows) => ({
        ...(labels && { labels: pick(windows, 0) }),
        ...(labels && previous && { previous: pick(windows, -1) }),
        ...(weights && {
          weights: Float32Array.from(windows, (window) => weights[this.labelledFrame(window)]!),
        }),
      }),
    };
  }
}

function isArray(values: ChunkedArray | NumericArray): values is ChunkedArray {
  return "read" in values;
}

function labelsOf(labels: ChunkedArray | NumericArray, frames: number): ChunkedArray {
  if (!isArray(labels)) {
    const width = labels.length / frames;
    const whole = Number.isInteger(width) && width > 0;
    if (whole) return fromTypedArray(labels, width === 1 ? [frames] : [frames, width]);
    throw new RangeError(
      `Cannot label windows: got ${labels.length} elements, wanted one or more for each of the ` +
        `${frames} frames`,
    );
  }
  if (labels.dtype === "string") throw new TypeError("Cannot label windows: labels are strings");
  if (labels.shape[0] !== frames) {
    throw new RangeError(
      `Cannot label windows: got ${labels.shape[0]} labels, there are ${frames} frames`,
    );
  }
  return labels;
}
