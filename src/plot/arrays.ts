/**
 * Results that are arrays alone: scores, predictions, distances, models of a conditioning.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import { formatCount } from "../math/format.ts";
import type { OpenedArrays } from "../open.ts";
import type { Chart, Figure, Page, Section } from "../view/view.ts";
import { boxes, drawChart, heatMap } from "../view/view.ts";
import { readTogether, widthOf } from "./blocks.ts";
import { Columns, MOST_COLUMNS, ruleOf, SeriesColumns } from "./columns.ts";
import { classSections } from "./curves.ts";
import type { PlotOptions } from "./options.ts";
import { scoreFigure } from "./pca.ts";
import { Extent, Histogram } from "./scatter.ts";

/** What results are called, by their format. */
const TITLES: Record<string, string> = {
  "sluice.pca.scores": "Scores of principal components",
  "sluice.probe.prediction": "Predictions of probes",
  "sluice.kmeans.prediction": "Rows and their clusters",
  "sluice.kmeans.distances": "Distances of rows to centroids",
  "sluice.condition": "A model of a conditioning",
  "sluice.cpa.prediction": "Predictions of perturbed cells",
};

/** Columns of a table of numbers that are drawn side by side. */
const MOST_ACROSS = 400;
const MOST_SERIES = 6;

export async function arraysPage(
  place: string,
  opened: OpenedArrays,
  options: PlotOptions,
): Promise<Page> {
  const { arrays, format, attributes } = opened;
  const sections: Section[] = [];
  if (format === "sluice.pca.scores" && arrays.scores) {
    sections.push({ figures: [await scoreFigure(arrays.scores, options)] });
  } else if (format === "sluice.probe.prediction") {
    sections.push(...await predictionSections(place, arrays, options));
  } else {
    const figures: Figure[] = [];
    const coordinates = String(attributes.coordinates ?? "").split(" ");
    for (const [name, array] of Object.entries(arrays)) {
      if (coordinates.includes(name) || array.dims?.[0] === name) continue;
      const figure = await arrayFigure(name, array, options);
      if (figure) figures.push(figure);
    }
    sections.push({ figures });
  }
  return {
    title: TITLES[format] ?? `Result ${format}`,
    sections: [...sections, {
      heading: "What is drawn",
      facts: [
        ["result", place],
        ...Object.entries(arrays).map(([name, { shape, dtype }]): [string, string] => [
          name,
          `[${shape.join(", ")}] ${dtype}`,
        ]),
        ["parameters", JSON.stringify(attributes.parameters ?? {})],
      ],
    }],
  };
}

/** How often probabilities come, and, where classes are known, how well they tell them apart. */
async function predictionSections(
  place: string,
  { logits, probabilities }: OpenedArrays["arrays"],
  { labels, signal }: PlotOptions,
): Promise<Section[]> {
  if (!logits || !probabilities) {
    throw new ChunkError(`Cannot plot ${place}: it lacks logits or probabilities`, place);
  }
  const rows = probabilities.shape[0]!;
  const probes = widthOf(probabilities);
  if (labels && labels.length !== rows) {
    throw new RangeError(
      `Cannot plot ${place}: there are ${labels.length} labels, wanted one for each of ${rows} rows`,
    );
  }
  const histograms = Array.from({ length: probes }, () => new Histogram({ low: 0, high: 1 }, 40));
  // every row has a say in the order of all
  const own = labels && Array.from({ length: probes }, () => ({
    logits: new Float32Array(rows),
    probabilities: new Float32Array(rows),
  }));
  await readTogether([logits, probabilities], [0, rows], (start, end, [scores, values]) => {
    for (let row = start; row < end; row++) {
      for (let probe = 0; probe < probes; probe++) {
        const at = (row - start) * probes + probe;
        histograms[probe]!.add(values![at]!);
        if (!own) continue;
        own[probe]!.logits[row] = scores![at]!;
        own[probe]!.probabilities[row] = values![at]!;
      }
    }
  }, { signal });
  return histograms.flatMap((histogram, probe): Section[] => {
    const name = probes === 1 ? "" : `Probe ${probe}`;
    const chart: Chart = {
      title: "Probabilities",
      x: { label: "probability of class 1", low: 0, high: 1 },
      y: { label: "rows", low: 0, whole: true },
      note: histogram.ruleOf(rows) +
        (labels ? "" : " Where their classes are known there are ROC and confusion: --labels Y."),
      marks: [boxes({ boxes: histogram.boxes, name: "rows", color: 0 })],
    };
    const figure: Figure = { draw: (width) => drawChart(chart, width) };
    const isThere = own && !own[probe]!.logits.some(Number.isNaN);
    return [
      { ...(name !== "" && { heading: name }), figures: [figure] },
      ...isThere ? [classSections("Classes", labels!, own[probe]!)] : [],
    ];
  });
}

/** An array of numbers: how often they come, their course along rows, or colours. */
async function arrayFigure(
  name: string,
  array: ChunkedArray,
  { signal }: PlotOptions,
): Promise<Figure | undefined> {
  const rows = array.shape[0]!;
  const width = widthOf(array);
  if (array.dtype === "string" || rows === 0 || width === 0) return undefined;
  const [first = "row", second = "column"] = array.dims ?? [];
  const range = { low: -0.5, high: rows - 0.5 };
  const columns = new Columns(range, Math.min(MOST_COLUMNS, rows));
  const note = ruleOf(rows, columns.count, "rows");
  if (width > MOST_SERIES) {
    const across = Math.min(MOST_ACROSS, width);
    const sums = new Float64Array(columns.count * across);
    const counts = new Float64Array(columns.count * across);
    await readTogether([array], [0, rows], (start, end, [values]) => {
      for (let row = start; row < end; row++) {
        const column = columns.at(row);
        for (let i = 0; i < width; i++) {
          const value = values![(row - start) * width + i]!;
          if (!Number.isFinite(value)) continue;
          const at = column * across + Math.floor(i * across / width);
          sums[at]! += value;
          counts[at]!++;
        }
      }
    }, { signal });
    const chart: Chart = {
      title: name,
      x: { label: first, low: range.low, high: range.high },
      y: { label: second },
      note: across < width
        ? `${note} ${formatCount(width)} numbers of a row are drawn as ${across} means.`
        : note,
      marks: [heatMap({
        values: sums.map((sum, i) => sum / counts[i]!),
        ...{ columns: columns.count, rows: across, x: range, name },
        y: { low: -0.5, high: width - 0.5 },
      })],
    };
    return { draw: (wide) => drawChart(chart, wide) };
  }
  const series = Array.from({ length: width }, () => new SeriesColumns(columns));
  const ends = new Extent();
  await readTogether([array], [0, rows], (start, end, [values]) => {
    for (let row = start; row < end; row++) {
      for (let i = 0; i < width; i++) {
        const value = values![(row - start) * width + i]!;
        if (!Number.isFinite(value)) continue;
        series[i]!.add(row, value);
        ends.add(value);
      }
    }
  }, { signal });
  const chart: Chart = {
    title: name,
    says: ends.low <= ends.high
      ? `From ${ends.low.toPrecision(4)} to ${ends.high.toPrecision(4)}.`
      : "There are no numbers.",
    x: { label: first, ...range },
    y: { label: name, whole: /int|bool/.test(array.dtype) },
    height: 160,
    note,
    marks: series.flatMap((own, i) => own.marks(width === 1 ? name : `${second} ${i}`, i)),
  };
  return { draw: (wide) => drawChart(chart, wide) };
}
