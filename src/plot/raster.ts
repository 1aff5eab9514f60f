/**
 * Spikes over time: a stroke each, or how many there are where strokes would run together.
 *
 * @module
 */

import { formatCount } from "../math/format.ts";
import type { Chart, Range } from "../view/view.ts";
import { heatMap, strokes } from "../view/view.ts";
import { Columns, MOST_COLUMNS } from "./columns.ts";
import type { PlottedSpikes } from "./options.ts";
import { timeAxis } from "./times.ts";

/** Strokes that a picture holds apart. */
const MOST_STROKES = 20_000;

/** @throws {RangeError} If there are not as many units as times. */
export function rasterChart({ times, units }: PlottedSpikes, range: Range): Chart {
  if (times.length !== units.length) {
    throw new RangeError(
      `Cannot plot spikes: there are ${times.length} times and ${units.length} units, wanted as many`,
    );
  }
  const ids = [...new Set(Array.from(units, Number))].sort((a, b) => a - b);
  const rowOf = new Map(ids.map((id, row) => [id, row]));
  const [x, rows]: [number[], number[]] = [[], []];
  for (let i = 0; i < times.length; i++) {
    if (times[i]! < range.low || times[i]! > range.high) continue;
    x.push(times[i]!);
    rows.push(rowOf.get(Number(units[i]))!);
  }
  const common = {
    x: timeAxis(range),
    y: { label: "unit", names: ids.map(String) },
    says: `${formatCount(x.length)} spikes of ${ids.length} units.`,
    height: Math.min(220, Math.max(70, 5 * ids.length)),
  };
  if (x.length <= MOST_STROKES) {
    return { ...common, marks: [strokes({ x, rows, name: "spike", color: 0 })] };
  }
  const columns = new Columns(range, MOST_COLUMNS);
  const counts = new Float64Array(columns.count * ids.length);
  x.forEach((time, i) => counts[columns.at(time) * ids.length + rows[i]!]!++);
  const seconds = (range.high - range.low) / columns.count;
  return {
    ...common,
    note: `${formatCount(x.length)} spikes are too many to be drawn one by one: colours are rates.`,
    marks: [heatMap({
      values: counts.map((count) => count / seconds),
      columns: columns.count,
      rows: ids.length,
      x: range,
      y: { low: -0.5, high: ids.length - 0.5 },
      name: "spikes per second",
      unit: "Hz",
      power: 0.5,
    })],
  };
}
