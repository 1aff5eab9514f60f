/**
 * Axes: ranges, ticks that have room, labels with units.
 *
 * @module
 */

import type { Scale } from "./drawing.ts";
import { positionOn, px, shortTextAt, textAt } from "./drawing.ts";
import { FONT_SIZE, LINE_HEIGHT, shorten, textWidth, withUnit } from "./text.ts";
import type { Range } from "./ticks.ts";
import { drawableRange, labelTicks, roundRange, ticksOf } from "./ticks.ts";

export interface Axis {
  label: string;
  unit?: string;
  /** Ends, where they are not those of what is drawn. */
  low?: number;
  high?: number;
  /** Numbers are whole, as counts are: there are no ticks between them. */
  whole?: boolean;
  /** Names of 0, 1, 2 …, for an axis without numbers. */
  names?: readonly string[];
}

/** Ticks with what is written beside them. */
export interface AxisTicks {
  marks: { value: number; shown: string; text: string }[];
  /** For the label: what all marks leave out. */
  note: string;
}

const [TICK, TICK_GAP] = [5, 5];
/** Between neighbouring labels, px. */
const LABEL_GAP = 12;
/** Room for a name beneath a chart: longer ones are shortened where not all have it. */
const WIDEST_NAME = 110;
/** Share of a picture that names at its left may take. */
const NAMES_SHARE = 0.4;

/** The range an axis shows; ends that are not given are round numbers if `rounded`. */
export function rangeOf(
  axis: Axis,
  drawn: readonly (Range | undefined)[],
  rounded: boolean,
): Range {
  if (axis.names) return { low: -0.5, high: Math.max(1, axis.names.length) - 0.5 };
  const known = drawn.filter((range) => range !== undefined);
  const low = axis.low ?? Math.min(...known.map(({ low }) => low));
  const high = axis.high ?? Math.max(...known.map(({ high }) => high));
  const range = drawableRange({ low, high });
  if (!rounded) return range;
  const round = roundRange(range, 4, axis.whole);
  return { low: axis.low ?? round.low, high: axis.high ?? round.high };
}

/** Ticks of an axis that runs upwards. */
export function upwardTicks(axis: Axis, range: Range, height: number, width: number): AxisTicks {
  if (axis.names) {
    return shortened(pickNames(axis.names, FONT_SIZE + 4, height).picked, NAMES_SHARE * width);
  }
  return numberTicks(range, Math.max(2, Math.floor(height / 44)), axis.whole);
}

/** Ticks of an axis that runs to the right: as many as have room beside one another. */
export function rightwardTicks(axis: Axis, range: Range, width: number): AxisTicks {
  if (axis.names) return rightwardNames(axis.names, width);
  for (let count = Math.max(2, Math.floor(width / 70)); count > 1; count--) {
    const ticks = numberTicks(range, count, axis.whole);
    const [first, second] = ticks.marks;
    if (!first || !second) return ticks;
    const apart = width * (second.value - first.value) / (range.high - range.low);
    const widest = Math.max(...ticks.marks.map(({ shown }) => textWidth(shown)));
    if (widest + LABEL_GAP <= apart) return ticks;
  }
  const { marks, note } = numberTicks(range, 1, axis.whole);
  return { marks: marks.slice(0, 1), note };
}

function numberTicks(range: Range, count: number, whole?: boolean): AxisTicks {
  const ticks = ticksOf(range, count, whole);
  const { labels, note } = labelTicks(ticks);
  const marks = ticks.values.map((value, i) => ({ value, shown: labels[i]!, text: labels[i]! }));
  return { marks, note };
}

/** Names of 0, 1, 2 … along an axis, those alone that are `apart` px or more from each other. */
function pickNames(names: readonly string[], apart: number, length: number) {
  const every = Math.max(1, Math.ceil(apart * names.length / Math.max(1, length) - 1e-9));
  const picked = names.map((text, value) => ({ value, text })).filter(({ value }) =>
    value % every === 0
  );
  return { picked, room: every * length / Math.max(1, names.length) };
}

/** Names beside one another, shortened to the room that each has. */
function rightwardNames(names: readonly string[], width: number): AxisTicks {
  const widest = Math.max(0, ...names.map(textWidth)) + LABEL_GAP;
  const { picked, room } = pickNames(names, Math.min(widest, WIDEST_NAME), width);
  return shortened(picked, room - LABEL_GAP);
}

function shortened(named: readonly { value: number; text: string }[], room: number): AxisTicks {
  const marks = named.map(({ value, text }) => ({ value, text, shown: shorten(text, room) }));
  return { marks, note: "" };
}

/** The label of an axis as it is written: `position, 10³ cm`. */
export function axisLabel({ label, unit }: Axis, { note }: AxisTicks): string {
  return withUnit(label, [note, unit].filter(Boolean).join(" "));
}

/** Room that upward ticks take at their left, px. */
export function upwardRoom({ marks }: AxisTicks): number {
  return Math.max(0, ...marks.map(({ shown }) => textWidth(shown))) + TICK + TICK_GAP;
}

/** Room that ticks to the right take beneath, px. */
export const RIGHTWARD_ROOM = TICK + LINE_HEIGHT;

export function drawUpward({ marks }: AxisTicks, y: Scale, left: number): string {
  return marks.map(({ value, shown, text }) => {
    const at = positionOn(y, value);
    return `<path class="frame" d="M${px(left)} ${px(at)}h${-TICK}"/>` +
      shortTextAt(left - TICK - TICK_GAP, at + 0.36 * FONT_SIZE, shown, text, 'text-anchor="end"');
  }).join("");
}

export function drawRightward({ marks }: AxisTicks, x: Scale, bottom: number): string {
  return marks.map(({ value, shown, text }) => {
    const at = positionOn(x, value);
    return `<path class="frame" d="M${px(at)} ${px(bottom)}v${TICK}"/>` +
      shortTextAt(at, bottom + TICK + 14, shown, text, 'text-anchor="middle"');
  }).join("");
}

/** Lines across the plot at the ticks of numbers. */
export function drawGrid({ marks }: AxisTicks, y: Scale, x: Scale): string {
  const lines = marks.map(({ value }) => `M${px(x.from)} ${px(positionOn(y, value))}H${px(x.to)}`);
  return lines.length > 0 ? `<path class="grid" d="${lines.join("")}"/>` : "";
}

/** A label over the upward axis, at the left edge. */
export function drawUpwardLabel(label: string, width: number, baseline: number): string {
  return shortTextAt(0, baseline, shorten(label, width), label);
}

/** A label beneath the axis to the right, at its middle. */
export function drawRightwardLabel(label: string, x: Scale, baseline: number): string {
  const middle = (x.from + x.to) / 2;
  return textAt(middle, baseline, shorten(label, x.to - x.from), 'text-anchor="middle"');
}
