/**
 * Bars and boxes.
 *
 * @module
 */

import type { Mark } from "./chart.ts";
import type { Scale } from "./drawing.ts";
import { hint, positionOn, px } from "./drawing.ts";
import type { Color } from "./style.ts";
import { cssColor } from "./style.ts";
import type { Range } from "./ticks.ts";
import { extent } from "./ticks.ts";

export interface Box {
  x: Range;
  y: Range;
  /** Shows under the pointer. */
  hint?: string;
}

export interface BoxOptions {
  boxes: readonly Box[];
  name: string;
  color: Color;
  /** 0 to 1. Default 1. */
  opacity?: number;
}

/** Filled boxes; one with an end that is no finite number is left out. */
export function boxes({ boxes, name, color, opacity = 1 }: BoxOptions): Mark {
  const drawable = boxes.filter(({ x, y }) =>
    [x.low, x.high, y.low, y.high].every(Number.isFinite)
  );
  return {
    x: extent(drawable.flatMap(({ x }) => [x.low, x.high])),
    y: extent(drawable.flatMap(({ y }) => [y.low, y.high])),
    keys: [{ kind: "area", name, color, ...(opacity < 1 && { opacity }) }],
    draw(plot) {
      if (drawable.length === 0) return "";
      const drawn = drawable.map((box) => {
        const [left, width] = side(plot.x, box.x);
        const [top, height] = side(plot.y, box.y);
        const rect = `<rect x="${px(left)}" y="${px(top)}" width="${px(width)}" height="${
          px(height)
        }"`;
        return box.hint === undefined ? `${rect}/>` : `${rect}>${hint(box.hint)}</rect>`;
      });
      const faint = opacity < 1 ? ` fill-opacity="${opacity}"` : "";
      return `<g fill="${cssColor(color)}"${faint}>${drawn.join("")}</g>`;
    },
  };
}

/** Begin and length of a range that is kept within a scale, px. */
function side(scale: Scale, range: Range): [number, number] {
  const [from, to] = [range.low, range.high].map((value) =>
    positionOn(scale, Math.min(scale.high, Math.max(scale.low, value)))
  ) as [number, number];
  return [Math.min(from, to), Math.abs(to - from)];
}

export interface BarOptions {
  /** `[names]`: of the names of the axis `along`, in order; without a number there is no bar. */
  values: ArrayLike<number>;
  name: string;
  color: Color;
  /** The axis that has the names. Default x. */
  along?: "x" | "y";
  /** Place among bars side by side, from 0, and how many there are. Default 0 of 1. */
  place?: number;
  of?: number;
}

/** Bars from 0, side by side where there are several at a name. */
export function bars(options: BarOptions): Mark {
  const { values, name, color, along = "x", place = 0, of = 1 } = options;
  const width = 0.8 / of;
  const own = Array.from(values, (value, i): Box => {
    const low = i - 0.4 + place * width;
    const across = { low, high: low + width };
    const length = { low: Math.min(0, value), high: Math.max(0, value) };
    const says = `${name} ${value}`;
    return along === "x"
      ? { x: across, y: length, hint: says }
      : { x: length, y: across, hint: says };
  });
  return boxes({ boxes: own, name, color });
}
