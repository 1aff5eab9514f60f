/**
 * Windows over frame embeddings, with labels, made into batches on demand.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { fromTypedArray } from "../array/array.ts";
import type { Padding } from "../array/window_reading.ts";
import type { Segment, WindowGrid } from "../array/window_view.ts";
import { segmentsOf, WindowView } from "../array/window_view.ts";
import { Gpu } from "../gpu/device.ts";
import type { NumericArray } from "../types.ts";
import type { BatchOptions, HostBatchOptions } from "./batch_options.ts";
import { Batches } from "./batches.ts";
import type { Told } from "./companions.ts";
import { Companions } from "./companions.ts";
import type { KeyOptions } from "./keys.ts";
import { Key } from "./keys.ts";
import type { Segments, WantedSegments } from "./segments.ts";
import { chooseSegments, isSegments, readSegments } from "./segments.ts";
import { splitCounts } from "./split.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, flag, isArrayLike, isObject, numbers, oneOf, whole } from "../options.ts";
import type { DeviceBatch, HostBatch, WindowBatch } from "./window_batch.ts";

export const paddingOptions = declare("pad windows", {
  /** Frames before the first of a segment, fewer than a window has. Default 0. */
  before: whole({ default: 0, from: 0, says: "frames before the first of a segment" }),
  /** Frames after the last, fewer than a window has. Default 0. */
  after: whole({ default: 0, from: 0, says: "frames after the last" }),
  /** The first or the last frame again, or 0. Default `"edge"`. */
  mode: oneOf(["edge", "zero"], {
    default: "edge",
    says: "the first or the last frame again, or 0",
  }),
});

/** How windows are padded. */
export type PaddingOptions = OptionsOf<typeof paddingOptions>;

