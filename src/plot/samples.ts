/**
 * Paths that were drawn from a posterior, as `samples` stores them.
 *
 * @module
 */

import { readAll } from "../array/array.ts";
import { ChunkError } from "../errors.ts";
import { formatCount } from "../math/format.ts";
import type { OpenedArrays } from "../open.ts";
import type { Chart, Page } from "../view/view.ts";
import { drawCharts, line } from "../view/view.ts";
import { readTogether, widthOf } from "./blocks.ts";
import { Columns, LineColumns, MOST_COLUMNS, SeriesColumns } from "./columns.ts";
import type { PlotOptions } from "./options.ts";
import { environmentFacts } from "./path.ts";
import { rasterChart } from "./raster.ts";
import { chosenRows, timeAxis, truthMarks } from "./times.ts";

/** Paths that can be told from one another. */
const MOST_PATHS = 3;
const DASHES = ["", "6 3", "2 2"];

export async function samplesPage(
  place: string,
  { arrays, texts }: OpenedArrays,
  { signal, onProgress, unit, position, spikes, time }: PlotOptions,
): Promise<Page> {
  const { time: times, sampled_state_bin: sampled, state_ind: stateOf } = arrays;
  const coordinates = ["position", "x_position", "y_position"].flatMap((name) =>
    arrays[name] ?? []
  );
  if (!times || !sampled || !stateOf || coordinates.length === 0) {
    throw new ChunkError(`Cannot plot ${place}: it lacks sampled paths or their bins`, place);
  }
  // several environments share no axis
  const placed = texts.environments ? [] : coordinates;
  const binPositions = await Promise.all(placed.map((own) => readAll(own)));
  const binStates = await readAll(stateOf);
  const rows = await chosenRows(times, [0, times.shape[0]!], time, place);
  const columns = new Columns(rows.range, Math.min(MOST_COLUMNS, rows.count));
  const count = widthOf(sampled);
  const drawn = Math.min(MOST_PATHS, count);
  const lines = binPositions.map(() =>
    Array.from({ length: drawn }, () => new LineColumns(columns))
  );
  const names = texts.states!;
  const shares = names.map(() => new SeriesColumns(columns));
  await readTogether([times, sampled], [rows.from, rows.to], (start, end, [own, bins]) => {
    for (let row = 0; row < end - start; row++) {
      const inState = new Float64Array(names.length);
      for (let path = 0; path < count; path++) {
        const bin = bins![row * count + path]!;
        inState[Number(binStates[bin]!)]!++;
        if (path >= drawn) continue;
        lines.forEach((paths, d) => paths[path]!.add(own![row]!, Number(binPositions[d]![bin]!)));
      }
      shares.forEach((share, state) => share.add(own![row]!, inState[state]! / count));
    }
  }, { signal, onShare: onProgress });
  const axis = timeAxis(rows.range);
  const ofPaths = drawn < count
    ? `the first ${drawn} of ${formatCount(count)} paths`
    : `${formatCount(count)} paths`;
  const charts: Chart[] = [
    ...spikes ? [rasterChart(spikes, rows.range)] : [],
    ...lines.map((paths, d): Chart => ({
      x: axis,
      y: {
        label: lines.length > 1 ? `${"xy"[d]} position` : "position",
        ...(unit !== undefined && { unit }),
      },
      marks: [
        ...paths.map(({ points: { x, y } }, path) =>
          line({
            x,
            y,
            name: `path ${path}`,
            color: path,
            ...(path > 0 && { dash: DASHES[path]! }),
          })
        ),
        ...truthMarks(position, d, lines.length, rows.range, drawn),
      ],
      ...(d === lines.length - 1 && {
        note: `Of ${ofPaths}: centres of their bins. ` +
          (rows.count <= columns.count
            ? `All ${formatCount(rows.count)} rows are drawn.`
            : `${formatCount(rows.count)} rows are drawn as ${
              formatCount(columns.count)
            } columns: lines keep the first, lowest, highest and last of each.`),
      }),
    })),
    {
      x: axis,
      y: { label: "share of all paths in the state", low: 0, high: 1 },
      height: 110,
      marks: shares.map((share, state) =>
        line({ x: columns.centers(), y: share.means, name: names[state]!, color: state + 2 })
      ),
    },
  ];
  return {
    title: "Paths drawn from the posterior",
    sections: [
      { figures: [{ draw: (width) => drawCharts(charts, width) }] },
      {
        heading: "What is drawn",
        facts: [["result", place], ["rows", formatCount(rows.count)], [
          "paths",
          formatCount(count),
        ], ...environmentFacts({ texts })],
      },
    ],
  };
}
