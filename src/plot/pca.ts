/**
 * Components as pictures: what each explains, and rows in the plane of the first two.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { formatCount } from "../math/format.ts";
import type { StoredPca } from "../decompose/pca.ts";
import type { Chart, Figure, Page } from "../view/view.ts";
import { bars, dots, drawChart, line } from "../view/view.ts";
import type { Reading } from "./blocks.ts";
import { readTogether, widthOf } from "./blocks.ts";
import type { PlotOptions } from "./options.ts";
import { Extent, Plane } from "./scatter.ts";

const MOST_BARS = 40;

export async function pcaPage(place: string, fit: StoredPca, options: PlotOptions): Promise<Page> {
  const { explainedVarianceRatio: shares, scores } = fit;
  const explained = shares.reduce((sum, share) => sum + share, 0);
  const figures = [varianceFigure(shares)];
  if (scores) figures.push(await scoreFigure(scores, options));
  return {
    title: `Principal components, ${shares.length}`,
    sections: [
      { figures },
      {
        heading: "What is drawn",
        facts: [
          ["result", place],
          ["components", formatCount(shares.length)],
          ["variance that they explain", percent(explained)],
          ["scores", scores ? `${formatCount(scores.shape[0]!)} rows` : "not stored"],
        ],
      },
    ],
  };
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

function varianceFigure(shares: Float64Array): Figure {
  const own = shares.map((share) => 100 * share);
  let sum = 0;
  const together = own.map((share) => sum += share);
  const x = own.map((_, i) => i);
  const names = Array.from(own, (_, i) => String(i + 1));
  const chart: Chart = {
    title: "Variance that components explain",
    says: `The first explains ${percent(shares[0] ?? 0)}, all together ${percent(sum / 100)}.`,
    x: { label: "component", names },
    y: { label: "share of the variance", unit: "%", low: 0 },
    marks: [
      own.length <= MOST_BARS
        ? bars({ values: own, name: "by itself", color: 0 })
        : line({ x, y: own, name: "by itself", color: 0 }),
      line({ x, y: together, name: "with all before it", color: 1, dash: "6 3" }),
      ...own.length <= MOST_BARS
        ? [dots({ x, y: together, name: "with all before it", color: 1, keyed: false })]
        : [],
    ],
  };
  return {
    draw: (width) => drawChart(chart, width),
    table: {
      columns: ["component", "explains, %", "with all before it, %"],
      rows: Array.from(
        own.subarray(0, 100),
        (share, i) => [i + 1, share.toFixed(3), together[i]!.toFixed(3)],
      ),
    },
  };
}

/** Rows in the plane of the first two components. */
export async function scoreFigure(
  scores: ChunkedArray,
  { signal, onProgress }: PlotOptions,
): Promise<Figure> {
  const width = widthOf(scores);
  const all = [0, scores.shape[0]!] as const;
  const ends = [new Extent(), new Extent()];
  const half = (from: number): Reading => ({
    signal,
    onShare: (share) => onProgress?.(from + share / 2),
  });
  const second = width > 1 ? 1 : 0;
  await readTogether([scores], all, (start, end, [own]) => {
    for (let row = 0; row < end - start; row++) {
      ends[0]!.add(own![row * width]!);
      ends[1]!.add(own![row * width + second]!);
    }
  }, half(0));
  const plane = new Plane(ends[0]!.range, ends[1]!.range);
  await readTogether([scores], all, (start, end, [own]) => {
    for (let row = 0; row < end - start; row++) {
      plane.add(own![row * width]!, own![row * width + second]!);
    }
  }, half(0.5));
  const chart: Chart = {
    title: "Rows along the first two components",
    says: `${formatCount(plane.count)} rows.`,
    x: { label: "first component", ...plane.x },
    y: { label: second === 1 ? "second component" : "first component", ...plane.y },
    height: 360,
    note: plane.rule,
    marks: plane.marks(),
  };
  return { draw: (width) => drawChart(chart, width) };
}
