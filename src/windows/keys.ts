/**
 * Keys: other values of frames that come with windows, each at offsets of its own, such as the actions
 * that follow.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { fromTypedArray, readAll } from "../array/array.ts";
import { checkLength } from "../feed/frame_table.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, isArrayLike, number, numbers, oneOf } from "../options.ts";
import type { NumericArray } from "../types.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { elementBytes, elementCount } from "../zarr/data_types.ts";

export const keyOptions = declare("take a key", {
  /** A row for each frame: [frames] or [frames, ...], of any type of number. */
  values: custom("an array", isArrayLike as Is<ChunkedArray | NumericArray>, {
    required: true,
    says: "a row for each frame",
  }),
  /**
   * Which frames, from the last of a window on: `[0, 1, 2, 3]` are that one and the three after it, as an
   * action chunk has them. Seconds where `rate` is given.
   */
  offsets: numbers({
    required: true,
    says: "which frames, from the last one of a window on; seconds where a rate is given",
  }),
  /** Frames a second, where offsets are seconds. */
  rate: number({ above: 0, otherwise: "offsets are frames", says: "frames a second" }),
  /** What stands for frames beyond the segment: its first or last one, or 0. Default `"edge"`. */
  outside: oneOf(["edge", "zero"], {
    default: "edge",
    says: "what stands for frames beyond the segment: its first or last one, or 0",
  }),
});

/** A key as it is asked for. */
export type KeyOptions = OptionsOf<typeof keyOptions>;

/** A key of a batch. */
export interface KeyBatch {
  /** [windows, offsets, ...] in C order, of the type that the key has. */
  values: NumericArray;
  shape: readonly number[];
  /** 1 for a frame of the segment, 0 for one beyond it: [windows, offsets]. */
  mask: Uint8Array;
}

/** Where a key is taken from, for a window: its last frame and its segment. */
export interface Anchor {
  frame: number;
  start: number;
  end: number;
}

/** How far from a frame a time may be, in frames: stamps are rounded. */
const NEAR_FRAME = 1e-3;

export class Key {
  readonly #name: string;
  readonly #array: ChunkedArray;
  readonly #offsets: readonly number[];
  readonly #outside: "edge" | "zero";
  /** Elements of a row. */
  readonly #width: number;
  #values: NumericArray | undefined;

  /**
   * @throws {TypeError} If values are no numbers.
   * @throws {RangeError} If there is not a row for each frame, no offset, or one between frames.
   */
  constructor(name: string, given: KeyOptions, frames: number) {
    const { values, offsets, rate, outside } = keyOptions.check(given);
    const array = "read" in values ? values : arrayOf(name, values, frames);
    if (array.dtype === "string") throw new TypeError(`Cannot take key "${name}": it has strings`);
    if (array.shape[0] !== frames) {
      throw new RangeError(
        `Cannot take key "${name}": it has ${array.shape[0]} rows, there are ${frames} frames`,
      );
    }
    if (offsets.length === 0) {
      throw new RangeError(`Cannot take key "${name}": offsets is empty, wanted at least one`);
    }
    this.#name = name;
    this.#array = array;
    this.#offsets = Array.from(offsets, (offset) => offsetOf(name, offset, rate));
    this.#outside = outside;
    this.#width = elementCount(array.shape.slice(1));
  }

  /** Host bytes of all rows, unless they are in memory; decoded halves are twice as wide. */
  get heldBytes(): number {
    return this.#array.values ? 0 : this.#array.shape[0]! * this.#rowBytes;
  }

  /** Host bytes of a window in a batch. */
  get windowBytes(): number {
    return this.#offsets.length * (this.#rowBytes + 1);
  }

  get #rowBytes(): number {
    return 2 * this.#width * elementBytes(this.#array.dtype as NumericType);
  }

  async load(signal: AbortSignal): Promise<void> {
    this.#values = this.#array.values ?? await readAll(this.#array, { signal });
  }

  of(anchors: readonly Anchor[]): KeyBatch {
    const all = this.#values! as Float32Array;
    const [width, offsets] = [this.#width, this.#offsets];
    checkLength(all, this.#array.shape[0]! * width, `rows of key "${this.#name}"`);
    const values = new (all.constructor as typeof Float32Array)(
      anchors.length * offsets.length * width,
    );
    const mask = new Uint8Array(anchors.length * offsets.length);
    let place = 0;
    for (const { frame, start, end } of anchors) {
      for (const offset of offsets) {
        const wanted = frame + offset;
        const isThere = wanted >= start && wanted < end;
        if (isThere || this.#outside === "edge") {
          const row = Math.max(start, Math.min(wanted, end - 1));
          values.set(all.subarray(row * width, (row + 1) * width), place * width);
        }
        mask[place++] = Number(isThere);
      }
    }
    return { values, shape: [anchors.length, offsets.length, ...this.#array.shape.slice(1)], mask };
  }
}

function offsetOf(name: string, given: number, rate: number | undefined): number {
  const frame = given * (rate ?? 1);
  const nearest = Math.round(frame);
  if (Math.abs(frame - nearest) <= (rate ? NEAR_FRAME : 0)) return nearest;
  throw new RangeError(
    rate
      ? `Cannot take key "${name}" at ${given} s: at ${rate} frames a second that is ${frame} frames, ` +
        "wanted whole ones"
      : `Cannot take key "${name}": an offset is ${given}, wanted whole frames, or seconds and a rate`,
  );
}

function arrayOf(name: string, values: NumericArray, frames: number): ChunkedArray {
  const width = values.length / frames;
  if (Number.isInteger(width) && width > 0) {
    return fromTypedArray(values, width === 1 ? [frames] : [frames, width]);
  }
  throw new RangeError(
    `Cannot take key "${name}": got ${values.length} elements, wanted one or more for each of the ` +
      `${frames} frames`,
  );
}
