/**
 * Activations as pictures: how long they are, layer by layer, and how many tokens samples have.
 *
 * @module
 */

import type { Acts } from "../acts/acts.ts";
import { tokenNorms } from "../acts/norms.ts";
import { formatCount } from "../math/format.ts";
import type { Chart, Figure, Page } from "../view/view.ts";
import { band, bars, boxes, dots, drawChart, line } from "../view/view.ts";
import type { PlotOptions } from "./options.ts";
import { Extent, Histogram } from "./scatter.ts";

/** Rows of a layer whose length is measured. */
const MOST_ROWS = 20_000;
const MOST_BARS = 60;

export async function actsPage(place: string, acts: Acts, options: PlotOptions): Promise<Page> {
  const { signal, onProgress } = options;
  const norms = await tokenNorms(acts, MOST_ROWS, signal && { signal });
  onProgress?.(1);
  const { dims, dtype, hidden, samples, layers, tokenCount, facts } = acts;
  const figures: Figure[] = [normFigure(norms, tokenCount)];
  if (dims.includes("s")) figures.push(tokenFigure(acts.counts));
  return {
    title: "Activations",
    sections: [
      { figures },
      {
        heading: "What is drawn",
        facts: [
          ["result", place],
          ["axes", dims],
          ["type", dtype],
          ["samples", formatCount(samples)],
          ["tokens", formatCount(tokenCount)],
          ["layers", layers ? layers.join(", ") : "one"],
          ["channels", formatCount(hidden)],
          ["made by", facts.producer ?? "not told"],
          ["taken at", facts.hookPoint ?? "not told"],
        ],
      },
    ],
  };
}

function normFigure(norms: Awaited<ReturnType<typeof tokenNorms>>, tokens: number): Figure {
  const x = norms.map((_, i) => i);
  const of = (name: "least" | "median" | "mean" | "most") => norms.map((own) => own[name]);
  const rows = norms[0]?.rows ?? 0;
  const isMany = norms.length > 1;
  const one = (name: "median" | "mean", color: number) =>
    isMany
      ? [
        line({ x, y: of(name), name, color, ...(color > 0 && { dash: "6 3" }) }),
        dots({ x, y: of(name), name, color, keyed: false }),
      ]
      : [dots({ x, y: of(name), name, color, radius: 4 })];
  const chart: Chart = {
    title: "Length of activations by layer",
    says: norms.map(({ layer, median }) => `Layer ${layer ?? 0}: median ${median.toPrecision(4)}`)
      .join("; "),
    x: {
      label: "layer",
      names: norms.map(({ layer }) => layer === -1 ? "embeddings" : String(layer ?? "")),
    },
    y: { label: "Euclidean length", low: 0 },
    note: rows < tokens
      ? `${formatCount(rows)} of ${
        formatCount(tokens)
      } rows of a layer are measured: samples that are spread evenly.`
      : `All ${formatCount(rows)} rows are measured.`,
    marks: [
      ...isMany
        ? [band({ x, low: of("least"), high: of("most"), name: "least to most", color: 0 })]
        : [],
      ...one("median", 0),
      ...one("mean", 1),
    ],
  };
  return {
    draw: (width) => drawChart(chart, width),
    table: {
      columns: ["layer", "rows", "least", "median", "mean", "most", "not finite"],
      rows: norms.map(({ layer, rows, least, median, mean, most, notFinite }) => [
        String(layer ?? ""),
        formatCount(rows),
        ...[least, median, mean, most].map((value) => value.toPrecision(4)),
        notFinite,
      ]),
    },
  };
}

function tokenFigure(counts: Float64Array): Figure {
  const ends = new Extent();
  counts.forEach((count) => ends.add(count));
  const isFew = ends.high - ends.low < MOST_BARS;
  // whole numbers lie in the middle of their cells
  const histogram = new Histogram(
    { low: ends.low - 0.5, high: ends.high + 0.5 },
    isFew ? ends.high - ends.low + 1 : MOST_BARS,
  );
  counts.forEach((count) => histogram.add(count));
  const chart: Chart = {
    title: "Detected tokens of samples",
    says: `From ${ends.low} to ${ends.high}.`,
    x: {
      label: "tokens",
      ...(isFew && { names: Array.from(histogram.counts, (_, i) => String(ends.low + i)) }),
    },
    y: { label: "samples", low: 0, whole: true },
    note: `All ${formatCount(counts.length)} samples are counted.`,
    marks: [
      isFew
        ? bars({ values: histogram.counts, name: "samples", color: 0 })
        : boxes({ boxes: histogram.boxes, name: "samples", color: 0 }),
    ],
  };
  return { draw: (width) => drawChart(chart, width) };
}
