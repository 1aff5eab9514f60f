/**
 * Clusters as pictures: rows in the plane that tells centroids apart best, sizes, and distances.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { largestEigen } from "../math/eigen.ts";
import { formatCount } from "../math/format.ts";
import type { StoredKMeans } from "../cluster/kmeans.ts";
import { storedAttributes } from "../stream/places.ts";
import { formatNumber } from "../view/ticks.ts";
import type { Chart, Figure, Page } from "../view/view.ts";
import { bars, boxes, dots, drawChart, line, tags } from "../view/view.ts";
import type { Numbers, Reading } from "./blocks.ts";
import { readTogether, widthOf } from "./blocks.ts";
import type { PlotOptions } from "./options.ts";
import { Extent, Histogram, Plane } from "./scatter.ts";

/** Clusters that have a colour of their own. */
const MOST_COLORS = 7;
/** Clusters that have a bar of their own. */
const MOST_BARS = 60;

export async function kmeansPage(
  place: string,
  fit: StoredKMeans,
  options: PlotOptions,
): Promise<Page> {
  const { signal, onProgress, input } = options;
  const { ids, distances, inertia, iterations, converged } = fit;
  const rows = ids.shape[0]!;
  const { k } = (await storedAttributes(place))!.parameters as { k: number };
  const counts = new Float64Array(k);
  const spread = new Extent();
  const part = (from: number, size: number): Reading => ({
    signal,
    onShare: (share) => onProgress?.(from + size * share),
  });
  await readTogether([ids, distances], [0, rows], (_, __, [own, far]) => {
    own!.forEach((id) => counts[id]!++);
    far!.forEach((distance) => spread.add(distance));
  }, part(0, 0.3));
  const histogram = new Histogram({ low: 0, high: spread.high > 0 ? spread.high : 1 });
  await readTogether([distances], [0, rows], (_, __, [far]) => {
    far!.forEach((distance) => histogram.add(distance));
  }, part(0.3, 0.2));
  return {
    title: `k-means, ${k} clusters`,
    sections: [
      {
        figures: [
          await planeFigure(fit, k, counts, input, part(0.5, 0.5)),
          sizeFigure(counts),
          distanceFigure(histogram, rows),
        ],
      },
      {
        heading: "What is drawn",
        facts: [
          ["result", place],
          ["rows", formatCount(rows)],
          ["inertia", formatNumber(inertia, 8)],
          ["iterations", `${iterations}${converged ? "" : ", not converged"}`],
          ["clusters without rows", formatCount(counts.filter((count) => count === 0).length)],
        ],
      },
    ],
  };
}

/** The two directions in which centroids differ most, counted by their rows. */
function planeOf(centroids: Float64Array, counts: Float64Array) {
  const k = counts.length;
  const features = centroids.length / k;
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const mean = new Float64Array(features);
  centroids.forEach((value, i) =>
    mean[i % features]! += value * counts[Math.floor(i / features)]! / rows
  );
  const centred = centroids.map((value, i) => value - mean[i % features]!);
  const wanted = Math.min(2, features);
  const { vectors } = largestEigen(
    (own, count, products) => {
      for (let v = 0; v < count; v++) {
        const vector = own.subarray(v * features, (v + 1) * features);
        for (let c = 0; c < k; c++) {
          const center = centred.subarray(c * features, (c + 1) * features);
          const share = counts[c]! * center.reduce((sum, value, d) => sum + value * vector[d]!, 0);
          for (let d = 0; d < features; d++) products[v * features + d]! += share * center[d]!;
        }
      }
    },
    features,
    wanted,
  );
  const project = (values: ArrayLike<number>, row: number): [number, number] => {
    const [x, y] = [0, 1].map((axis) => {
      if (axis >= wanted) return 0;
      let sum = 0;
      for (let d = 0; d < features; d++) {
        sum += (values[row * features + d]! - mean[d]!) * vectors[axis * features + d]!;
      }
      return sum;
    });
    return [x!, y!];
  };
  return { features, project };
}

