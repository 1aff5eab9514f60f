/**
 * Keys: what the colours of a picture mean.
 *
 * @module
 */

import type { ColorMapName } from "./colors.ts";
import { LEVELS } from "./colors.ts";
import { px, shortTextAt, textAt } from "./drawing.ts";
import type { Color } from "./style.ts";
import { cssColor, cssLevel } from "./style.ts";
import { LINE_HEIGHT, shorten, textWidth, withUnit } from "./text.ts";
import type { Range } from "./ticks.ts";
import { labelTicks, ticksOf } from "./ticks.ts";

/** What one colour means. */
export interface NameKey {
  kind: "line" | "dot" | "area" | "missing";
  name: string;
  color: Color;
  /** As `stroke-dasharray`. */
  dash?: string;
  opacity?: number;
}

/** What the colours of a map mean. */
export interface BarKey extends Range {
  kind: "map";
  name: string;
  unit?: string;
  map: ColorMapName;
  /** The share of the range is raised to it; 1 is linear. */
  power: number;
}

export type Key = NameKey | BarKey;

const [SWATCH, BAR, BAR_PAD, GAP] = [22, 140, 16, 18];
const BAR_HEIGHT = 10;

/** Keys in rows that are no wider than `width`; equal ones are drawn once. */
export function drawKeys(keys: readonly Key[], width: number): { content: string; height: number } {
  const rows: { keys: { key: Key; x: number }[]; height: number }[] = [];
  let x = Infinity;
  for (const key of distinct(keys)) {
    const wide = keyWidth(key, width);
    if (x + wide > width) {
      x = 0;
      rows.push({ keys: [], height: 0 });
    }
    const row = rows.at(-1)!;
    row.keys.push({ key, x });
    row.height = Math.max(row.height, keyHeight(key, width));
    x += wide + GAP;
  }
  let height = 0;
  const content = rows.map((row) => {
    const drawn = row.keys.map(({ key, x }) =>
      key.kind === "map" ? drawBar(key, x, height, width) : drawName(key, x, height, width)
    );
    height += row.height;
    return drawn.join("");
  });
  return { content: content.length > 0 ? `<g class="key">${content.join("")}</g>` : "", height };
}

function distinct(keys: readonly Key[]): Key[] {
  return [...new Map(keys.map((key) => [JSON.stringify(key), key])).values()];
}

/** Whether a bar has no room beside its name: it is beneath then. */
function isBeneath(key: BarKey, width: number): boolean {
  return textWidth(barName(key)) + BAR + 2 * BAR_PAD > width;
}

function keyHeight(key: Key, width: number): number {
  if (key.kind !== "map") return LINE_HEIGHT + 2;
  return (isBeneath(key, width) ? 3 : 2) * LINE_HEIGHT;
}

function keyWidth(key: Key, width: number): number {
  if (key.kind !== "map") return Math.min(width, SWATCH + 6 + textWidth(key.name));
  return Math.min(width, textWidth(barName(key)) + BAR + 2 * BAR_PAD);
}

function barName({ name, unit, ...range }: BarKey): string {
  const { note } = barTicks(range);
  return withUnit(withUnit(name, note), unit);
}

function drawName(
  { kind, name, color, dash, opacity }: NameKey,
  x: number,
  y: number,
  width: number,
) {
  const [middle, fill] = [y + 9, kind === "missing" ? "var(--view-missing)" : cssColor(color)];
  const faint = opacity === undefined ? "" : ` opacity="${opacity}"`;
  const dashes = dash ? ` stroke-dasharray="${dash}"` : "";
  const swatch = kind === "line"
    ? `<path class="line" d="M${px(x + 1)} ${px(middle)}h${SWATCH - 2}" stroke="${fill}"${dashes}/>`
    : kind === "dot"
    ? `<circle cx="${px(x + SWATCH / 2)}" cy="${px(middle)}" r="3.5" fill="${fill}"/>`
    : `<rect x="${px(x)}" y="${px(y + 4)}" width="${SWATCH}" height="10" fill="${fill}"${faint}/>`;
  const shown = shorten(name, width - SWATCH - 6);
  return swatch + shortTextAt(x + SWATCH + 6, y + 13, shown, name);
}

/** Ticks of a colour bar that have room, the last and the first above all. */
function barTicks({ low, high, power }: Range & { power: number }) {
  // more are to choose from where they are not evenly spaced
  const ticks = ticksOf({ low, high }, power === 1 ? 4 : 8);
  const { labels, note } = labelTicks(ticks);
  const marks = ticks.values.map((value, i) => ({
    x: BAR * ((value - low) / (high - low)) ** power,
    label: power === 1 ? labels[i]! : labels[i]!.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, ""),
  }));
  const hasRoom = (mark: Mark, beside: Mark | undefined) =>
    !beside ||
    Math.abs(beside.x - mark.x) > (textWidth(mark.label) + textWidth(beside.label)) / 2 + 4;
  const kept: Mark[] = [];
  for (const mark of marks.toReversed()) {
    const isFirst = mark === marks[0];
    if (hasRoom(mark, kept[0]) && (isFirst || hasRoom(mark, marks[0]))) kept.unshift(mark);
  }
  return { marks: kept, note };
}

interface Mark {
  /** From the left end, px. */
  x: number;
  label: string;
}

/** A colour bar with its ticks beneath, after its name. */
function drawBar(key: BarKey, x: number, y: number, width: number): string {
  const { map } = key;
  const name = barName(key);
  const beneath = isBeneath(key, width);
  const shown = shorten(name, width);
  const left = x + BAR_PAD + (beneath ? 0 : textWidth(shown));
  const top = y + (beneath ? LINE_HEIGHT : 0);
  const cell = BAR / LEVELS;
  const cells = Array.from(
    { length: LEVELS },
    (_, level) =>
      // a little wider, so that no gap shows between neighbours
      `<rect x="${px2(left + level * cell)}" y="${px(top + 4)}" width="${
        px2(level < LEVELS - 1 ? cell + 0.5 : cell)
      }" height="${BAR_HEIGHT}" fill="${cssLevel(map, level)}"/>`,
  ).join("");
  const ticks = barTicks(key).marks.map((mark) => {
    const at = left + mark.x;
    return `<path class="frame" d="M${px(at)} ${px(top + 4 + BAR_HEIGHT)}v3"/>` +
      textAt(at, top + 29, mark.label, 'text-anchor="middle"');
  });
  return `<g class="color-bar">${shortTextAt(x, y + 13, shown, name)}${cells}` +
    `<rect class="frame" x="${px(left)}" y="${
      px(top + 4)
    }" width="${BAR}" height="${BAR_HEIGHT}"/>` +
    `${ticks.join("")}</g>`;
}

const px2 = (value: number) => String(Math.round(100 * value) / 100);
