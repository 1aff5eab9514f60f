/**
 * Results as files: JSON, tables, and a page to look at.
 *
 * @module
 */

import type { Diagnosis, SpeakerNumbers } from "./diagnose.ts";
import type { MeanEstimate } from "../math/student.ts";
import type { ClusterStatistics } from "./moments.ts";
import type { ConditionReport, ConditionResult } from "./pipeline.ts";
import type { Id } from "./rows.ts";

/** JSON with the numbers it has no words for as texts, `"NaN"` and `"Infinity"`, as zarr writes them. */
export function stringifyNumbers(value: unknown): string {
  const replace = (_: string, item: unknown) =>
    typeof item === "number" && !Number.isFinite(item) ? String(item) : item;
  return JSON.stringify(value, replace, 2);
}

/** What {@link stringifyNumbers} wrote. */
export function parseNumbers(text: string): unknown {
  const isNumber = (key: string, item: unknown) =>
    key !== "speaker" && (item === "NaN" || item === "Infinity" || item === "-Infinity");
  return JSON.parse(text, (key, item) => isNumber(key, item) ? Number(item) : item);
}

/** Files that tell the results. */
export const RESULT_FILES = [
  "metrics.json",
  "tables.csv",
  "speakers.csv",
  "decision.json",
  "splits.json",
  "report.html",
] as const;

/** Contents of the files that tell the results, by name. */
export function describeResults(
  report: ConditionReport,
  splits: Record<string, Id[]>,
): Record<typeof RESULT_FILES[number], string> {
  const decision = {
    passed: report.passed,
    conditions: report.results.map(({ lag, condition, passed, checks }) => ({
      lag,
      condition,
      passed,
      checks,
    })),
  };
  return {
    "metrics.json": stringifyNumbers(report),
    "tables.csv": sliceTable(report.results),
    "speakers.csv": speakerTable(report.results),
    "decision.json": stringifyNumbers(decision),
    "splits.json": JSON.stringify(splits, undefined, 2),
    "report.html": page(report),
  };
}

/** Splits that a result has, by name. */
function splitsOf({ train, holdout, eval: evaluation }: ConditionResult): [string, Diagnosis][] {
  return [["train", train], ...holdout ? [["holdout", holdout] as [string, Diagnosis]] : [], [
    "eval",
    evaluation,
  ]];
}

const STATISTICS = [
  "rows",
  "clusters",
  "ratio",
  "expectedRatio",
  "entropy",
  "conditionalEntropy",
  "reductionNats",
  "reduction",
] as const;
/** As columns are named in Python. */
const COLUMNS = STATISTICS.map((name) =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
);

/** Of every speaker that counts once; empty where there are none to tell of. */
const SPEAKER_COLUMNS = ["speakers", "speaker_mean", "speaker_std", "speaker_low", "speaker_high"];

function sliceTable(results: readonly ConditionResult[]): string {
  const rows = results.flatMap((result) =>
    splitsOf(result).flatMap(([split, diagnosis]) =>
      slicesOf(diagnosis).map(({ slice, statistics, numbers }) => {
        const ratio = numbers?.acrossSpeakers.ratio;
        return [
          result.lag,
          result.condition,
          split,
          slice,
          ...STATISTICS.map((name) => statistics[name]),
          ...ratio
            ? [ratio.count, ratio.mean, ratio.std, ratio.low, ratio.high]
            : Array(5).fill(""),
        ];
      })
    )
  );
  const columns = ["lag", "condition", "split", "slice", ...COLUMNS, ...SPEAKER_COLUMNS];
  return csv([columns, ...rows]);
}

/** Slices of a split with their speakers, and the control, which has none. */
function slicesOf({ slices, control, speakerSlices, ...all }: Diagnosis): {
  slice: string;
  statistics: ClusterStatistics;
  numbers: SpeakerNumbers | undefined;
}[] {
  const own = Object.entries(slices).map(([slice, statistics]) => ({
    slice,
    statistics,
    numbers: slice === "all" ? all : speakerSlices[slice],
  }));
  return [...own, { slice: "permuted", statistics: control, numbers: undefined }];
}

function speakerTable(results: readonly ConditionResult[]): string {
  const rows = results.flatMap((result) =>
    splitsOf(result).flatMap(([split, diagnosis]) =>
      slicesOf(diagnosis).flatMap(({ slice, numbers }) =>
        (numbers?.speakers ?? []).map(({ speaker, ...statistics }) => [
          result.lag,
          result.condition,
          split,
          slice,
          speaker,
          ...STATISTICS.map((name) => statistics[name]),
        ])
      )
    )
  );
  return csv([["lag", "condition", "split", "slice", "speaker", ...COLUMNS], ...rows]);
}