async function planeFigure(
  { centroids, ids }: StoredKMeans,
  k: number,
  counts: Float64Array,
  input: ChunkedArray | undefined,
  reading: Reading,
): Promise<Figure> {
  const { features, project } = planeOf(centroids, counts);
  const centers = Array.from({ length: k }, (_, id) => project(centroids, id));
  const [x, y] = [centers.map(([x]) => x), centers.map(([, y]) => y)];
  const common = {
    x: { label: "first direction in which centroids differ" },
    y: { label: "second direction" },
    height: 360,
  };
  const numbers = tags({ x, y, texts: centers.map((_, id) => String(id)) });
  const table = k > MOST_BARS ? undefined : {
    columns: ["cluster", "rows", "first direction", "second direction"],
    rows: centers.map((
      [x, y],
      id,
    ) => [id, formatCount(counts[id]!), x.toPrecision(4), y.toPrecision(4)]),
  };
  if (!input) {
    const chart: Chart = {
      ...common,
      title: "Centroids",
      says: `${k} centroids, told by their numbers.`,
      note: "Rows are drawn where they are at hand: --input X.",
      marks: [dots({ x, y, name: "centroid", color: 0, radius: 10, opacity: 0.25 }), numbers],
    };
    return { draw: (width) => drawChart(chart, width), ...(table && { table }) };
  }
  if (input.shape[0] !== ids.shape[0] || widthOf(input) !== features) {
    throw new RangeError(
      `Cannot plot clusters: the input has shape [${input.shape.join(", ")}], wanted the ` +
        `[${ids.shape[0]}, ${features}] that were clustered`,
    );
  }
  const ends = [new Extent(), new Extent()];
  const each = (onPoint: (point: [number, number], id: number) => void) =>
  (
    start: number,
    end: number,
    [values, own]: readonly Numbers[],
  ) => {
    for (let row = 0; row < end - start; row++) onPoint(project(values!, row), own![row]!);
  };
  const all = [0, ids.shape[0]!] as const;
  const half = (from: number): Reading => ({
    ...reading,
    onShare: (share) => reading.onShare?.(from + share / 2),
  });
  await readTogether(
    [input, ids],
    all,
    each((point) => point.forEach((own, i) => ends[i]!.add(own))),
    half(0),
  );
  const plane = new Plane(ends[0]!.range, ends[1]!.range);
  await readTogether([input, ids], all, each(([x, y], id) => plane.add(x, y, id)), half(0.5));
  const names = k <= MOST_COLORS
    ? Array.from({ length: k }, (_, id) => `cluster ${id}`)
    : undefined;
  const chart: Chart = {
    ...common,
    title: "Rows, and the centroids by their numbers",
    says: `${formatCount(plane.count)} rows and ${k} centroids.`,
    note: plane.rule,
    x: { ...common.x, ...plane.x },
    y: { ...common.y, ...plane.y },
    marks: [...plane.marks(names), numbers],
  };
  return { draw: (width) => drawChart(chart, width), ...(table && { table }) };
}

function sizeFigure(counts: Float64Array): Figure {
  const k = counts.length;
  const sorted = Float64Array.from(counts).sort().reverse();
  const says = `From ${formatCount(sorted.at(-1) ?? 0)} to ${formatCount(sorted[0] ?? 0)} rows.`;
  const chart: Chart = k <= MOST_BARS
    ? {
      title: "Rows of clusters",
      says,
      x: { label: "cluster", names: Array.from(counts, (_, id) => String(id)) },
      y: { label: "rows", low: 0, whole: true },
      marks: [bars({ values: counts, name: "rows", color: 0 })],
    }
    : {
      title: "Rows of clusters, the largest first",
      says,
      x: { label: "clusters, by their size" },
      y: { label: "rows", low: 0, whole: true },
      marks: [line({ y: sorted, name: "rows of a cluster", color: 0 })],
    };
  return { small: true, draw: (width) => drawChart(chart, width) };
}

function distanceFigure(histogram: Histogram, rows: number): Figure {
  const chart: Chart = {
    title: "Distances to the nearest centroid",
    says: `Up to ${histogram.range.high.toPrecision(4)}.`,
    x: { label: "distance, as the rows have it" },
    y: { label: "rows", low: 0, whole: true },
    note: histogram.ruleOf(rows),
    marks: [boxes({ boxes: histogram.boxes, name: "rows", color: 0 })],
  };
  return { small: true, draw: (width) => drawChart(chart, width) };
}
