/**
 * Pictures and pages without a framework and without a DOM: functions of numbers that return text, the
 * same in Node, in Deno and in browsers. A picture is SVG that is light or dark as its surroundings are.
 *
 * @example A picture of a posterior with the true path on it
 * ```ts
 * const drawing = view.drawChart({
 *   title: "Where was the animal?",
 *   x: { label: "time", unit: "s" },
 *   y: { label: "position", unit: "cm" },
 *   marks: [
 *     view.heatMap({ values, columns, rows, x, y, name: "posterior probability" }),
 *     view.line({ x: times, y: truth, name: "true position", color: 1, cased: true }),
 *   ],
 * }, 720);
 * await writeFile("posterior.svg", view.svgFile(drawing));
 * ```
 *
 * @module
 */

export type { Axis } from "./axes.ts";
export type { BandOptions } from "./band.ts";
export { band } from "./band.ts";
export type { BarOptions, Box, BoxOptions } from "./bars.ts";
export { bars, boxes } from "./bars.ts";
export type { Chart, Mark, Plot } from "./chart.ts";
export { drawChart, drawCharts } from "./chart.ts";
export type { ColorMapName } from "./colors.ts";
export type { DotOptions } from "./dots.ts";
export { dots } from "./dots.ts";
export type { Drawing, Scale } from "./drawing.ts";
export { stack, svgElement, svgFile } from "./drawing.ts";
export type { HeatMapOptions } from "./heat_map.ts";
export { heatMap } from "./heat_map.ts";
export type { BarKey, Key, NameKey } from "./key.ts";
export type { LineOptions } from "./lines.ts";
export { level, line } from "./lines.ts";
export type { Cell, Figure, Page, Section, Table, Verdict } from "./page.ts";
export { drawFigures, drawPage } from "./page.ts";
export type { StrokeOptions } from "./strokes.ts";
export { strokes } from "./strokes.ts";
export type { Color, Ink } from "./style.ts";
export type { TagOptions } from "./tags.ts";
export { tags } from "./tags.ts";
export type { Range } from "./ticks.ts";
