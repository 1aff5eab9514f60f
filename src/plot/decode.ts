/**
 * A decode as a picture: the posterior along every dimension over time, the likeliest and the true path on it,
 * discrete states, and spikes.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { formatBytes, formatCount } from "../math/format.ts";
import type { DecodeResult } from "../hmm/decode_result.ts";
import type { Chart, Figure, Mark, Page, Range, Table } from "../view/view.ts";
import { drawCharts, heatMap, line } from "../view/view.ts";
import { formatNumber } from "../view/ticks.ts";
import { storedAttributes } from "../stream/places.ts";
import type { Reading } from "./blocks.ts";
import { readTogether } from "./blocks.ts";
import { Columns, MOST_COLUMNS, ruleOf, SeriesColumns } from "./columns.ts";
import type { PlotOptions } from "./options.ts";
import type { PathSource } from "./path.ts";
import { openPath, pathPoints } from "./path.ts";
import { rasterChart } from "./raster.ts";
import { storedTexts } from "./stored_texts.ts";
import type { ChosenRows } from "./times.ts";
import { chosenRows, timeAxis, truthMarks } from "./times.ts";

/** Positions that a picture tells apart, at most. */
const MOST_POSITIONS = 400;
/** Rows of a close-up. */
const CLOSE_ROWS = 2000;
/** Stretches of a close-up by whose means its movement is measured. */
const CLOSE_PARTS = 40;
const [TRUE, LIKELIEST, GIVEN] = [1, 2, 3];
const TABLE_ROWS = 24;

/** The positions of state bins along a dimension, in cells of equal height. */
interface Cells {
  /** `[state_bins]`: cell of each, or -1 of a bin that is nowhere. */
  placeOf: Int32Array;
  count: number;
  range: Range;
}

function cellsOf(centers: Float64Array): Cells {
  const sorted = [...new Set(centers.filter((center) => !Number.isNaN(center)))]
    .sort((a, b) => a - b);
  const [low, high] = [sorted[0] ?? 0, sorted.at(-1) ?? 0];
  // what rounding leaves apart is one place
  const least = 1e-6 * (high - low);
  const steps = sorted.slice(1).map((own, i) => own - sorted[i]!).filter((step) => step > least);
  const height = steps.length > 0 ? Math.min(...steps) : 1;
  const range = { low: low - height / 2, high: high + height / 2 };
  const columns = new Columns(
    range,
    Math.min(MOST_POSITIONS, Math.round((range.high - range.low) / height)),
  );
  return {
    placeOf: Int32Array.from(centers, (center) => columns.at(center)),
    count: columns.count,
    range,
  };
}

/** A decode that is drawn. */
interface Drawn {
  place: string;
  result: DecodeResult;
  cells: Cells[];
  stateNames: readonly string[];
  /** Whether probabilities of bins are stored. */
  hasPosterior: boolean;
  path: PathSource | undefined;
  options: PlotOptions;
}

export async function decodePage(
  place: string,
  result: DecodeResult,
  options: PlotOptions,
): Promise<Page> {
  const { signal, onProgress, time } = options;
  const rows = await chosenRows(result.time, storedRange(place, result), time, place);
  const { parameters } = (await storedAttributes(place))! as { parameters: { posterior: boolean } };
  const path = options.path === undefined ? undefined : await openPath(options.path);
  try {
    const drawn: Drawn = {
      ...{
        place,
        result,
        path,
        options,
        hasPosterior: parameters.posterior && !result.environments,
      },
      cells: result.binCenters.map(cellsOf),
      stateNames: await storedTexts(place, "states"),
    };
    const isLong = time === undefined && rows.count > 2 * CLOSE_ROWS;
    const part = (from: number, size: number): Reading => ({
      signal,
      onShare: (share) => onProgress?.(from + size * share),
    });
    const whole = await drawRows(drawn, rows, isLong ? "All of it" : "", part(0, isLong ? 0.9 : 1));
    const figures = [whole.figure];
    if (isLong && drawn.hasPosterior) {
      const { busiest } = whole;
      const close = await chosenRows(
        result.time,
        [busiest, busiest + CLOSE_ROWS],
        undefined,
        place,
      );
      const title = "Close up, where the decoded position moves most";
      figures.push((await drawRows(drawn, close, title, part(0.9, 0.1))).figure);
    }
    return {
      title: "Decoded position",
      sections: [
        { text: unfinishedWords(result, rows), figures },
        { heading: "What is drawn", facts: factsOf(drawn, rows.count) },
      ],
    };
  } finally {
    await path?.close();
  }
}

