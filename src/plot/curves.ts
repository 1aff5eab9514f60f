/**
 * Curves of models: how they learned, and how well they tell classes apart.
 *
 * @module
 */

import type { Confusion } from "../math/classification.ts";
import { auroc, confusion } from "../math/classification.ts";
import { formatCount } from "../math/format.ts";
import type { Chart, Figure, Mark, Section } from "../view/view.ts";
import { dots, drawChart, heatMap, line, tags } from "../view/view.ts";
import { Extent } from "./scatter.ts";

/** Losses by epoch. */
export interface Curve {
  name: string;
  values: ArrayLike<number>;
}

/** Points of a curve of rates. */
const MOST_POINTS = 2000;

/** Epochs that have a name each at the axis. */
const MOST_NAMES = 30;

/** Losses by epoch, from 1; the epoch whose parameters are kept is marked. Epochs without a number are passed over. */
export function learningFigure(
  title: string,
  curves: readonly Curve[],
  { best, unit }: { best?: number; unit?: string } = {},
): Figure {
  const drawn = curves.filter(({ values }) => Array.from(values).some(Number.isFinite));
  const epochs = Math.max(1, ...drawn.map(({ values }) => values.length));
  const hasNames = epochs <= MOST_NAMES;
  // names stand at 0, 1, 2 ...
  const first = hasNames ? 0 : 1;
  const ends = new Extent();
  for (const { values } of drawn) Array.from(values).forEach((value) => ends.add(value));
  const marks = drawn.flatMap(({ name, values }, i): Mark[] => {
    const known = Array.from(values, (_, epoch) => epoch).filter((epoch) =>
      Number.isFinite(values[epoch]!)
    );
    const x = known.map((epoch) => epoch + first);
    const y = known.map((epoch) => values[epoch]!);
    return [
      line({ x, y, name, color: i, ...(i > 0 && { dash: DASHES[(i - 1) % DASHES.length]! }) }),
      ...hasNames ? [dots({ x, y, name, color: i, keyed: false })] : [],
    ];
  });
  const at = best === undefined ? NaN : best - 1 + first;
  const kept: Mark[] = best === undefined || drawn.length === 0 ? [] : [
    line({
      x: [at, at],
      y: [ends.low, ends.high],
      name: `kept: epoch ${best}`,
      color: "soft",
      dash: "1 4",
    }),
  ];
  const names = Array.from({ length: epochs }, (_, epoch) => String(epoch + 1));
  const chart: Chart = {
    title,
    says: drawn.map(({ name, values }) =>
      `${name} from ${show(values[0])} to ${show(lastOf(values))}`
    )
      .join(", "),
    x: { label: "epoch", whole: true, ...(hasNames && { names }) },
    y: { label: "loss", ...(unit !== undefined && { unit }) },
    marks: [...marks, ...kept],
  };
  return {
    draw: (width) => drawChart(chart, width),
    table: {
      columns: ["epoch", ...drawn.map(({ name }) => name)],
      rows: someOf(epochs).map((
        epoch,
      ) => [epoch + 1, ...drawn.map(({ values }) => show(values[epoch]))]),
    },
  };
}

const DASHES = ["6 3", "2 3", "8 3 2 3"];

/** Some of so many, evenly spread, the last among them. */
function someOf(count: number, most = 50): number[] {
  const every = Math.ceil(count / most);
  const some = Array.from({ length: Math.ceil(count / every) }, (_, i) => i * every);
  return some.at(-1) === count - 1 ? some : [...some, count - 1];
}

const show = (value: number | undefined) =>
  value === undefined || !Number.isFinite(value) ? "none" : value.toPrecision(4);

function lastOf(values: ArrayLike<number>): number | undefined {
  return Array.from(values).findLast(Number.isFinite);
}

/** Where a probability is called positive. */
const THRESHOLD = 0.5;

