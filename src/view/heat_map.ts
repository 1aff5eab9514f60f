/**
 * Numbers of a grid as colours.
 *
 * @module
 */

import type { Mark, Plot } from "./chart.ts";
import type { ColorMapName } from "./colors.ts";
import { COLOR_MAPS, levelOf, LEVELS, MISSING } from "./colors.ts";
import { positionOn, px } from "./drawing.ts";
import type { Key } from "./key.ts";
import { compressPixels, pngAddress } from "./png.ts";
import { cssLevel } from "./style.ts";
import type { Range } from "./ticks.ts";
import { drawableRange, extent } from "./ticks.ts";

export interface HeatMapOptions {
  /** `[columns, rows]`: those of the first column from the bottom up, then the next. NaN: no number. */
  values: ArrayLike<number>;
  columns: number;
  rows: number;
  /** Outer edges of the first and last cells. */
  x: Range;
  y: Range;
  /** What the numbers are, and their unit. */
  name: string;
  unit?: string;
  /** Numbers of the first and last colour; what is beyond gets these. Default the least and the largest. */
  range?: Partial<Range>;
  /** Colours go with the share of the range raised to it: below 1 shows small numbers. Default 1. */
  power?: number;
  /** Default even. */
  map?: ColorMapName;
}

interface Grid {
  values: Float64Array;
  columns: number;
  rows: number;
}

/** Most cells that are drawn one by one; more are a picture within the picture. */
const MOST_RECTANGLES = 256;
/** Finer cells are averaged to so many per px. */
const CELLS_PER_PIXEL = 2;

/** A grid of numbers as colours, with its colour bar in the key. */
export function heatMap(options: HeatMapOptions): Mark {
  const { values, columns, rows, x, y, name, unit, power = 1, map = "even" } = options;
  if (values.length !== columns * rows) {
    throw new RangeError(
      `Cannot draw a heat map: got ${values.length} numbers, wanted ${columns} columns of ${rows}`,
    );
  }
  const range = colorRange(extent(values), options.range);
  const grid = { values: Float64Array.from(values), columns, rows };
  const missing = grid.values.some(Number.isNaN);
  const keys: Key[] = [
    { kind: "map", name, ...(unit !== undefined && { unit }), map, power, ...range },
    ...missing ? [{ kind: "missing", name: "no value", color: "soft" } as const] : [],
  ];
  const placeOf = (value: number) =>
    Number.isNaN(value) ? LEVELS : levelOf(value, range.low, range.high, power);
  return {
    x,
    y,
    keys,
    draw(plot) {
      checkInside(plot, x, y);
      if (grid.values.length === 0) return "";
      const box = boxOf(plot, x, y);
      const fine = average(
        grid,
        Math.min(columns, Math.ceil(CELLS_PER_PIXEL * box.width)),
        Math.min(rows, Math.ceil(CELLS_PER_PIXEL * box.height)),
      );
      const cells = { ...fine, places: Uint8Array.from(fine.values, placeOf) };
      return cells.places.length <= MOST_RECTANGLES
        ? rectangles(cells, box, map)
        : images(cells, box, map);
    },
  };
}

/** An end that is given stays where it is, also if no number lies on its other side. */
function colorRange(drawn: Range | undefined, given: Partial<Range> = {}): Range {
  const ends = { ...drawn ?? { low: 0, high: 1 }, ...given };
  if (ends.high > ends.low || given.low === given.high) return drawableRange(ends);
  const [low, high] = given.low === undefined
    ? [ends.high - 1, ends.high]
    : [ends.low, ends.low + 1];
  return { low, high };
}

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

interface Cells {
  /** `[columns, rows]`: place of each in the palette. */
  places: Uint8Array;
  columns: number;
  rows: number;
}

