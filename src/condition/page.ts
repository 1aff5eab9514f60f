/**
 * The results as a page to look at.
 *
 * @module
 */

import type { MeanEstimate } from "../math/student.ts";
import type { Box, Cell, Color, Figure, Mark, Page, Table } from "../view/view.ts";
import { boxes, dots, drawChart, drawPage, level, line } from "../view/view.ts";
import type { ConditionReport, ConditionResult } from "./results.ts";
import { describeSkipped, slicesOf, splitsOf } from "./tables.ts";

/** The same in every figure. */
const COLORS: Record<string, Color> = { train: 0, holdout: 3, eval: 1, permuted: "rule" };
const PLOT_HEIGHT = 190;
/** Least end of the axis of ratios, so that 1 is always in sight. */
const LEAST_HIGH = 1.2;

/** A number of a table: four digits. */
function show(value: number): string {
  return Number.isFinite(value) ? value.toFixed(4) : Number.isNaN(value) ? "none" : "∞";
}

/** A mean of speakers, with its interval where there is one. */
function showMean({ count, mean, low, high }: MeanEstimate): string {
  const interval = Number.isFinite(low) ? ` (${show(low)} to ${show(high)})` : "";
  return `${show(mean)}${interval} of ${count}`;
}

/** `report.html`. */
export function reportPage(report: ConditionReport): string {
  return drawPage(conditionPage(report));
}

export function conditionPage(report: ConditionReport): Page {
  const { results, frames, features, utterances, skipped, passed } = report;
  const names = [...new Set(results.map(({ condition }) => condition))];
  const numbers = numberTable(results);
  return {
    title: "Context conditioning",
    verdict: { text: passed ? "passed" : "failed", passed },
    sections: [
      {
        text: [
          `${frames} frames of ${features} features in ${utterances} utterances${
            describeSkipped(skipped)
          }. The variance ratio is that of deltas within clusters of their past to that of all: ` +
          `1 where the past tells nothing.`,
        ],
        table: splitTable(report),
      },
      {
        heading: "Decision",
        text: [
          "Passed when a condition passes every check at one of the lags. " +
          "✓: at most the limit at the head of the column; ✗: more, or no number.",
        ],
        table: decisionTable(results),
      },
      {
        heading: "Variance ratio by lag",
        text: ["Of all rows; dashed, what the decision wants at most."],
        figures: names.map((name) => ratioFigure(name, report)),
      },
      {
        heading: "Variance ratio by speaker",
        text: [
          "A dot each; a line at their mean, on its 95 % interval; dashed, the mean that ids without " +
          "meaning would have.",
        ],
        figures: results.map(speakerFigure),
      },
      {
        heading: "All numbers",
        folded: `${numbers.rows.length} rows, as in tables.csv`,
        table: numbers,
      },
    ],
  };
}

function splitTable({ splits }: ConditionReport): Table {
  return {
    columns: ["split", "speakers", "utterances", "rows"],
    rows: Object.entries(splits).map(([name, { speakers, utterances, rows }]) => [
      name,
      speakers,
      utterances,
      rows,
    ]),
  };
}

function decisionTable(results: readonly ConditionResult[]): Table {
  // all are asked the same
  const asked = results[0]!.checks.map(({ name, limit }) => `${name} ≤\u00a0${limit}`);
  return {
    columns: ["lag", "condition", "result", ...asked],
    rows: results.map(({ lag, condition, passed, checks }): Cell[] => [
      lag,
      condition,
      { text: passed ? "passed" : "failed", passed },
      ...checks.map(({ passed, value }) => ({ text: show(value), passed })),
    ]),
  };
}

function numberTable(results: readonly ConditionResult[]): Table {
  const rows = results.flatMap((result) =>
    splitsOf(result).flatMap(([split, diagnosis]) =>
      slicesOf(diagnosis).map(({ slice, statistics, numbers }) => [
        result.lag,
        result.condition,
        split,
        slice,
        statistics.rows,
        statistics.clusters,
        show(statistics.ratio),
        show(statistics.expectedRatio),
        show(statistics.reductionNats),
        numbers ? showMean(numbers.acrossSpeakers.ratio) : "",
      ])
    )
  );
  const columns = [
    "lag",
    "condition",
    "split",
    "slice",
    "rows",
    "clusters",
    "ratio",
    "expected of any ids",
    "entropy reduction, nat",
    "mean ratio of speakers (95 %)",
  ];
  return { columns, rows };
}

