/**
 * Keys: other values of frames that come with windows, each at offsets of its own, such as the actions
 * that follow. They may have another sampling rate, and segments of their own.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { fromTypedArray } from "../array/array.ts";
import type { Segment } from "../array/window_view.ts";
import type { FrameType } from "../feed/frame_table.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, flag, isArrayLike, number, numbers, oneOf } from "../options.ts";
import type { NumericArray } from "../types.ts";
import { elementCount } from "../zarr/data_types.ts";
import type { Segments } from "./segments.ts";
import { isSegments, readSegments } from "./segments.ts";

const FRAME_TYPES: readonly FrameType[] = ["float32", "float16"];

export const keyOptions = declare("take a key", {
  /** A row for each frame: [frames] or [frames, ...], of any type of number; or rows at a rate of their own. */
  values: custom("an array", isArrayLike as Is<ChunkedArray | NumericArray>, {
    required: true,
    says: "a row for each frame, or rows sampled at another rate",
  }),
  /**
   * Which frames, from the last of a window on: `[0, 1, 2, 3]` are that one and the three after it, as an
   * action chunk has them. Seconds where `rate` is given. Default: those of the window.
   */
  offsets: numbers({
    otherwise: "the frames of the window",
    says: "which frames, from the last one of a window on; seconds where a rate is given",
  }),
  /** Frames a second, where offsets are seconds. */
  rate: number({ above: 0, otherwise: "offsets are frames", says: "frames a second" }),
  /** Rows of `values` a second, where they are not those of frames; what comes is the last row up to a time. */
  sampled: number({
    above: 0,
    otherwise: "as frames",
    says: "rows of values a second; what comes is the last row up to a time",
  }),
  /** Where segments lie among rows that are sampled at a rate of their own. Default: in proportion. */
  segments: custom("an array, { ends } or { ids }", isSegments as Is<Segments>, {
    otherwise: "in proportion",
    says: "where segments lie among rows that are sampled at a rate of their own",
  }),
  /** What stands for frames beyond the segment: its first or last one, or 0. Default `"edge"`. */
  outside: oneOf(["edge", "zero"], {
    default: "edge",
    says: "what stands for frames beyond the segment: its first or last one, or 0",
  }),
  /** Elements of a batch: f32, or f16 as bits. Default: as they are. */
  dtype: oneOf(FRAME_TYPES, { otherwise: "as they are", says: "elements of a batch" }),
  /** Where rows are kept: in memory, or on disk, where each batch reads its own. Default `"host"`. */
  rowsIn: oneOf(["host", "disk"], {
    default: "host",
    says: "where rows are kept: in memory, or on disk, from where each batch reads its own",
  }),
  /** Whether batches have a buffer of the device, too. Default false. */
  onDevice: flag({ default: false, says: "give values in a buffer of the device, too" }),
});

/** A key as it is asked for. */
export type KeyOptions = OptionsOf<typeof keyOptions>;

/** A key of a batch. */
export interface KeyBatch {
  /** [windows, offsets, ...] in C order, of the type that the key has. */
  values: NumericArray;
  shape: readonly number[];
  /** A name per axis, where they are known. */
  dims: readonly string[] | undefined;
  /** Along the axis of offsets, as they were asked for: frames, or seconds. */
  offsets: readonly number[];
  /** 1 for a frame of the segment, 0 for one beyond it: [windows, offsets]. */
  mask: Uint8Array;
  /** The same values on the device, where asked for. Later batches write into it again. */
  buffer?: GPUBuffer;
}

/** Where a key is taken from, for a window. */
export interface Anchor {
  /** Its last frame, and the last that is real. */
  last: number;
  lastReal: number;
  segment: Segment;
}

/** Rows of some windows: for each window and offset one, and whether that is within its segment. */
export interface KeyRows {
  rows: Float64Array;
  mask: Uint8Array;
}

/** How far from a row a time may be, in rows: stamps are rounded, and so are products. */
const [NEAR_ROW, NEAR_PRODUCT] = [1e-3, 1e-6];

/** Which rows belong to windows. */
export class Key {
  readonly name: string;
  readonly array: ChunkedArray;
  /** As they were given. */
  readonly offsets: readonly number[];
  readonly outside: "edge" | "zero";
  readonly dtype: FrameType | undefined;
  readonly rowsIn: "host" | "disk";
  readonly onDevice: boolean;
  /** Whether offsets are those of a window's frames, padding or not. */
  readonly #ofWindow: boolean;
  /** Rows from the last frame of a window to each offset, and rows a frame. */
  readonly #steps: readonly number[];
  readonly #ratio: number;
  /** Rows of each segment of frames. */
  readonly #rowsOf: ReadonlyMap<Segment, Segment>;