/** Reads rows once, a block at a time, and draws what they come to. */
async function drawRows(
  drawn: Drawn,
  rows: ChosenRows,
  title: string,
  reading: Reading,
): Promise<{ figure: Figure; busiest: number }> {
  const { result, cells, stateNames, hasPosterior, path, options, place } = drawn;
  const columns = new Columns(rows.range, Math.min(MOST_COLUMNS, rows.count));
  const posterior = new MarginalColumns(columns, cells);
  const states = stateNames.map(() => new SeriesColumns(columns));
  const movement = new Movement(cells.length);
  const arrays = [result.time, result.states, ...hasPosterior ? [result.posterior] : []];
  await readTogether(arrays, [rows.from, rows.to], (start, end, [times, own, values]) => {
    for (let row = 0; row < end - start; row++) {
      const time = times![row]!;
      states.forEach((series, state) => series.add(time, own![row * states.length + state]!));
      if (values) movement.add(start + row, posterior.add(time, values, row));
    }
  }, reading);
  const given = path && await pathPoints(path, rows, place, { signal: reading.signal });
  const axis = timeAxis(rows.range);
  const { unit, position, spikes } = options;
  const rule = ruleOf(rows.count, columns.count, "rows");
  const charts: Chart[] = [
    ...spikes ? [rasterChart(spikes, rows.range)] : [],
    ...hasPosterior
      ? cells.map(({ range }, d): Chart => ({
        x: axis,
        y: {
          label: cells.length > 1 ? `${"xy"[d]} position` : "position",
          ...(unit !== undefined && { unit }),
        },
        says: posterior.says(d, unit),
        marks: [
          ...posterior.marks(d, range),
          ...given?.[d]
            ? [
              line({
                ...given[d],
                name: "path of viterbi",
                color: GIVEN,
                dash: "8 3",
                cased: true,
              }),
            ]
            : [],
          ...truthMarks(position, d, cells.length, rows.range, TRUE),
        ],
      }))
      : [],
    {
      x: axis,
      y: { label: "probability of the state", low: 0, high: 1 },
      height: 110,
      note: rule,
      marks: states.flatMap((series, state) => series.marks(stateNames[state]!, state + 2)),
    },
  ];
  const [first, ...others] = charts;
  const titled = title === "" ? charts : [{ ...first!, title }, ...others];
  return {
    figure: {
      draw: (width) => drawCharts(titled, width),
      table: tableOf(columns, posterior, states, drawn),
    },
    busiest: Math.max(rows.from, Math.min(movement.busiest, rows.to - CLOSE_ROWS)),
  };
}

/** The posterior along every dimension, as means of columns. */
class MarginalColumns {
  readonly #columns: Columns;
  readonly #cells: readonly Cells[];
  readonly #sums: Float64Array[];
  readonly #counts: Float64Array;
  /** Of the row that was added last. */
  readonly #row: Float64Array[];

  constructor(columns: Columns, cells: readonly Cells[]) {
    this.#columns = columns;
    this.#cells = cells;
    this.#sums = cells.map(({ count }) => new Float64Array(columns.count * count));
    this.#row = cells.map(({ count }) => new Float64Array(count));
    this.#counts = new Float64Array(columns.count);
  }

  /** Adds a row of a block, `[rows, state_bins]`; gives its mean position, in cells, along every dimension. */
  add(time: number, values: ArrayLike<number>, row: number): number[] {
    const column = this.#columns.at(time);
    if (column >= 0) this.#counts[column]!++;
    return this.#cells.map(({ placeOf, count }, d) => {
      const own = this.#row[d]!.fill(0);
      const bins = placeOf.length;
      for (let bin = 0, at = row * bins; bin < bins; bin++, at++) {
        const place = placeOf[bin]!;
        if (place >= 0) own[place]! += values[at]!;
      }
      let [mass, moment] = [0, 0];
      for (let place = 0; place < count; place++) {
        mass += own[place]!;
        moment += place * own[place]!;
        if (column >= 0) this.#sums[d]![column * count + place]! += own[place]!;
      }
      return moment / mass;
    });
  }

  /** Middle of the likeliest cell of a column, NaN where there is no row, or states without a position are likelier. */
  likeliest(dimension: number, column: number): number {
    const { count, range } = this.#cells[dimension]!;
    const own = this.#sums[dimension]!.subarray(column * count, (column + 1) * count);
    const somewhere = own.reduce((sum, value) => sum + value, 0) / this.#counts[column]!;
    if (somewhere < 0.5) return NaN;
    let best = 0;
    own.forEach((value, place) => {
      if (value > own[best]!) best = place;
    });
    if (!(own[best]! > 0)) return NaN;
    return range.low + (best + 0.5) / count * (range.high - range.low);
  }

  marks(dimension: number, y: Range): Mark[] {
    const { count } = this.#cells[dimension]!;
    const values = this.#sums[dimension]!.map((sum, i) =>
      sum / this.#counts[Math.floor(i / count)]!
    );
    const x = this.#columns.centers();
    return [
      heatMap({
        ...{ values, columns: this.#columns.count, rows: count, x: this.#columns.range, y },
        ...{ name: "posterior probability, colours by its root", range: { low: 0 } },
        // or nothing would show where the animal may be in many places
        power: 0.5,
      }),
      line({
        x,
        y: x.map((_, column) => this.likeliest(dimension, column)),
        name: "likeliest position",
        color: LIKELIEST,
        dash: "2 4",
        cased: true,
      }),
    ];
  }

  says(dimension: number, unit = ""): string {
    const found = Array.from(
      { length: this.#columns.count },
      (_, column) => this.likeliest(dimension, column),
    ).filter((value) => !Number.isNaN(value));
    if (found.length === 0) return "";
    const ends = [Math.min(...found), Math.max(...found)].map((value) => value.toPrecision(4));
    return `The likeliest position goes from ${ends.join(" to ")} ${unit}`.trimEnd();
  }
}