function csv(rows: readonly (readonly (string | number)[])[]): string {
  const field = (value: string | number) => {
    const text = String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(field).join(",")}\n`).join("");
}

const escape = (text: string) =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** A number of a table: four digits. */
function show(value: number): string {
  return Number.isFinite(value) ? value.toFixed(4) : Number.isNaN(value) ? "none" : "∞";
}

/** What was left out, if anything: `, less 3 without frames and 2 that are too short`. */
export function describeSkipped({ empty, short }: ConditionReport["skipped"]): string {
  const parts = [
    ...empty > 0 ? [`${empty} without frames`] : [],
    ...short > 0 ? [`${short} that are too short`] : [],
  ];
  return parts.length > 0 ? `, less ${parts.join(" and ")}` : "";
}

/** A mean of speakers, with its interval where there is one. */
function showMean({ count, mean, low, high }: MeanEstimate): string {
  const interval = Number.isFinite(low) ? ` (${show(low)} to ${show(high)})` : "";
  return `${show(mean)}${interval} of ${count}`;
}

function page(report: ConditionReport): string {
  const { results, splits, frames, features, utterances, skipped, passed } = report;
  const names = [...new Set(results.map(({ condition }) => condition))];
  const sizes = Object.entries(splits).map(([name, { speakers, utterances, rows }]) =>
    row([name, speakers, utterances, rows])
  );
  const verdict = (passed: boolean, text: string) =>
    `<td class="${passed ? "pass" : "fail"}">${text}</td>`;
  // all are asked the same
  const asked = results[0]!.checks.map(({ name, limit }) => `${name} ≤\u00a0${limit}`);
  const decisions = results.map(({ lag, condition, passed, checks }) =>
    `<tr>${cells([lag, condition])}${
      checks.map(({ passed, value }) => verdict(passed, show(value))).join("")
    }${verdict(passed, passed ? "passed" : "failed")}</tr>`
  );
  const numbers = results.flatMap((result) =>
    splitsOf(result).flatMap(([split, diagnosis]) =>
      slicesOf(diagnosis).map(({ slice, statistics, numbers }) =>
        row([
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
    )
  );
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Context conditioning</title><style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .7rem; text-align: left; border-bottom: 1px solid #ddd; }
th { vertical-align: bottom; line-height: 1.2; } td.number { text-align: right; }
.pass { color: #1a7f37; } .fail { color: #c62828; } summary { cursor: pointer; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } figcaption { font-weight: 600; }
svg { font: 12px system-ui, sans-serif; background: #fff; color: #222; }
</style></head><body>
<h1>Context conditioning: <span class="${passed ? "pass" : "fail"}">${
    passed ? "passed" : "failed"
  }</span></h1>
<p>${frames} frames of ${features} features in ${utterances} utterances${
    describeSkipped(skipped)
  }. The variance ratio is that of
deltas within clusters of their past to that of all: 1 where the past tells nothing.</p>
<table>${row(["split", "speakers", "utterances", "rows"], "th")}${sizes.join("")}</table>
<h2>Decision</h2>
<p>Passed when a condition passes every check at one of the lags.</p>
<table>${row(["lag", "condition", ...asked, ""], "th")}${decisions.join("")}</table>
<h2>Variance ratio by lag</h2>
<p>Of all rows; dashed, what the decision wants.</p>
${names.map((name) => ratioFigure(name, report)).join("\n")}
<h2>Variance ratio by speaker</h2>
<p>A dot each; their mean with its 95 % interval; dotted, the mean that ids without meaning would have.</p>
${results.map((result) => speakerFigure(result)).join("\n")}
<h2>All numbers</h2>
<details><summary>${numbers.length} rows, as in tables.csv</summary><table>${
    row([
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
    ], "th")
  }${numbers.join("")}</table></details>
</body></html>
`;
}

function cells(values: readonly (string | number)[], tag = "td"): string {
  return values.map((value) => {
    const kind = tag === "td" && Number.isFinite(Number(value)) ? ' class="number"' : "";
    return `<${tag}${kind}>${escape(String(value))}</${tag}>`;
  }).join("");
}

function row(values: readonly (string | number)[], tag = "td"): string {
  return `<tr>${cells(values, tag)}</tr>`;
}

const COLORS: Record<string, string> = {
  train: "#1565c0",
  holdout: "#6a1b9a",
  eval: "#e65100",
  permuted: "#888",
};
const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [340, 230, 44, 12, 30];

/** A scale from 0 to a little above the largest value, at least 1.1, with lines up to `right`. */
function upward(
  values: readonly number[],
  right = WIDTH - 8,
): { y: (value: number) => number; axis: string } {
  const most = Math.max(1.1, ...values.filter(Number.isFinite).map((value) => 1.05 * value));
  const y = (value: number) =>
    TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.min(most, Math.max(0, value)) / most);
  const step = most > 2.5 ? most / 4 : 0.2;
  let axis = "";
  for (let tick = 0; tick <= most; tick += step) {
    axis += `<line x1="${LEFT}" x2="${right}" y1="${y(tick)}" y2="${y(tick)}" stroke="#eee"/>` +
      `<text x="${LEFT - 6}" y="${y(tick) + 4}" text-anchor="end">${tick.toFixed(1)}</text>`;
  }
  return { y, axis };
}