/**
 * How well a probe tells two classes apart: rates at every threshold, and errors at one half. Logits rank: of
 * probabilities many round to 1 where logits still differ.
 */
export function classSections(
  name: string,
  labels: ArrayLike<number>,
  { logits, probabilities }: Record<"logits" | "probabilities", ArrayLike<number>>,
): Section {
  const area = auroc(labels, logits);
  const errors = confusion(labels, probabilities, THRESHOLD);
  return {
    heading: name,
    text: [
      `${formatCount(labels.length)} rows. AUROC ${
        area === null ? "none: there is one class alone" : area.toFixed(4)
      }.`,
    ],
    figures: [
      ...area === null ? [] : [rocFigure(labels, logits, area)],
      confusionFigure(errors),
    ],
  };
}

/** True and false positive rates from the highest threshold down. */
export function rocPoints(
  labels: ArrayLike<number>,
  scores: ArrayLike<number>,
): { x: Float64Array; y: Float64Array } {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  const positives = Array.from(labels).filter((label) => label > 0).length;
  const negatives = labels.length - positives;
  const [x, y] = [[0], [0]];
  let [trues, falses] = [0, 0];
  order.forEach((row, i) => {
    if (labels[row]! > 0) trues++;
    else falses++;
    // rows of one score are called together
    const next = order[i + 1];
    if (next !== undefined && scores[next] === scores[row]) return;
    x.push(falses / negatives);
    y.push(trues / positives);
  });
  return { x: Float64Array.from(x), y: Float64Array.from(y) };
}

function rocFigure(
  labels: ArrayLike<number>,
  scores: ArrayLike<number>,
  area: number,
): Figure {
  const points = rocPoints(labels, scores);
  const chart: Chart = {
    title: "Receiver operating characteristic",
    says: `AUROC ${area.toFixed(4)}.`,
    x: { label: "false positive rate", low: 0, high: 1 },
    y: { label: "true positive rate", low: 0, high: 1 },
    height: 300,
    marks: [
      line({ x: [0, 1], y: [0, 1], name: "chance", color: "soft", dash: "5 4" }),
      line({ ...points, name: `AUROC ${area.toFixed(4)}`, color: 0 }),
    ],
  };
  const rows = someOf(Math.min(points.x.length, MOST_POINTS), 20)
    .map((i) => Math.floor(i * points.x.length / Math.min(points.x.length, MOST_POINTS)));
  return {
    small: true,
    draw: (width) => drawChart(chart, width),
    table: {
      columns: ["false positive rate", "true positive rate"],
      rows: rows.map((i) => [points.x[i]!.toFixed(4), points.y[i]!.toFixed(4)]),
    },
  };
}

function confusionFigure(errors: Confusion): Figure {
  const { trueNegatives, falsePositives, falseNegatives, truePositives } = errors;
  // columns are what was called, rows from the bottom what it is
  const values = [trueNegatives, falseNegatives, falsePositives, truePositives];
  const places = [[0, 0], [0, 1], [1, 0], [1, 1]] as const;
  const chart: Chart = {
    title: `Confusion where a probability above ${THRESHOLD} is called 1`,
    says:
      `${formatCount(trueNegatives)} of 0 called 0, ${
        formatCount(falsePositives)
      } of 0 called 1, ` +
      `${formatCount(falseNegatives)} of 1 called 0, ${formatCount(truePositives)} of 1 called 1.`,
    x: { label: "called", names: ["0", "1"] },
    y: { label: "is", names: ["0", "1"] },
    height: 220,
    marks: [
      heatMap({
        ...{ values, columns: 2, rows: 2, name: "rows", range: { low: 0 } },
        ...{ x: { low: -0.5, high: 1.5 }, y: { low: -0.5, high: 1.5 } },
      }),
      tags({
        x: places.map(([x]) => x),
        y: places.map(([, y]) => y),
        texts: values.map(formatCount),
      }),
    ],
  };
  return { small: true, draw: (width) => drawChart(chart, width) };
}