/** Finds where the decoded position covers most ground: by means of parts, so that jitter is none. */
class Movement {
  /** First row of the stretch. */
  busiest = 0;
  readonly #dimensions: number;
  #most = -1;
  #first = -1;
  #covered = 0;
  #rows = 0;
  #sums: number[];
  #before: number[] | undefined;

  constructor(dimensions: number) {
    this.#dimensions = dimensions;
    this.#sums = Array(dimensions).fill(0);
  }

  add(row: number, position: readonly number[]): void {
    if (position.some(Number.isNaN)) return;
    if (this.#first < 0) this.#first = row;
    position.forEach((own, d) => this.#sums[d]! += own);
    if (++this.#rows % (CLOSE_ROWS / CLOSE_PARTS) > 0) return;
    const means = this.#sums.map((sum) => sum / (CLOSE_ROWS / CLOSE_PARTS));
    const before = this.#before;
    if (before) this.#covered += Math.hypot(...means.map((own, d) => own - before[d]!));
    this.#before = means;
    this.#sums = Array(this.#dimensions).fill(0);
    if (this.#rows < CLOSE_ROWS) return;
    if (this.#covered > this.#most) [this.#most, this.busiest] = [this.#covered, this.#first];
    [this.#first, this.#covered, this.#rows] = [-1, 0, 0];
  }
}

/** Some columns as numbers, evenly spread. */
function tableOf(
  columns: Columns,
  posterior: MarginalColumns,
  states: readonly SeriesColumns[],
  { cells, stateNames, hasPosterior, options: { unit } }: Drawn,
): Table {
  const centers = columns.centers();
  const means = states.map((series) => series.means);
  const count = Math.min(TABLE_ROWS, columns.count);
  const dimensions = hasPosterior ? cells.map((_, d) => d) : [];
  const named = (d: number) =>
    `likeliest ${cells.length > 1 ? `${"xy"[d]} ` : ""}position${
      unit === undefined ? "" : `, ${unit}`
    }`;
  return {
    columns: ["time, s", ...dimensions.map(named), ...stateNames.map((name) => `p(${name})`)],
    rows: Array.from({ length: count }, (_, i) => {
      const column = Math.floor((i + 0.5) * columns.count / count);
      return [
        centers[column]!.toFixed(3),
        ...dimensions.map((d) => show(posterior.likeliest(d, column))),
        ...means.map((own) => show(own[column]!)),
      ];
    }),
  };
}

const show = (value: number) => Number.isNaN(value) ? "none" : value.toPrecision(4);

function factsOf({ place, result, hasPosterior }: Drawn, rows: number): [string, string][] {
  const [, bins] = result.posterior.shape;
  const { marginalLogLikelihood, impossibleRows, droppedSpikes } = result;
  return [
    ["result", place],
    ["rows that are drawn", `${formatCount(rows)} of ${formatCount(result.time.shape[0]!)}`],
    [
      "state bins",
      `${formatCount(bins!)}, ${
        hasPosterior
          ? `${formatBytes(4 * rows * bins!)} as f32`
          : result.environments
          ? "of several environments: states alone are drawn"
          : "not stored: states alone are drawn"
      }`,
    ],
    ["marginal log-likelihood, nat", formatNumber(marginalLogLikelihood, 9)],
    ["impossible rows", formatNumber(impossibleRows)],
    ["spikes outside the time grid", formatCount(droppedSpikes)],
  ];
}

/** What a picture of a decode that still runs, or was interrupted, leaves out. */
function unfinishedWords({ storedRows, time }: DecodeResult, { from, to }: ChosenRows): string[] {
  const rows = time.shape[0]!;
  const [first, ...others] = storedRows;
  if (others.length === 0 && first?.[0] === 0 && first[1] === rows) return [];
  return [
    `The decode has not finished: rows ${formatCount(from)} to ${formatCount(to)} of ${
      formatCount(rows)
    } are drawn, from the longest stretch that is stored.`,
  ];
}

function storedRange(place: string, { storedRows }: DecodeResult): [number, number] {
  const longest = [...storedRows].sort((a, b) => (b[1] - b[0]) - (a[1] - a[0]))[0];
  if (longest === undefined) {
    throw new ChunkError(`Cannot plot ${place}: no rows are stored yet, wanted some`, place);
  }
  return longest;
}
