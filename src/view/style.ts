/**
 * How pictures and pages look, in light and in dark surroundings.
 *
 * @module
 */

import type { ColorMapName, Rgb } from "./colors.ts";
import { COLOR_MAPS, hex, MISSING, SERIES } from "./colors.ts";
import { FONT_SIZE } from "./text.ts";

const SIDES = {
  light: {
    background: "#ffffff",
    ink: "#1b1f24",
    soft: "#57606a",
    rule: "#8c959f",
    grid: "#e6e9ed",
    pass: "#1a7f37",
    fail: "#c62828",
  },
  dark: {
    background: "#0d1117",
    ink: "#e6edf3",
    soft: "#9aa4af",
    rule: "#6e7681",
    grid: "#262c36",
    pass: "#3fb950",
    fail: "#ff7b72",
  },
} as const;

/** Colours with a meaning of their own, besides those of the series. */
export type Ink = keyof typeof SIDES.light;

/** A colour of a thing: an own one, or the series' by its place. */
export type Color = Ink | number;

/** A colour as CSS wants it. */
export function cssColor(color: Color): string {
  return `var(--view-${typeof color === "number" ? `series-${color % SERIES.length}` : color})`;
}

/** Name of the CSS variable of a level of a map. */
export function cssLevel(map: ColorMapName, level: number): string {
  return `var(--view-${map}-${level})`;
}

/** Colours of one side as CSS variables, those of maps where `content` has cells of them. */
function variables(side: "light" | "dark", content: string): string {
  const named = Object.entries(SIDES[side]);
  const series = SERIES.map((color, i) => [`series-${i}`, color[side]]);
  const maps = Object.entries(COLOR_MAPS)
    .filter(([name]) => content.includes(`var(--view-${name}-`))
    .flatMap(([name, map]) => map[side].map((color, i) => [`${name}-${i}`, hex(color)]));
  return [...named, ...series, ...maps, ["missing", hex(MISSING[side])]]
    .map(([name, value]) => `--view-${name}:${value}`).join(";");
}

/** All colours of one side by the names of their variables, without `--view-`. */
export function sideColors(side: "light" | "dark"): Record<string, Rgb> {
  const own = [
    ...Object.entries(SIDES[side]),
    ...SERIES.map((color, i) => [`series-${i}`, color[side]]),
  ]
    .map(([name, value]): [string, Rgb] => [name!, readHex(value!)]);
  const maps = Object.entries(COLOR_MAPS).flatMap(([name, map]) =>
    map[side].map((color, i): [string, Rgb] => [`${name}-${i}`, color])
  );
  return Object.fromEntries([...own, ...maps, ["missing", MISSING[side]]]);
}

function readHex(color: string): Rgb {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)) as unknown as Rgb;
}

/** Rules for what `content` draws; everything is within the class `view`. */
export function pictureStyle(content: string): string {
  return `.view{color-scheme:light dark;background:var(--view-background);color:var(--view-ink);${
    variables("light", content)
  }}
.view .on-dark{display:none}
@media(prefers-color-scheme:dark){.view{${
    variables("dark", content)
  }}.view .on-light{display:none}.view .on-dark{display:inline}}
.view text{font:${FONT_SIZE}px system-ui,"Segoe UI",Helvetica,Arial,sans-serif;fill:var(--view-soft)}
.view .title{font-weight:600;fill:var(--view-ink)}
.view .tag{font-weight:600;fill:var(--view-ink);paint-order:stroke;stroke:var(--view-background);stroke-width:3px}
.view .grid{stroke:var(--view-grid);fill:none}
.view .frame{stroke:var(--view-rule);fill:none}
.view .line{fill:none;stroke-width:1.6;stroke-linejoin:round;stroke-linecap:round}
.view .casing{fill:none;stroke:var(--view-background);stroke-width:4;stroke-opacity:.65;stroke-linejoin:round}`;
}
