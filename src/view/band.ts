/**
 * Bands: what lies between two lines, as an interval around a mean.
 *
 * @module
 */

import type { Mark, Plot } from "./chart.ts";
import { positionOn, px } from "./drawing.ts";
import type { Color } from "./style.ts";
import { cssColor } from "./style.ts";
import { extent } from "./ticks.ts";

export interface BandOptions {
  /** `[points]` each; a point without a number is a gap. */
  x: ArrayLike<number>;
  low: ArrayLike<number>;
  high: ArrayLike<number>;
  name: string;
  color: Color;
  /** 0 to 1. Default 0.25. */
  opacity?: number;
}

/** A band from `low` to `high`. More points than pixels: from the least to the largest of each pixel. */
export function band(options: BandOptions): Mark {
  const { x, low, high, name, color, opacity = 0.25 } = options;
  if (x.length !== low.length || x.length !== high.length) {
    throw new RangeError(
      `Cannot draw a band: x has ${x.length} numbers, its ends have ${low.length} and ${high.length}`,
    );
  }
  const [lowest, highest] = [extent(low), extent(high)];
  return {
    x: extent(x),
    y: lowest && highest && { low: lowest.low, high: highest.high },
    keys: [{ kind: "area", name, color, opacity }],
    draw(plot) {
      const path = bandPath(options, plot);
      return path && `<path d="${path}" fill="${cssColor(color)}" fill-opacity="${opacity}"/>`;
    },
  };
}

interface Column {
  x: number;
  low: number;
  high: number;
}

function bandPath({ x, low, high }: BandOptions, plot: Plot): string {
  const runs: Column[][] = [];
  let open = false;
  const inside = (value: number) => Math.min(plot.y.high, Math.max(plot.y.low, value));
  for (let i = 0; i < x.length; i++) {
    const isThere = [x[i]!, low[i]!, high[i]!].every(Number.isFinite) &&
      x[i]! >= plot.x.low && x[i]! <= plot.x.high;
    if (!isThere) {
      open = false;
      continue;
    }
    if (!open) runs.push([]);
    open = true;
    const own = { x: positionOn(plot.x, x[i]!), low: inside(low[i]!), high: inside(high[i]!) };
    const columns = runs.at(-1)!;
    const last = columns.at(-1);
    if (last && Math.floor(last.x) === Math.floor(own.x)) {
      last.low = Math.min(last.low, own.low);
      last.high = Math.max(last.high, own.high);
    } else columns.push(own);
  }
  return runs.map((columns) => {
    // a point alone is as wide as a pixel
    const own = columns.length > 1
      ? columns
      : [columns[0]!, { ...columns[0]!, x: columns[0]!.x + 1 }];
    const place = (x: number, value: number) => `${px(x)} ${px(positionOn(plot.y, value))}`;
    const above = own.map(({ x, high }) => place(x, high));
    const below = own.toReversed().map(({ x, low }) => place(x, low));
    return `M${[...above, ...below].join("L")}z`;
  }).join("");
}
