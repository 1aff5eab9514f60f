/**
 * An encoding as a picture: the place fields of units, in Hz, and what they were learned from.
 *
 * @module
 */

import type { Grid } from "../hmm/grid.ts";
import { gridOfEnvironment } from "../hmm/grid.ts";
import type { StoredEncoding } from "../hmm/open_encoding.ts";
import type { Encoding } from "../hmm/sorted_spikes.ts";
import { formatCount } from "../math/format.ts";
import type { Drawing } from "../view/drawing.ts";
import { beside, stack } from "../view/drawing.ts";
import { formatNumber } from "../view/ticks.ts";
import type { Axis, Chart, Figure, Mark, Page, Range, Table } from "../view/view.ts";
import { drawChart, heatMap } from "../view/view.ts";
import type { PlotOptions } from "./options.ts";

/** Fields of two dimensions that are drawn; the table has more. */
const MOST_FIELDS = 48;
const MOST_ROWS = 500;
/** Width of a field, px, at least, and the room between two. */
const [FIELD_WIDTH, GAP] = [150, 16];
/** Height of a field beside its width, which has the room of the axis, too. */
const [LEAST_HEIGHT, MOST_HEIGHT, AXIS_ROOM] = [40, 240, 40];

/** A unit's field: its rates in Hz, bin by bin of the box, and where it is highest. */
interface Field {
  unit: number;
  /** `[bins]` Hz; NaN where the animal never was. */
  rates: Float64Array;
  peakHz: number;
  /** Along each dimension, position units. */
  peakAt: number[];
}

export function encodingPage(
  place: string,
  { model, grid, unitIds, encoding }: StoredEncoding,
  { unit }: PlotOptions,
): Page {
  const { encodingSpikes, exposureSeconds } = encoding;
  const parts = "parts" in encoding ? encoding.parts : [{ encoding }];
  const samples = parts.reduce((sum, { encoding }) => sum + encoding.encodingSamples, 0);
  const grids = grid.environments?.map((own) => own.grid) ?? [grid];
  const bins = grids.reduce((sum, { interiorIndex }) => sum + interiorIndex.length, 0);
  const isSorted = ("parts" in encoding ? encoding.model : model) === "sortedSpikes";
  return {
    title: "An encoding",
    sections: [
      ...parts.flatMap((part) => {
        if (!("rates" in part.encoding)) return [];
        const [where, by] = "environment" in part ? [part.environment, part.group] : [];
        const own = gridOfEnvironment(grid, where);
        const heading = `Place fields${where === undefined ? "" : ` in ${where}`}${
          by === undefined ? "" : ` by ${by}`
        }`;
        const fields = fieldsOf(own, unitIds, part.encoding);
        return fields.length === 0 ? [] : [{ heading, ...fieldSection(own, fields, unit) }];
      }),
      {
        heading: "What spikes tell of positions was learned from",
        facts: [
          ["result", place],
          [isSorted ? "units" : "electrodes", formatCount(unitIds.length)],
          ["bins of the interior", formatCount(bins)],
          ["spikes", formatCount(encodingSpikes)],
          ["samples of position", formatCount(samples)],
          ["seconds of position", formatNumber(exposureSeconds, 8)],
        ],
      },
    ],
  };
}

function fieldsOf(grid: Grid, unitIds: readonly number[], { rates }: Encoding): Field[] {
  const { interiorIndex, interior, centers } = grid;
  const width = interiorIndex.length;
  const last = grid.shape.at(-1)!;
  return unitIds.map((unit, row) => {
    const own = rates.subarray(row * width, (row + 1) * width);
    const all = new Float64Array(interior.length).fill(NaN);
    interiorIndex.forEach((bin, i) => all[bin] = own[i]!);
    const peakHz = own.reduce((most, rate) => Math.max(most, rate), 0);
    const bin = interiorIndex[own.indexOf(peakHz)]!;
    const at = grid.dimensions === 1 ? [bin] : [Math.floor(bin / last), bin % last];
    return { unit, rates: all, peakHz, peakAt: at.map((own, d) => centers[d]![own]!) };
  });
}

function fieldSection(grid: Grid, fields: Field[], unit: string | undefined) {
  const figure: Figure = grid.dimensions === 1
    ? lineFigure(grid, fields, unit)
    : planeFigure(grid, fields, unit);
  return { figures: [{ ...figure, table: tableOf(fields, unit) }] };
}