/** An axis of ratios from 0, to what is largest of them. */
function ratioAxis(ratios: readonly number[]) {
  const most = Math.max(...ratios.filter(Number.isFinite), 0);
  return { label: "variance ratio", low: 0, ...(most <= LEAST_HIGH && { high: LEAST_HIGH }) };
}

/** Ratios of a condition by lag: of each split, with permuted ids, and the threshold. */
function ratioFigure(name: string, { results, settings }: ConditionReport): Figure {
  const own = results.filter(({ condition }) => condition === name);
  const lines: Record<string, number[]> = {};
  for (const result of own) {
    for (const [split, { slices }] of splitsOf(result)) {
      (lines[split] ??= []).push(slices.all!.ratio);
    }
    (lines.permuted ??= []).push(result.eval.control.ratio);
  }
  const { ratio: threshold } = settings.thresholds as { ratio: number };
  const marks = Object.entries(lines).flatMap(([split, y]): Mark[] => {
    const x = y.map((_, i) => i);
    const shared = { x, y, name: split, color: COLORS[split]! };
    const hints = y.map((ratio) => `${split} ${show(ratio)}`);
    return [line(shared), dots({ ...shared, hints, keyed: false })];
  });
  const wanted = level({
    at: threshold,
    name: "threshold",
    color: "fail",
    dash: "5 4",
    hint: `threshold ${threshold}`,
  });
  const chart = {
    x: { label: "lag", unit: "frames", names: own.map(({ lag }) => String(lag)) },
    y: ratioAxis([...Object.values(lines).flat(), threshold]),
    marks: [wanted, ...marks],
    height: PLOT_HEIGHT,
  };
  return { caption: name, small: true, draw: (width) => drawChart(chart, width) };
}

/** Ratios of all speakers, their mean with its interval, and what ids that say nothing would give. */
function speakerFigure(result: ConditionResult): Figure {
  const splits = splitsOf(result);
  const chart = {
    x: {
      label: "split, number of speakers",
      names: splits.map(([split, { speakers }]) => `${split}, ${speakers.length}`),
    },
    y: ratioAxis(splits.flatMap(([, { speakers }]) => speakers.map(({ ratio }) => ratio))),
    marks: [...splits.map(speakerDots), ...meanMarks(splits)],
    height: PLOT_HEIGHT,
  };
  return {
    caption: `${result.condition}, lag ${result.lag}`,
    small: true,
    draw: (width) => drawChart(chart, width),
  };
}

type Splits = ReturnType<typeof splitsOf>;

function speakerDots([split, { speakers }]: Splits[number], place: number): Mark {
  return dots({
    // spread sideways, evenly and always alike
    x: speakers.map((_, i) => place + 0.5 * ((i * 0.618034) % 1 - 0.5)),
    y: speakers.map(({ ratio }) => ratio),
    name: split,
    color: COLORS[split]!,
    radius: 2.5,
    opacity: 0.5,
    hints: speakers.map(({ speaker, ratio, rows }) => `${speaker}: ${show(ratio)} of ${rows} rows`),
  });
}

/** Means of speakers at their splits, each across a part of its place. */
function meanMarks(splits: Splits): Mark[] {
  const half = 0.32;
  const across = (place: number) => ({ low: place - half, high: place + half });
  const intervals = splits.map(([, { acrossSpeakers }], place): Box => {
    const { low, high } = acrossSpeakers.ratio;
    return { x: across(place), y: { low, high }, hint: `${show(low)} to ${show(high)}` };
  });
  const bars = (name: string, values: readonly number[], dash?: string) =>
    values.map((value, place) =>
      line({
        x: [place - half, place + half],
        y: [value, value],
        name,
        color: "ink",
        hint: show(value),
        ...(dash !== undefined && { dash }),
      })
    );
  return [
    boxes({ boxes: intervals, name: "95 % interval", color: "ink", opacity: 0.15 }),
    ...bars("mean", splits.map(([, { acrossSpeakers }]) => acrossSpeakers.ratio.mean)),
    ...bars(
      "mean of ids without meaning",
      splits.map(([, { acrossSpeakers }]) => acrossSpeakers.expectedRatio),
      "2 4",
    ),
  ];
}
