/**
 * Charts: marks between two axes, with a title and a key to their colours.
 *
 * @module
 */

import type { Axis } from "./axes.ts";
import {
  axisLabel,
  drawGrid,
  drawRightward,
  drawRightwardLabel,
  drawUpward,
  drawUpwardLabel,
  rangeOf,
  RIGHTWARD_ROOM,
  rightwardTicks,
  upwardRoom,
  upwardTicks,
} from "./axes.ts";
import type { Drawing, Scale } from "./drawing.ts";
import { positionOn, px, stack, textAt } from "./drawing.ts";
import type { Key } from "./key.ts";
import { drawKeys } from "./key.ts";
import { LINE_HEIGHT, textWidth, wrap } from "./text.ts";
import type { Range } from "./ticks.ts";

/** Where numbers lie in a chart. `y.from` is its lower edge. */
export interface Plot {
  x: Scale;
  y: Scale;
}

/** Something that is drawn between the axes. */
export interface Mark {
  /** What it covers, if anything. */
  x?: Range | undefined;
  y?: Range | undefined;
  draw(plot: Plot): string;
  /** What its colours mean. */
  keys: readonly Key[];
}

export interface Chart {
  title?: string;
  /** What is to be seen, in words, for those who cannot see it. */
  says?: string;
  /** Beneath the axis: how numbers were made fewer, for instance. */
  note?: string;
  x: Axis;
  y: Axis;
  /** Drawn in order. */
  marks: readonly Mark[];
  /** Of the plot between the axes, px. Default 200. */
  height?: number;
}

const DEFAULT_HEIGHT = 200;
const LEAST_RIGHT = 8;
/** Width of bold text as a share of that of plain text, at most. */
const BOLD = 1.15;

/** A chart of `width` px. */
export function drawChart(chart: Chart, width: number): Drawing {
  return drawCharts([chart], width);
}

/** Charts below one another, with their left and right edges in line. */
export function drawCharts(charts: readonly Chart[], width: number): Drawing {
  const left = Math.ceil(Math.max(
    0,
    ...charts.map((chart) => {
      const { height = DEFAULT_HEIGHT } = chart;
      return upwardRoom(upwardTicks(chart.y, verticalRange(chart), height, width));
    }),
  ));
  const right = Math.ceil(Math.max(
    LEAST_RIGHT,
    ...charts.map((chart) => {
      // a label may stand at the very end
      const range = horizontalRange(chart);
      const { marks } = rightwardTicks(chart.x, range, width - left - LEAST_RIGHT);
      const last = marks.at(-1);
      if (!last) return 0;
      const x = { ...range, from: left, to: width - LEAST_RIGHT };
      return positionOn(x, last.value) + textWidth(last.shown) / 2 - x.to;
    }),
  ));
  const drawings = charts.map((chart, i) => {
    const next = charts[i + 1];
    const labelled = !next || next.x.label !== chart.x.label || next.x.unit !== chart.x.unit;
    return drawOne(chart, { width, left, right, labelled });
  });
  return stack(drawings);
}

interface Layout {
  width: number;
  left: number;
  right: number;
  /** Whether the horizontal axis has its label here, not at a chart below. */
  labelled: boolean;
}

function drawOne(chart: Chart, { width, left, right, labelled }: Layout): Drawing {
  const { title = "", says = "", note = "", height = DEFAULT_HEIGHT, marks } = chart;
  const titles = wrap(title, width / BOLD);
  const heading = titles.map((line, i) => textAt(0, 14 + i * LINE_HEIGHT, line, 'class="title"'));
  let top = titles.length * LINE_HEIGHT + (titles.length > 0 ? 4 : 0);
  const keys = drawKeys(marks.flatMap(({ keys }) => keys), width);
  const key = keys.content && `<g transform="translate(0 ${px(top)})">${keys.content}</g>`;
  top += keys.height;

  const x: Scale = { ...horizontalRange(chart), from: left, to: width - right };
  const range = verticalRange(chart);
  const upward = upwardTicks(chart.y, range, height, width);
  const rightward = rightwardTicks(chart.x, x, x.to - x.from);
  const upwardLabel = drawUpwardLabel(axisLabel(chart.y, upward), width, top + 13);
  top += LINE_HEIGHT + 9;
  const y: Scale = { ...range, from: top + height, to: top };
  const plot: Plot = { x, y };
  let bottom = y.from + RIGHTWARD_ROOM;
  let label = "";
  if (labelled) {
    label = drawRightwardLabel(axisLabel(chart.x, rightward), x, bottom + 14);
    bottom += LINE_HEIGHT;
  }
  const notes = wrap(note, width).map((line, i) => textAt(0, bottom + 16 + i * LINE_HEIGHT, line));
  if (notes.length > 0) bottom += notes.length * LINE_HEIGHT + 2;
  const frame = `<rect class="frame" x="${px(x.from)}" y="${px(y.to)}" width="${
    px(x.to - x.from)
  }" height="${px(height)}"/>`;
  const content = [
    ...heading,
    key,
    upwardLabel,
    chart.y.names ? "" : drawGrid(upward, y, x),
    ...marks.map((mark) => mark.draw(plot)),
    frame,
    drawUpward(upward, y, left),
    drawRightward(rightward, x, y.from),
    label,
    ...notes,
  ].filter((part) => part !== "").join("\n");
  const named = title || `${chart.y.label} by ${chart.x.label}`;
  const words = [named, says, note].filter((part) => part !== "").join(". ");
  return { width, height: bottom + 4, label: words, content };
}

function horizontalRange({ x, marks }: Chart): Range {
  return rangeOf(x, marks.map((mark) => mark.x), false);
}

function verticalRange({ y, marks }: Chart): Range {
  // cells end where their edge is; what is a line or a dot gets room
  return rangeOf(y, marks.map((mark) => mark.y), !marks.some(({ keys }) => keys.some(isMap)));
}

const isMap = ({ kind }: Key) => kind === "map";