/** Along a line: all units as one map, in the order of their peaks. */
function lineFigure(grid: Grid, fields: Field[], unit: string | undefined): Figure {
  const bins = grid.shape[0]!;
  const sorted = [...fields].sort((a, b) => a.peakAt[0]! - b.peakAt[0]!);
  const values = new Float64Array(bins * sorted.length);
  sorted.forEach(({ rates }, row) =>
    rates.forEach((rate, bin) => values[bin * sorted.length + row] = rate)
  );
  const chart: Chart = {
    title: "Rates of units along the track, ordered by where they fire most",
    says: summaryOf(fields),
    x: axisOf("position", unit),
    y: { label: "units, by their peak" },
    height: Math.min(480, Math.max(120, 8 * sorted.length)),
    marks: [heatMap({
      ...{ values, columns: bins, rows: sorted.length, name: "rate", unit: "Hz", power: 0.5 },
      ...{ x: rangeAlong(grid, 0), y: { low: 0.5, high: sorted.length + 0.5 } },
    })],
  };
  return { draw: (width) => drawChart(chart, width) };
}

/** In a plane: a map of each unit, with colours of its own. */
function planeFigure(grid: Grid, fields: Field[], unit: string | undefined): Figure {
  const shown = fields.slice(0, MOST_FIELDS);
  const [x, y] = [rangeAlong(grid, 0), rangeAlong(grid, 1)];
  const [columns, rows] = grid.shape as [number, number];
  const fewer = shown.length < fields.length
    ? ` The first ${shown.length} of ${formatCount(fields.length)} units are drawn.`
    : "";
  const chartOf = (field: Field, width: number): Chart => ({
    title: `unit ${field.unit}`,
    says: `At most ${formatNumber(field.peakHz)} Hz, at ${placeWords(field, unit)}`,
    x: axisOf("x", unit),
    y: axisOf("y", unit),
    height: Math.min(
      MOST_HEIGHT,
      Math.max(LEAST_HEIGHT, (width - AXIS_ROOM) * (y.high - y.low) / (x.high - x.low)),
    ),
    marks: [withoutMissing(heatMap({
      ...{ values: field.rates, columns, rows, x, y, name: "rate", unit: "Hz" },
      range: { low: 0, high: field.peakHz },
    }))],
  });
  return {
    caption:
      `Rates of units in the box; colours go to the most of each unit, and where the animal never ` +
      `was there are none.${fewer}`,
    draw(width) {
      const across = Math.max(1, Math.floor((width + GAP) / (FIELD_WIDTH + GAP)));
      const own = Math.floor((width - GAP * (across - 1)) / across);
      const drawn = shown.map((field) => drawChart(chartOf(field, own), own));
      const lines: Drawing[] = [];
      for (let from = 0; from < drawn.length; from += across) {
        lines.push(beside(drawn.slice(from, from + across), GAP));
      }
      return { ...stack(lines), width, label: `Place fields. ${summaryOf(fields)}` };
    },
  };
}

/** Whether an animal was somewhere is said once, not at each of many maps. */
const withoutMissing = (mark: Mark): Mark => ({
  ...mark,
  keys: mark.keys.filter(({ kind }) => kind !== "missing"),
});

const rangeAlong = ({ edges }: Grid, dimension: number): Range => ({
  low: edges[dimension]![0]!,
  high: edges[dimension]!.at(-1)!,
});

const axisOf = (label: string, unit: string | undefined): Axis => ({
  label,
  ...(unit !== undefined && { unit }),
});

const placeWords = ({ peakAt }: Field, unit = "") =>
  `${peakAt.map((own) => formatNumber(own)).join(", ")} ${unit}`.trim();

function summaryOf(fields: readonly Field[]): string {
  const peaks = fields.map(({ peakHz }) => peakHz);
  const [least, most] = [Math.min(...peaks), Math.max(...peaks)].map((own) => formatNumber(own));
  return `${formatCount(fields.length)} units, whose highest rates go from ${least} to ${most} Hz.`;
}

function tableOf(fields: readonly Field[], unit: string | undefined): Table {
  const dims = fields[0]!.peakAt.length === 1 ? ["position"] : ["x", "y"];
  return {
    columns: [
      "unit",
      "highest rate, Hz",
      ...dims.map((dim) => unit ? `at ${dim}, ${unit}` : `at ${dim}`),
    ],
    rows: fields.slice(0, MOST_ROWS).map(({ unit, peakHz, peakAt }) => [
      ...[unit, formatNumber(peakHz)],
      ...peakAt.map((own) => formatNumber(own)),
    ]),
  };
}
