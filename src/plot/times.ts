/**
 * Time along a picture: which rows are drawn, their axis, and where the animal was meanwhile.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { Axis } from "../view/axes.ts";
import type { Mark, Range } from "../view/view.ts";
import { line } from "../view/view.ts";
import type { TruePath } from "./options.ts";

/** Rows that are drawn, and the time that they cover. */
export interface ChosenRows {
  from: number;
  to: number;
  count: number;
  /** From the beginning of the first row to the end of the last, seconds. */
  range: Range;
}

/**
 * The rows within a stretch of time, of those from one to before another.
 *
 * @throws {RangeError} If there are none.
 */
export async function chosenRows(
  time: ChunkedArray,
  [from, to]: readonly [number, number],
  stretch: readonly [number, number] | undefined,
  place: string,
): Promise<ChosenRows> {
  const at = async (row: number) => Number((await time.read(row, row + 1))[0]);
  /** First row at or after a time. */
  const firstFrom = async (wanted: number) => {
    let [low, high] = [from, to];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (await at(middle) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const [first, end] = stretch
    ? [await firstFrom(stretch[0]), await firstFrom(stretch[1])]
    : [from, to];
  if (first >= end) {
    throw new RangeError(
      `Cannot plot ${place}: no row lies from ${
        stretch?.join(" to ")
      } s, its rows go from ${await at(
        from,
      )} to ${await at(to - 1)} s`,
    );
  }
  const [begins, ends] = [await at(first), await at(end - 1)];
  const half = end - first > 1 ? (ends - begins) / (end - first - 1) / 2 : 0.5;
  return {
    from: first,
    to: end,
    count: end - first,
    range: { low: begins - half, high: ends + half },
  };
}

export function timeAxis({ low, high }: Range): Axis {
  return { label: "time", unit: "s", low, high };
}

/**
 * The true path along a dimension, as a line.
 *
 * @throws {RangeError} If it has another number of dimensions.
 */
export function truthMarks(
  truth: TruePath | undefined,
  dimension: number,
  dimensions: number,
  { low, high }: Range,
  color: number,
): Mark[] {
  if (!truth) return [];
  const { times, values } = truth;
  const own = values.length / times.length;
  if (own !== dimensions) {
    throw new RangeError(
      `Cannot plot the true path: it has ${values.length} numbers for ${times.length} times, wanted ` +
        `${dimensions} for each, as the decode has`,
    );
  }
  const [x, y]: [number[], number[]] = [[], []];
  for (let i = 0; i < times.length; i++) {
    // one beyond either end, so that the line reaches it
    if (!(times[i + 1]! < low) && !(times[i - 1]! > high)) {
      x.push(times[i]!);
      y.push(values[i * own + dimension]!);
    }
  }
  return [line({ x, y, name: "true position", color, cased: true })];
}
