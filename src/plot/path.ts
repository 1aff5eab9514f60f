/**
 * The likeliest path of a whole recording, as `viterbi` stores it.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { formatCount } from "../math/format.ts";
import type { OpenedArrays } from "../open.ts";
import { open } from "../open.ts";
import { formatNumber } from "../view/ticks.ts";
import type { Chart, Page } from "../view/view.ts";
import { drawCharts, line } from "../view/view.ts";
import type { Reading } from "./blocks.ts";
import { readTogether } from "./blocks.ts";
import { Columns, LineColumns, MOST_COLUMNS, SeriesColumns } from "./columns.ts";
import type { PlotOptions } from "./options.ts";
import { rasterChart } from "./raster.ts";
import type { ChosenRows } from "./times.ts";
import { chosenRows, timeAxis, truthMarks } from "./times.ts";

export interface PathSource {
  time: ChunkedArray;
  /** Along each dimension; none of several environments, which share no axis. */
  positions: ChunkedArray[];
  states: ChunkedArray;
  close(): Promise<void>;
}

const TRUE = 1;

/** @throws {TypeError} If something else is stored there. */
export async function openPath(place: string): Promise<PathSource> {
  const opened = await open(place);
  if (opened.kind !== "arrays" || opened.format !== "sluice.path") {
    await opened.close();
    const what = opened.kind === "arrays" ? opened.format : opened.kind;
    throw new TypeError(`Cannot plot a path: ${place} holds "${what}", wanted a path of viterbi`);
  }
  return pathOf(opened);
}

function pathOf({ arrays, texts, close }: OpenedArrays): PathSource {
  const positions = ["path_position", "path_x_position", "path_y_position"]
    .flatMap((name) => texts.environments ? [] : arrays[name] ?? []);
  return { time: arrays.time!, positions, states: arrays.path_state_ind!, close };
}

/** Points of a path within some time: of every column the first, lowest, highest and last. */
export async function pathPoints(
  { time, positions }: PathSource,
  { range }: Pick<ChosenRows, "range">,
  place: string,
  reading: Reading,
): Promise<{ x: Float64Array; y: Float64Array }[]> {
  const rows = await chosenRows(time, [0, time.shape[0]!], [range.low, range.high], place);
  const columns = new Columns(range, MOST_COLUMNS);
  const lines = positions.map(() => new LineColumns(columns));
  await readTogether([time, ...positions], [rows.from, rows.to], (start, end, [times, ...own]) => {
    for (let row = 0; row < end - start; row++) {
      lines.forEach((line, d) => line.add(times![row]!, own[d]![row]!));
    }
  }, reading);
  return lines.map(({ points }) => points);
}

/** A stored path by itself. */
export async function pathPage(
  place: string,
  opened: OpenedArrays,
  options: PlotOptions,
): Promise<Page> {
  const { signal, onProgress, unit, position, spikes } = options;
  const path = pathOf(opened);
  const all = [0, path.time.shape[0]!] as const;
  const rows = await chosenRows(path.time, all, options.time, place);
  const columns = new Columns(rows.range, Math.min(MOST_COLUMNS, rows.count));
  const names = opened.texts.states!;
  const share = names.map(() => new SeriesColumns(columns));
  await readTogether([path.time, path.states], [rows.from, rows.to], (start, end, [times, own]) => {
    for (let row = 0; row < end - start; row++) {
      share.forEach((series, state) => series.add(times![row]!, own![row] === state ? 1 : 0));
    }
  }, { signal, onShare: (done) => onProgress?.(done / 2) });
  const points = await pathPoints(path, rows, place, {
    signal,
    onShare: (done) => onProgress?.(0.5 + done / 2),
  });
  const axis = timeAxis(rows.range);
  const label = (d: number) => points.length > 1 ? `${"xy"[d]} position` : "position";
  const charts: Chart[] = [
    ...spikes ? [rasterChart(spikes, rows.range)] : [],
    ...points.map(({ x, y }, d): Chart => ({
      x: axis,
      y: { label: label(d), ...(unit !== undefined && { unit }) },
      marks: [
        ...truthMarks(position, d, points.length, rows.range, TRUE),
        line({ x, y, name: "likeliest path", color: 0, cased: true }),
      ],
      ...(d === points.length - 1 && {
        note: rows.count <= columns.count
          ? `All ${formatCount(rows.count)} rows are drawn.`
          : `${formatCount(rows.count)} rows are drawn as ${
            formatCount(columns.count)
          } columns: lines keep the first, lowest, highest and last of each.`,
      }),
    })),
    {
      x: axis,
      y: { label: "share of rows in the state", low: 0, high: 1 },
      height: 110,
      marks: share.map((series, state) =>
        line({ x: columns.centers(), y: series.means, name: names[state]!, color: state + 2 })
      ),
    },
  ];
  const { log_probability: logs, impossible_rows: impossible } = opened.attributes as {
    log_probability?: number[];
    impossible_rows?: number;
  };
  return {
    title: "Likeliest path",
    sections: [
      { figures: [{ draw: (width) => drawCharts(charts, width) }] },
      {
        heading: "What is drawn",
        facts: [
          ["result", place],
          ["rows", formatCount(rows.count)],
          ...environmentFacts(opened),
          ["log p(path, spikes), nat", formatNumber(logs?.[0] ?? NaN, 9)],
          ["impossible rows", formatCount(impossible ?? 0)],
        ],
      },
    ],
  };
}

/** Why positions are not drawn, where they are not. */
export function environmentFacts({ texts }: Pick<OpenedArrays, "texts">): [string, string][] {
  return texts.environments
    ? [["positions", "of several environments: states alone are drawn"]]
    : [];
}