export const windowOptions = declare("make windows", {
  /** Frames of a window. */
  size: whole({ required: true, from: 1, says: "frames of a window" }),
  /** Frames from the start of one window to that of the next. Default 1. */
  stride: whole({ default: 1, from: 1, says: "frames from one window to the next" }),
  /**
   * First frame of every segment, ascending from 0; `[from, to]` of each; `{ ends }`, one past the last
   * frame of each; or `{ ids }`, the id of the segment that each frame is of. No window crosses into
   * another segment.
   */
  segments: custom("an array, { ends } or { ids }", isSegments as Is<Segments>, {
    takes: "S",
    otherwise: "one of all frames",
    says:
      "first frame of every segment, from 0; or [from, to] of each, { ends }, or { ids } of frames. Windows do not cross",
    helps: "first frame of every segment, from 0; windows do not cross",
  }),
  /**
   * Frames that windows may have before the first of their segment and after its last: `{ before, after,
   * mode }`. Batches have a mask then. Default: none.
   */
  pad: custom("{ before, after, mode }", isObject as Is<PaddingOptions>, {
    otherwise: "none",
    says: "frames that windows may have beyond their segment",
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
  /**
   * Other values of frames, by name, each at offsets from a window's last frame: `{ action: { values,
   * offsets: [0, 1, 2] } }`.
   */
  keys: custom("keys by name", isObject as Is<Readonly<Record<string, KeyOptions>>>, {
    says: "other values of frames, each at offsets from a window's last frame",
  }),
});

/** Options of {@link windows}. */
export type WindowOptions = OptionsOf<typeof windowOptions>;

/**
 * Several arrays of the same frames, by name. Windows are made of the first; each of the others comes at
 * the frames of a window, or as its options say.
 */
export type WindowKeys = Readonly<Record<string, ChunkedArray | NumericArray | KeyOptions>>;

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
 * @example Observations, the actions that follow, and a reward for every frame of a window
 * ```ts
 * const view = windows(
 *   { observation, action: { values: actions, offsets: [0, 1, 2, 3], outside: "zero" }, reward },
 *   { size: 2, segments },
 * );
 * for await (const { frames, keys } of view.batches()) step(frames, keys.action.values, keys.reward.values);
 * ```
 *
 * @param frames [frames, ...] of at most 32 bits an element, or several arrays by name, the first of which
 * is made windows of. They stay the caller's to close.
 * @throws {RangeError} If size or stride are not whole numbers from 1; segments do not ascend from 0
 * within the frames, or one is empty; no segment is long enough; there is not one label or weight per frame.
 */
export function windows(
  frames: ChunkedArray | NumericArray | WindowKeys,
  options: WindowOptions,
): Windows {
  const { base, keys: beside } = framesOf(frames);
  const { labels, weights, delay, previous, keys: own = {}, pad: given, segments: told, ...grid } =
    windowOptions.check(options);
  const pad = given && paddingOf(given, grid.size, delay);
  if ((previous || delay > 0) && !labels && !weights) {
    throw new TypeError("Cannot make windows: previous and delay want labels, none were given");
  }
  const count = base.shape[0]!;
  const segments = told ? readSegments(told, count) : segmentsOf([0], count);
  const place = { frames: count, size: grid.size, segments };
  const keys = Object.entries({ ...beside, ...own }).map(([name, key]) => {
    if (name in own && name in beside) {
      throw new TypeError(`Cannot make windows: key "${name}" is given twice`);
    }
    return new Key(name, key, place);
  });
  if (weights && weights.length !== count) {
    throw new RangeError(
      `Cannot make windows: got ${weights.length} weights, there are ${count} frames`,
    );
  }
  const all = { labels: labels && labelsOf(labels, count), weights, delay, previous, keys };
  return new Windows(base, { ...grid, pad }, all, segments);
}

/** The first of several keys, and the others beside it. */
function framesOf(given: ChunkedArray | NumericArray | WindowKeys) {
  if (isArray(given)) return { base: given, keys: {} };
  if (ArrayBuffer.isView(given)) return { base: fromTypedArray(given as NumericArray), keys: {} };
  const [first, ...others] = Object.entries(given as WindowKeys);
  if (!first) throw new TypeError("Cannot make windows: there is no key, wanted frames at least");
  const [name, frames] = first;
  if (!isArrayLike(frames)) {
    throw new TypeError(
      `Cannot make windows: key "${name}" comes first, so that windows are made of it: wanted an ` +
        "array alone, offsets and others belong to the keys after it",
    );
  }
  const array = frames as ChunkedArray | NumericArray;
  return {
    base: isArray(array) ? array : fromTypedArray(array),
    keys: Object.fromEntries(
      others.map(([name, key]) => [name, isArrayLike(key) ? { values: key } : key]),
    ) as Record<string, KeyOptions>,
  };
}

function paddingOf(given: PaddingOptions, size: number, delay: number): Padding | undefined {
  const pad = paddingOptions.check(given);
  for (const side of ["before", "after"] as const) {
    if (pad[side] < size) continue;
    throw new RangeError(
      `Cannot pad windows: ${side} is ${
        pad[side]
      }, windows of ${size} frames want at least one real, ` +
        `so at most ${size - 1}`,
    );
  }
  if (pad.after > 0 && delay > 0) {
    throw new RangeError(
      `Cannot pad windows: after is ${pad.after} and labels come ${delay} frames later, where there ` +
        "are none; wanted one of both to be 0",
    );
  }
  return pad.before + pad.after > 0 ? pad : undefined;
}

/** Two parts of windows, and the share that the first has. */
export type WindowSplit = [first: Windows, second: Windows] & { readonly ratio: number };

/** What {@link windows} makes. */
export class Windows extends WindowView {
  readonly #grid: WindowGrid;
  readonly #told: Told;

  constructor(
    base: ChunkedArray,
    grid: WindowGrid,
    told: Told,
    segments: readonly Segment[],
  ) {
    // what comes before the labelled frame of the first window has to be there
    const lead = grid.pad?.before ?? 0;
    const before = told.previous ? Math.max(0, lead + 2 - grid.size - told.delay) : 0;
    const least = told.previous ? 2 : 1;
    super(base, { ...grid, before, after: told.delay, least }, segments);
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
    return new Batches<WindowBatch>(this, gpu, options, new Companions(this, this.#told));
  }

  /**
   * The frame each window is labelled by, or another one: `shift` frames from it. That of a window whose
   * last frames are padding is the last real one.
   */
  labelledFrame(window: number, shift = 0): number {
    const frame = this.startOf(window) + this.size - 1 + this.#told.delay;
    if (!this.padding) return frame + shift;
    return Math.min(frame, this.segments[this.segmentOf(window)]!.end - 1) + shift;
  }

  /** Which frames of some windows are real, [windows, size]: 1, or 0 for padding. */
  maskOf(windows: ArrayLike<number>): Uint8Array {
    const mask = new Uint8Array(windows.length * this.size);
    for (let i = 0; i < windows.length; i++) {
      const { lead, frames } = this.realOf(windows[i]!);
      mask.fill(1, i * this.size + lead, i * this.size + lead + frames);
    }
    return mask;
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

  /** Number among {@link segments} of the one each window lies in, [windows]: classes for {@link balanced}. */
  segmentNumbers(): Uint32Array {
    const numbers = new Uint32Array(this.shape[0]!);
    let window = 0;
    this.segments.forEach((_, number) => {
      const end = window + this.windowsOf(number);
      numbers.fill(number, window, window = end);
    });
    return numbers;
  }

  /**
   * Windows of some segments, in the order those lie in.
   *
   * @param wanted Ids, numbers among {@link segments} where they have none, or whether each is wanted.
   * @throws {RangeError} If there is no such segment, one is named twice, or none has a window.
   */
  select(wanted: WantedSegments): Windows {
    const taken = chooseSegments(wanted, this.segments);
    if (!taken.includes(true)) {
      throw new RangeError("Cannot choose segments: none is named, wanted at least one");
    }
    return this.#part(this.segments.filter((_, number) => taken[number]));
  }

  /**
   * Splits whole segments: those that are listed and the others, or so that the first part has as near
   * to `ratio` of the windows as segments allow. Which ones these are, of many ways that are as near, the
   * seed says. No frame is in both.
   *
   * Up to 32 segments that is the nearest there is, or nearer than 1 in 2,000 windows; of more, one from
   * which no segment that is moved, and no two that change places, lead nearer.
   *
   * @param ratio Or the segments of the first part, as {@link select} takes them.
   * @returns Both parts, and `ratio`, what share of the windows the first has.
   * @throws {RangeError} If a part would have no window: with a single segment there is no split that
   * keeps frames apart.
   */
  split(ratio: number | WantedSegments, seed = 0): WindowSplit {
    const counts = this.segments.map((_, number) => this.windowsOf(number));
    const taken = typeof ratio === "number"
      ? splitCounts(counts, ratio, seed)
      : chooseSegments(ratio, this.segments);
    for (const [isFirst, part] of [[true, "first"], [false, "second"]] as const) {
      if (counts.some((count, number) => count > 0 && Boolean(taken[number]) === isFirst)) continue;
      throw new RangeError(
        `Cannot split windows: the ${part} part would have none, wanted segments with windows in both`,
      );
    }
    const part = (isFirst: boolean) =>
      this.#part(
        this.segments.filter((_, i) => counts[i]! > 0 && Boolean(taken[i]) === isFirst),
      );
    const [first, second] = [part(true), part(false)];
    return Object.assign([first, second] as [Windows, Windows], {
      ratio: first.shape[0]! / this.shape[0]!,
    });
  }

  #part(segments: readonly Segment[]): Windows {
    return new Windows(this.base, this.#grid, this.#told, segments);
  }
}

function isArray(values: unknown): values is ChunkedArray {
  return typeof (values as ChunkedArray).read === "function";
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
