/**
 * Dots.
 *
 * @module
 */

import type { Mark } from "./chart.ts";
import { hint, positionOn, px } from "./drawing.ts";
import type { Color } from "./style.ts";
import { cssColor } from "./style.ts";
import { extent } from "./ticks.ts";

export interface DotOptions {
  /** `[points]` each; a point without a number is left out. */
  x: ArrayLike<number>;
  y: ArrayLike<number>;
  name: string;
  color: Color;
  /** px. Default 3. */
  radius?: number;
  /** 0 to 1. Default 1. */
  opacity?: number;
  /** `[points]`, shown under the pointer. */
  hints?: readonly string[];
  /** Whether the key tells of them; dots on a line of their colour need no more. Default true. */
  keyed?: boolean;
}

/** Dots; those beyond a given end of an axis lie on the edge. */
export function dots(options: DotOptions): Mark {
  const { x, y, name, color, radius = 3, opacity = 1, hints, keyed = true } = options;
  if (x.length !== y.length) {
    throw new RangeError(`Cannot draw dots: x has ${x.length} numbers, y has ${y.length}`);
  }
  return {
    x: extent(x),
    y: extent(y),
    keys: keyed ? [{ kind: "dot", name, color }] : [],
    draw(plot) {
      const drawn: string[] = [];
      for (let i = 0; i < y.length; i++) {
        if (!Number.isFinite(x[i]!) || !Number.isFinite(y[i]!)) continue;
        const [cx, cy] = [[plot.x, x[i]!], [plot.y, y[i]!]].map(([scale, value]) => {
          const { low, high } = scale as typeof plot.x;
          return px(
            positionOn(scale as typeof plot.x, Math.min(high, Math.max(low, value as number))),
          );
        });
        const circle = `<circle cx="${cx}" cy="${cy}" r="${radius}"`;
        drawn.push(hints ? `${circle}>${hint(hints[i])}</circle>` : `${circle}/>`);
      }
      if (drawn.length === 0) return "";
      const faint = opacity < 1 ? ` fill-opacity="${opacity}"` : "";
      return `<g fill="${cssColor(color)}"${faint}>${drawn.join("")}</g>`;
    },
  };
}