  /**
   * @param size Frames of a window.
   * @throws {TypeError} If values are no numbers.
   * @throws {RangeError} If rows do not belong to frames, there is no offset, or one between frames.
   */
  constructor(
    name: string,
    given: KeyOptions,
    { frames, size, segments }: { frames: number; size: number; segments: readonly Segment[] },
  ) {
    const { values, rate, sampled, segments: own, ...rest } = keyOptions.check(given);
    const refuse = (reason: string) => new RangeError(`Cannot take key "${name}": ${reason}`);
    if (sampled !== undefined && rate === undefined) {
      throw refuse(`values have ${sampled} rows a second, wanted a rate: frames a second`);
    }
    if (own !== undefined && sampled === undefined) {
      throw refuse("it has segments of its own, wanted sampled: rows of values a second");
    }
    this.name = name;
    this.#ratio = sampled === undefined ? 1 : sampled / rate!;
    this.array = "read" in values
      ? values
      : arrayOf(name, values, own ? undefined : Math.round(frames * this.#ratio));
    if (this.array.dtype === "string") {
      throw new TypeError(`Cannot take key "${name}": it has strings`);
    }
    this.#ofWindow = rest.offsets === undefined;
    this.offsets = Array.from(
      rest.offsets ?? { length: size },
      (offset, i) => rest.offsets ? offset as number : (i + 1 - size) / (rate ?? 1),
    );
    if (this.offsets.length === 0) throw refuse("offsets is empty, wanted at least one");
    this.outside = rest.outside;
    this.dtype = rest.dtype;
    this.rowsIn = rest.rowsIn;
    this.onDevice = rest.onDevice;
    this.#steps = this.offsets.map((offset) => this.#stepOf(offset, rate, sampled));
    const rows = this.array.shape[0]!;
    const wanted = Math.round(frames * this.#ratio);
    if (own === undefined && rows !== wanted) {
      throw refuse(
        `it has ${rows} rows, there are ${frames} frames` +
          (sampled === undefined ? "" : `: wanted ${wanted} rows, or segments of its own`),
      );
    }
    const ownSegments = own
      ? readSegments(own, rows)
      : segments.map(({ start, end }) => this.#inProportion(start, end, refuse));
    if (ownSegments.length !== segments.length) {
      throw refuse(
        `it has ${ownSegments.length} segments, wanted the ${segments.length} that frames have`,
      );
    }
    this.#rowsOf = new Map(segments.map((segment, i) => [segment, ownSegments[i]!]));
  }

  /** Elements of a row. */
  get width(): number {
    return elementCount(this.array.shape.slice(1));
  }

  rowsOf(anchors: readonly Anchor[]): KeyRows {
    const rows = new Float64Array(anchors.length * this.#steps.length);
    const mask = new Uint8Array(rows.length);
    let place = 0;
    for (const { last, lastReal, segment } of anchors) {
      const { start, end } = this.#rowsOf.get(segment)!;
      const first = ((this.#ofWindow ? last : lastReal) - segment.start) * this.#ratio;
      for (const step of this.#steps) {
        const row = start +
          (this.#ratio === 1 ? first + step : Math.floor(first + step + NEAR_PRODUCT));
        mask[place] = Number(row >= start && row < end);
        rows[place++] = Math.max(start, Math.min(row, end - 1));
      }
    }
    return { rows, mask };
  }

  /** Rows from that of an anchor to an offset: whole ones where rows are frames. */
  #stepOf(given: number, rate: number | undefined, sampled: number | undefined): number {
    const step = given * (sampled ?? rate ?? 1);
    const nearest = Math.round(step);
    if (Math.abs(step - nearest) <= (rate ? NEAR_ROW : 0)) return nearest;
    if (this.#ratio !== 1 && Number.isFinite(step)) return step;
    throw new RangeError(
      rate
        ? `Cannot take key "${this.name}" at ${given} s: at ${rate} frames a second that is ` +
          `${step} frames, wanted whole ones`
        : `Cannot take key "${this.name}": an offset is ${given}, wanted whole frames, or seconds ` +
          "and a rate",
    );
  }

  #inProportion(start: number, end: number, refuse: (reason: string) => RangeError): Segment {
    const [first, last] = [start * this.#ratio, end * this.#ratio].map((edge) => {
      const whole = Math.round(edge);
      if (Math.abs(edge - whole) <= NEAR_PRODUCT) return whole;
      throw refuse(
        `frames from ${start} up to ${end} are rows from ${start * this.#ratio} up to ` +
          `${end * this.#ratio}, wanted whole ones, or segments of its own`,
      );
    });
    return { start: first!, end: last! };
  }
}

function arrayOf(name: string, values: NumericArray, rows: number | undefined): ChunkedArray {
  const width = values.length / (rows ?? values.length);
  if (Number.isInteger(width) && width > 0) {
    return fromTypedArray(values, width === 1 ? [values.length] : [rows!, width]);
  }
  throw new RangeError(
    `Cannot take key "${name}": got ${values.length} elements, wanted one or more for each of the ` +
      `${rows} frames`,
  );
}