function checkInside(plot: Plot, x: Range, y: Range): void {
  for (const [scale, own, name] of [[plot.x, x, "x"], [plot.y, y, "y"]] as const) {
    const slack = 1e-9 * (scale.high - scale.low);
    if (own.low < scale.low - slack || own.high > scale.high + slack) {
      throw new RangeError(
        `Cannot draw a heat map: it goes from ${own.low} to ${own.high}, ` +
          `the ${name} axis from ${scale.low} to ${scale.high}`,
      );
    }
  }
}

function boxOf(plot: Plot, x: Range, y: Range): Box {
  const [left, right] = [positionOn(plot.x, x.low), positionOn(plot.x, x.high)];
  const [bottom, top] = [positionOn(plot.y, y.low), positionOn(plot.y, y.high)];
  return { left, top, width: right - left, height: bottom - top };
}

/** Means of the cells that fall together; a cell on an edge counts on either side by its share. */
function average({ values, columns, rows }: Grid, toColumns: number, toRows: number): Grid {
  if (toColumns === columns && toRows === rows) return { values, columns, rows };
  const sums = new Float64Array(toColumns * toRows);
  const weights = new Float64Array(toColumns * toRows);
  const across = sharesOf(columns, toColumns);
  const up = sharesOf(rows, toRows);
  for (let column = 0; column < columns; column++) {
    for (const [toColumn, share] of across[column]!) {
      for (let row = 0; row < rows; row++) {
        const value = values[column * rows + row]!;
        if (Number.isNaN(value)) continue;
        for (const [toRow, part] of up[row]!) {
          sums[toColumn * toRows + toRow]! += share * part * value;
          weights[toColumn * toRows + toRow]! += share * part;
        }
      }
    }
  }
  return { values: sums.map((sum, i) => sum / weights[i]!), columns: toColumns, rows: toRows };
}

/** For each of `count` cells: which of `toCount` it falls on, and its share of each. */
function sharesOf(count: number, toCount: number): [number, number][][] {
  return Array.from({ length: count }, (_, cell) => {
    const [begin, end] = [cell * toCount / count, (cell + 1) * toCount / count];
    const shares: [number, number][] = [];
    for (let to = Math.floor(begin); to < toCount && to < end; to++) {
      const share = Math.min(end, to + 1) - Math.max(begin, to);
      if (share > 1e-9) shares.push([to, share]);
    }
    return shares;
  });
}

/** Cells of one colour in a row as one rectangle. */
function rectangles({ places, columns, rows }: Cells, box: Box, map: ColorMapName): string {
  const [width, height] = [box.width / columns, box.height / rows];
  const drawn: string[] = [];
  for (let row = 0; row < rows; row++) {
    for (let from = 0, to = 0; from < columns; from = to) {
      const place = places[from * rows + row]!;
      while (to < columns && places[to * rows + row] === place) to++;
      const fill = place === LEVELS ? "var(--view-missing)" : cssLevel(map, place);
      drawn.push(
        `<rect x="${px(box.left + from * width)}" y="${px(box.top + (rows - 1 - row) * height)}" ` +
          `width="${px((to - from) * width)}" height="${px(height)}" fill="${fill}"/>`,
      );
    }
  }
  return `<g class="heat-map" shape-rendering="crispEdges">${drawn.join("")}</g>`;
}

/** The cells as a PNG for light and one for dark surroundings. */
function images({ places, columns, rows }: Cells, box: Box, map: ColorMapName): string {
  const downward = new Uint8Array(places.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      downward[(rows - 1 - row) * columns + column] = places[column * rows + row]!;
    }
  }
  const pixels = compressPixels(columns, rows, downward);
  const drawn = (["light", "dark"] as const).map((side) => {
    const address = pngAddress(columns, rows, pixels, [...COLOR_MAPS[map][side], MISSING[side]]);
    return `<image class="on-${side}" x="${px(box.left)}" y="${px(box.top)}" width="${
      px(box.width)
    }" height="${px(box.height)}" preserveAspectRatio="none" style="image-rendering:pixelated" ` +
      `href="${address}"/>`;
  });
  return `<g class="heat-map">${drawn.join("")}</g>`;
}
