/**
 * Charts of a decoded session: the posterior along a dimension over time with the true path on it, and
 * the probability of each discrete state beneath.
 */

import { view } from "sluice";
import { marginalPosterior, type Result } from "./decoded.ts";

/** Rows that are drawn. */
export interface Stretch {
  first: number;
  shown: number;
  /** Of all rows, s. */
  times: Float64Array;
}

const { heatMap, line } = view;
const ORANGE = 1;

function timeAxis({ first, shown, times }: Stretch) {
  const half = (times[1]! - times[0]!) / 2;
  const low = times[first]! - half;
  const high = times[first + shown - 1]! + half;
  return { label: "time", unit: "s", low, high };
}

/** The posterior along one dimension, and the true path. */
export async function positionChart(
  result: Result,
  truth: Float64Array[],
  stretch: Stretch,
  dimension: number,
  title?: string,
): Promise<view.Chart> {
  const { first, shown, times } = stretch;
  const x = timeAxis(stretch);
  const { values, rows, low, high } = await marginalPosterior(result, dimension, first, shown);
  return {
    ...(title !== undefined && { title }),
    x,
    y: { label: `${"xy"[dimension]} position`, unit: "cm" },
    marks: [
      heatMap({
        values,
        columns: shown,
        rows,
        x,
        y: { low, high },
        name: "posterior probability, colours by its root",
        range: { low: 0 },
        // or nothing would show where the animal may be in many places
        power: 0.5,
      }),
      line({
        x: times.subarray(first, first + shown),
        y: truth[dimension]!.subarray(first, first + shown),
        name: "true position",
        color: ORANGE,
        cased: true,
      }),
    ],
  };
}

/** Probability of each discrete state. */
export async function stateChart(
  result: Result,
  stretch: Stretch,
  names: readonly string[],
): Promise<view.Chart> {
  const { first, shown, times } = stretch;
  const states = result.states.shape[1]!;
  const values = await result.states.read(first, first + shown);
  const colors = [2, 3, 4, 5];
  return {
    x: timeAxis(stretch),
    y: { label: "probability of the state", low: 0, high: 1 },
    height: 110,
    marks: names.map((name, state) =>
      line({
        x: times.subarray(first, first + shown),
        y: Float64Array.from({ length: shown }, (_, row) => values[row * states + state]!),
        name,
        color: colors[state % colors.length]!,
      })
    ),
  };
}
