/**
 * Strokes: an event each, such as a spike at its time in the row of its unit.
 *
 * @module
 */

import type { Mark } from "./chart.ts";
import { positionOn, px } from "./drawing.ts";
import type { Color } from "./style.ts";
import { cssColor } from "./style.ts";
import { extent } from "./ticks.ts";

export interface StrokeOptions {
  /** `[events]`, and the row of each: 0, 1, 2 … */
  x: ArrayLike<number>;
  rows: ArrayLike<number>;
  name: string;
  color: Color;
}

/** An upright stroke for every event within the axes; those that fall on the same tenth of a pixel are one. */
export function strokes({ x, rows, name, color }: StrokeOptions): Mark {
  if (x.length !== rows.length) {
    throw new RangeError(
      `Cannot draw events: x has ${x.length} numbers, there are ${rows.length} rows`,
    );
  }
  return {
    x: extent(x),
    y: extent(rows),
    keys: [{ kind: "line", name, color }],
    draw(plot) {
      const drawn = new Set<string>();
      for (let i = 0; i < x.length; i++) {
        const isInside = x[i]! >= plot.x.low && x[i]! <= plot.x.high && Number.isFinite(rows[i]!);
        if (!isInside) continue;
        const [top, bottom] = [rows[i]! + 0.4, rows[i]! - 0.4].map((row) =>
          positionOn(plot.y, Math.min(plot.y.high, Math.max(plot.y.low, row)))
        ) as [number, number];
        drawn.add(`M${px(positionOn(plot.x, x[i]!))} ${px(top)}V${px(bottom)}`);
      }
      if (drawn.size === 0) return "";
      return `<path d="${[...drawn].join("")}" fill="none" stroke="${cssColor(color)}"/>`;
    },
  };
}
