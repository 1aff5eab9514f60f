/**
 * Lines through points, with gaps where there is no number.
 *
 * @module
 */

import type { Mark, Plot } from "./chart.ts";
import { SERIES } from "./colors.ts";
import { hint, positionOn, px } from "./drawing.ts";
import type { Color } from "./style.ts";
import { cssColor } from "./style.ts";
import { extent } from "./ticks.ts";

export interface LineOptions {
  /** `[points]`; default 0, 1, 2 … */
  x?: ArrayLike<number>;
  /** `[points]`; NaN and infinities are gaps. */
  y: ArrayLike<number>;
  name: string;
  color: Color;
  /** As `stroke-dasharray`: `5 4`. Default a plain line, dashed where colours of the series come again. */
  dash?: string;
  /** Draws an edge around the line, so that it shows on every colour. Default false. */
  cased?: boolean;
  /** Shows under the pointer. */
  hint?: string;
}

/** Colours come again after the last of the series, with other dashes. */
function dashOf(color: Color): string | undefined {
  const round = typeof color === "number" ? Math.floor(color / SERIES.length) : 0;
  return round === 0 ? undefined : ["8 4", "2 4"][(round - 1) % 2];
}

type Point = readonly [x: number, y: number];

/** A line through points. More points than pixels keep their extremes alone. */
export function line(options: LineOptions): Mark {
  const { y, name, color, cased = false } = options;
  const dash = options.dash ?? dashOf(color);
  const x = options.x ?? Float64Array.from(y, (_, i) => i);
  if (x.length !== y.length) {
    throw new RangeError(`Cannot draw a line: x has ${x.length} numbers, y has ${y.length}`);
  }
  return {
    x: extent(x),
    y: extent(y),
    keys: [{ kind: "line", name, color, ...(dash && { dash }) }],
    draw(plot) {
      const path = linePath(x, y, plot);
      if (path === "") return "";
      const edge = cased ? `<path class="casing" d="${path}"/>` : "";
      const dashes = dash ? ` stroke-dasharray="${dash}"` : "";
      const own = `<path class="line" d="${path}" stroke="${cssColor(color)}"${dashes}`;
      return `${edge}${own}${options.hint === undefined ? "/>" : `>${hint(options.hint)}</path>`}`;
    },
  };
}

/** A line at one number, from edge to edge. */
export function level(options: Omit<LineOptions, "x" | "y"> & { at: number }): Mark {
  const { at, ...more } = options;
  const { y, keys } = line({ ...more, y: [at] });
  return {
    y,
    keys,
    draw: (plot) => line({ ...more, x: [plot.x.low, plot.x.high], y: [at, at] }).draw(plot),
  };
}

/** The path of a line within a plot, empty if nothing of it lies there. */
export function linePath(x: ArrayLike<number>, y: ArrayLike<number>, plot: Plot): string {
  let path = "";
  for (const run of runsOf(x, y, plot)) {
    const points = thin(run);
    if (points.length === 1) {
      // round caps make a dot of it
      if (isInside(points[0]!, plot)) path += `M${place(points[0]!)}h0`;
      continue;
    }
    let pen: string | undefined;
    for (let i = 1; i < points.length; i++) {
      const part = cut(points[i - 1]!, points[i]!, plot);
      if (!part) continue;
      const [begin, end] = part.map(place) as [string, string];
      path += begin === pen ? `L${end}` : `M${begin}L${end}`;
      pen = end;
    }
  }
  return path;
}

const place = ([x, y]: Point) => `${px(x)} ${px(y)}`;

/** Points that follow each other without a gap, px. */
function runsOf(x: ArrayLike<number>, y: ArrayLike<number>, plot: Plot): Point[][] {
  const runs: Point[][] = [];
  let open = false;
  for (let i = 0; i < y.length; i++) {
    if (!Number.isFinite(x[i]!) || !Number.isFinite(y[i]!)) {
      open = false;
      continue;
    }
    if (!open) runs.push([]);
    open = true;
    runs.at(-1)!.push([positionOn(plot.x, x[i]!), positionOn(plot.y, y[i]!)]);
  }
  return runs;
}

/** The first, lowest, highest and last of the points of each pixel column. */
function thin(points: Point[]): Point[] {
  const kept: Point[] = [];
  for (let from = 0, to = 0; from < points.length; from = to) {
    const column = Math.floor(points[from]![0]);
    let [lowest, highest] = [from, from];
    for (; to < points.length && Math.floor(points[to]![0]) === column; to++) {
      if (points[to]![1] < points[lowest]![1]) lowest = to;
      if (points[to]![1] > points[highest]![1]) highest = to;
    }
    const places = [...new Set([from, lowest, highest, to - 1])].sort((a, b) => a - b);
    kept.push(...places.map((place) => points[place]!));
  }
  return kept;
}

function edgesOf({ x, y }: Plot) {
  return [
    { axis: 0 as const, least: Math.min(x.from, x.to), most: Math.max(x.from, x.to) },
    { axis: 1 as const, least: Math.min(y.from, y.to), most: Math.max(y.from, y.to) },
  ];
}

function isInside(point: Point, plot: Plot): boolean {
  return edgesOf(plot).every(({ axis, least, most }) =>
    point[axis] >= least - 0.5 && point[axis] <= most + 0.5
  );
}

/** The part of a segment that lies in the plot (Liang and Barsky 1984). */
function cut(begin: Point, end: Point, plot: Plot): [Point, Point] | undefined {
  let [from, to] = [0, 1];
  for (const { axis, least, most } of edgesOf(plot)) {
    const [start, change] = [begin[axis], end[axis] - begin[axis]];
    if (change === 0) {
      if (start < least - 0.5 || start > most + 0.5) return undefined;
      continue;
    }
    const [enter, leave] = [(least - start) / change, (most - start) / change];
    from = Math.max(from, Math.min(enter, leave));
    to = Math.min(to, Math.max(enter, leave));
  }
  if (from > to) return undefined;
  const at = (share: number): Point =>
    share === 0 ? begin : share === 1 ? end : [
      begin[0] + share * (end[0] - begin[0]),
      begin[1] + share * (end[1] - begin[1]),
    ];
  return [at(from), at(to)];
}
