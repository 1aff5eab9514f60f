/**
 * A view that puts the elements of a short axis where they belong on a long one.
 *
 * @module
 */

import { elementCount, isFloat } from "../zarr/data_types.ts";
import type { NumericArray } from "../types.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, text, whole } from "../options.ts";

/** Where the elements of a short axis lie on a long one. */
export interface LongAxis {
  /** Place on the long axis of every element of the short one, ascending. */
  index: Int32Array;
  /** Length of the long axis. */
  size: number;
}

export const expandOptions = declare("expand", {
  /** Place on the long axis of every element of the short one, ascending. */
  index: custom(
    "an Int32Array",
    ((value) => value instanceof Int32Array) as Is<Int32Array>,
    { required: true, says: "place on the long axis of every element of the short one, ascending" },
  ),
  /** Length of the long axis. */
  size: whole({ required: true, from: 0, says: "length of the long axis" }),
  /** The axis that is short. Default: the last. */
  axis: whole({ from: 0, otherwise: "the last", says: "the axis that is short" }),
  /** Name of the long axis; none when not given. */
  dim: text({ says: "name of the long axis" }),
  /** What the long axis has where the short one has nothing. Default NaN. */
  fill: custom(
    "a number",
    ((value) => typeof value === "number" || typeof value === "bigint") as Is<number | bigint>,
    { otherwise: "NaN", says: "what stands where the short axis has nothing" },
  ),
});

/** Options of {@link expand}. */
export type ExpandOptions = OptionsOf<typeof expandOptions>;

/**
 * An array with one axis expanded: from the bins of a track to those of the whole box, say. Nothing is
 * kept: rows are read from `array` and expanded whenever they are asked for. Closing it closes `array`.
 *
 * @param array [rows, ...] of any element type, which the view has too.
 * @throws {RangeError} If `index` is not as long as the axis, or does not ascend below `size`.
 * @throws {TypeError} If the array holds whole numbers and would be filled with NaN.
 */
export function expand<Values extends NumericArray>(
  array: ChunkedArray<Values>,
  options: ExpandOptions,
): ChunkedArray<Values> {
  const { index, size, axis = array.shape.length - 1, dim, fill = NaN } = expandOptions.check(
    options,
  );
  const { dtype, chunkRows } = array;
  const wrong = index.findIndex((place, i) => !(place > (index[i - 1] ?? -1) && place < size));
  if (index.length !== array.shape[axis] || wrong >= 0) {
    const what = wrong >= 0
      ? `entry ${wrong} is ${index[wrong]}`
      : `it has ${index.length} entries`;
    throw new RangeError(
      `Cannot expand axis ${axis} of [${array.shape}] by an index: ${what}, wanted one for every ` +
        `element, ascending from 0 and below ${size}`,
    );
  }
  if (Number.isNaN(fill) && !isFloat(dtype)) {
    throw new TypeError(`Cannot expand ${dtype} elements: the fill is NaN, wanted a whole number`);
  }
  const shape = array.shape.with(axis, size);
  return {
    shape,
    dtype,
    dims: dim === undefined ? undefined : array.dims?.with(axis, dim),
    chunkRows,
    places: array.places,
    // async, so that what is wrong rejects
    async read(start, end, options) {
      checkRows(shape, start, end);
      if (axis > 0) {
        const values = await array.read(start, end, options);
        return expandAxis(values, array.shape.with(0, end - start), axis, { index, size }, fill);
      }
      const [from, to] = [rowFrom(index, start), rowFrom(index, end)];
      const values = await array.read(from, to, options);
      const part = index.subarray(from, to).map((place) => place - start);
      const long = { index: part, size: end - start };
      return expandAxis(values, array.shape.with(0, to - from), 0, long, fill);
    },
    close: () => array.close(),
  };
}

/** First of the ascending places that is not below `start`. */
function rowFrom(index: Int32Array, start: number): number {
  const found = index.findIndex((place) => place >= start);
  return found < 0 ? index.length : found;
}

/** Elements in C order with one axis expanded: numbers of any type, or strings. */
export function expandAxis<Values extends NumericArray | string[]>(
  values: Values,
  shape: readonly number[],
  axis: number,
  { index, size }: LongAxis,
  fill: number | bigint | string,
): Values {
  const inner = elementCount(shape.slice(axis + 1));
  const outer = elementCount(shape.slice(0, axis));
  // one view of all kinds: typed arrays and arrays have the same members here
  const source = values as unknown as Float32Array;
  const Kind = values.constructor as Float32ArrayConstructor;
  const expanded = new Kind(outer * size * inner).fill(fill as number);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < index.length; i++) {
      const from = (o * index.length + i) * inner;
      const to = (o * size + index[i]!) * inner;
      for (let j = 0; j < inner; j++) expanded[to + j] = source[from + j]!;
    }
  }
  return expanded as unknown as Values;
}