function level(at: number, color: string, title: string): string {
  return `<line x1="${LEFT}" x2="${WIDTH - 68}" y1="${at}" y2="${at}" stroke="${color}" ` +
    `stroke-dasharray="5 4"><title>${title}</title></line>`;
}

function figure(caption: string, content: string): string {
  return `<figure><figcaption>${escape(caption)}</figcaption>` +
    `<svg width="${WIDTH}" height="${HEIGHT}" role="img">${content}</svg></figure>`;
}

/** Ratios of a condition by lag: of each split, with permuted ids, and the threshold. */
function ratioFigure(name: string, { results, settings }: ConditionReport): string {
  const own = results.filter(({ condition }) => condition === name);
  const lines: Record<string, number[]> = {};
  for (const result of own) {
    for (const [split, { slices }] of splitsOf(result)) {
      (lines[split] ??= []).push(slices.all!.ratio);
    }
    (lines.permuted ??= []).push(result.eval.control.ratio);
  }
  // beside the names of the splits
  const { y, axis } = upward(Object.values(lines).flat(), WIDTH - 68);
  const x = (i: number) =>
    LEFT + (WIDTH - LEFT - 90) * (own.length === 1 ? 0.5 : i / (own.length - 1)) + 12;
  const ticks = own.map(({ lag }, i) =>
    `<text x="${x(i)}" y="${HEIGHT - 10}" text-anchor="middle">lag ${lag}</text>`
  );
  const drawn = Object.entries(lines).map(([split, ratios], order) => {
    const color = COLORS[split]!;
    const points = ratios.map((ratio, i) => [x(i), y(ratio), ratio] as const)
      .filter(([, , ratio]) => Number.isFinite(ratio));
    const path = points.map(([px, py]) => `${px},${py}`).join(" ");
    return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="1.5"/>` +
      points.map(([px, py, ratio]) =>
        `<circle cx="${px}" cy="${py}" r="3" fill="${color}"><title>${split} ${
          show(ratio)
        }</title></circle>`
      ).join("") +
      `<text x="${WIDTH - 62}" y="${HEIGHT - 96 + 15 * order}" fill="${color}">${split}</text>`;
  });
  const { ratio } = settings.thresholds as { ratio: number };
  return figure(
    name,
    axis + ticks.join("") + level(y(ratio), "#c62828", `threshold ${ratio}`) + drawn.join(""),
  );
}

/** Ratios of all speakers, their mean with its interval, and what ids that say nothing would give. */
function speakerFigure(result: ConditionResult): string {
  const splits = splitsOf(result);
  const { y, axis } = upward(
    splits.flatMap(([, { speakers }]) => speakers.map(({ ratio }) => ratio)),
  );
  const drawn = splits.map(([split, { speakers, acrossSpeakers }], i) => {
    const center = LEFT + (WIDTH - LEFT) * (i + 0.5) / splits.length;
    const dots = speakers.filter(({ ratio }) => Number.isFinite(ratio)).map(
      ({ speaker, ratio, rows }, j) => {
        // spread sideways, evenly and always alike
        const aside = 50 * ((j * 0.618034) % 1 - 0.5);
        return `<circle cx="${(center + aside).toFixed(1)}" cy="${y(ratio).toFixed(1)}" r="2.5" ` +
          `fill="${COLORS[split]}" fill-opacity="0.45"><title>${escape(speaker)}: ${
            show(ratio)
          } of ` +
          `${rows} rows</title></circle>`;
      },
    );
    const { ratio: { mean, low, high }, expectedRatio } = acrossSpeakers;
    const bar = (value: number, dash = "") =>
      Number.isFinite(value)
        ? `<line x1="${center - 32}" x2="${center + 32}" y1="${y(value)}" y2="${y(value)}" ` +
          `stroke="#222"${dash}><title>${show(value)}</title></line>`
        : "";
    const interval = Number.isFinite(low)
      ? `<rect x="${center - 32}" width="64" y="${y(high)}" height="${y(low) - y(high)}" ` +
        `fill="#222" fill-opacity="0.15"/>`
      : "";
    return dots.join("") + interval + bar(mean) + bar(expectedRatio, ' stroke-dasharray="2 3"') +
      `<text x="${center}" y="${
        HEIGHT - 10
      }" text-anchor="middle">${split}, ${speakers.length}</text>`;
  });
  return figure(`${result.condition}, lag ${result.lag}`, axis + drawn.join(""));
}
