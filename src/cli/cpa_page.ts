/**
 * The page of a model of perturbations: whether it beats what needs no model, how it learned, and what it knows.
 *
 * @module
 */

import type { CellTable } from "../cpa/cell_table.ts";
import { CONTROL, SPLITS } from "../cpa/cell_table.ts";
import { principalAxes, project } from "../cpa/cell_distributions.ts";
import type { CellComparison } from "../cpa/cell_comparisons.ts";
import type { ConditionScores, Scores } from "../cpa/condition_scores.ts";
import type { Evaluation } from "../cpa/evaluation_summary.ts";
import type { EvaluationSums } from "../cpa/evaluation_sums.ts";
import type { TrainedCpa } from "../cpa/trained.ts";
import { bars } from "../view/bars.ts";
import type { Chart, Mark } from "../view/chart.ts";
import { drawChart, drawCharts } from "../view/chart.ts";
import { dots } from "../view/dots.ts";
import { heatMap } from "../view/heat_map.ts";
import { line } from "../view/lines.ts";
import type { Cell, Figure, Section, Verdict } from "../view/page.ts";
import { drawPage } from "../view/page.ts";
import type { Color } from "../view/style.ts";

export interface ReportParts {
  model: TrainedCpa;
  table: CellTable;
  sums: EvaluationSums;
  evaluation: Evaluation;
  /** Places of the model and of the cells. */
  from: string;
  cells: string;
}

/** Of a condition's line in a chart, px. */
const LINE_HEIGHT = 26;
/** Colours that are told apart without dashes. */
const COLORS = 7;
/** Things that are named one by one in a key. */
const MOST_KEYED = 7;

const OVER = "ln(1 + 10⁴ share)";

export function drawReport(parts: ReportParts): string {
  const { model, evaluation } = parts;
  const verdict = verdictOf(evaluation);
  return drawPage({
    title: "Model of perturbed cells",
    verdict,
    sections: [
      { text: [...headlinesOf(evaluation), wordsOf(parts)] },
      ...scoreSections(parts),
      learningSection(model),
      embeddingSection(model),
      doseSection(parts),
      uncertaintySection(parts),
      { heading: "What this is of", facts: factsOf(parts) },
    ],
  });
}

/** Over conditions where these are enough to tell, else over the cells of each. */
function verdictOf({ comparisons, overCells }: Evaluation): Verdict {
  const told = comparisons.every(({ deltaPearson }) => deltaPearson.interval !== undefined);
  const beats = (baseline: CellComparison["baseline"]) => {
    const own = (told ? comparisons : overCells).filter((one) => one.baseline === baseline);
    return own.length > 0 && own.every((one) => one.beats);
  };
  const [change, sum] = [beats("no-change"), beats("additive")];
  if (change && sum) return { text: "beats no-change and additive", passed: true };
  if (change) return { text: "beats no-change, not additive", passed: false };
  if (sum) return { text: "beats additive, not no-change", passed: false };
  return { text: "beats neither no-change nor additive", passed: false };
}

/** Sentences: over conditions, and condition by condition. */
export function headlinesOf({ headlines, overCells }: Evaluation): string[] {
  const parts = (["no-change", "additive"] as const).map((baseline) => {
    const own = overCells.filter((one) => one.baseline === baseline);
    const won = own.filter(({ beats }) => beats).length;
    return own.length === 0
      ? `it is not compared with ${baseline}, which no condition has, or none with enough cells`
      : `it beats ${baseline} in ${won} of ${own.length}`;
  });
  return [
    ...headlines.map((text) => `${text[0]!.toUpperCase()}${text.slice(1)}.`),
    `Condition by condition ${
      parts.join(", ")
    }. It beats where both delta Pearson and L2 are better, by more than ` +
    "chance among the condition's own cells makes of them (95 %, by a jackknife).",
  ];
}

function wordsOf({ sums }: ReportParts): string {
  return `Truth are cells of split "${sums.split}". A profile is ${OVER}, by the share that a gene has of the counts of all cells of a condition; the model's is ` +
    "what it expects of training cells that are control, had they been given the condition. Delta Pearson correlates " +
    "changes from control over genes, L2 is the distance over the genes expressed most in control: of that less is better.";
}

function scoreSections({ sums, table, evaluation }: ReportParts): Section[] {
  const { rows, means, overCells } = evaluation;
  const contextName = contextNames(sums);
  const labelOf = (row: { condition: string; context: number }) =>
    [row.condition, contextName(row.context)].filter((part) => part !== "").join(", ");
  const labels = [...new Set(rows.map(labelOf))];
  const names = [...new Set(rows.map(({ predictor }) => predictor))];
  const predicted = rows.filter(({ scores }) => scores);
  // the model is drawn last, on top
  const predictors = [...names.filter((name) => name !== MODEL), MODEL];
  const chart = (key: "deltaPearson" | "l2", label: string): Figure => ({
    caption: `${label}, condition by condition`,
    draw: (width) =>
      drawChart(scoreChart(rows, key, label, { labels, predictors, labelOf }), width),
  });
  return [
    {
      heading: "Scores",
      figures: [chart("deltaPearson", "delta Pearson"), chart("l2", "L2")],
    },
    {
      heading: "Means over conditions",
      table: {
        columns: ["predictor", "conditions", ...SCORES.map(({ name }) => name)],
        rows: means.filter(({ scores }) => scores.deltaPearson).map(({ predictor, scores }) => [
          predictor,
          scores.deltaPearson.conditions,
          ...SCORES.map(({ key }) => show(scores[key].mean)),
        ]),
      },
    },
    ...overCells.length === 0 ? [] : [{
      heading: "Against baselines, over the cells of each condition",
      text: [
        "Differences, and 95 % around them, by leaving out parts of the condition's cells.",
      ],
      table: {
        columns: [
          "condition",
          "baseline",
          "delta Pearson differs by",
          "95 %",
          "L2 differs by",
          "95 %",
          "",
        ],
        rows: overCells.map((own): Cell[] => [
          labelOf(own),
          own.baseline,
          show(own.deltaPearson.difference),
          range(own.deltaPearson.interval),
          show(own.l2.difference),
          range(own.l2.interval),
          { text: own.beats ? "beats it" : "does not", passed: own.beats },
        ]),
      },
    }],
    {
      heading: "All scores",
      folded: `${predicted.length} rows`,
      text: missingOf(rows, labelOf),
      table: {
        columns: [
          "condition",
          "cells",
          "predictor",
          "delta Pearson",
          "95 % over cells",
          ...SCORES.slice(1).map(({ name }) => name),
        ],
        rows: predicted.map((row): Cell[] => {
          const [correlation, ...others] = SCORES.map(({ key }) => show(row.scores![key]));
          const over = row.deltaPearsonOverCells;
          const sure = row.isConstant ? "does not vary" : over ? range(over) : "";
          return [labelOf(row), row.cells, row.predictor, correlation!, sure, ...others];
        }),
      },
    },
    ...table.notes.length > 0 ? [{ heading: "How cells were understood", text: table.notes }] : [],
  ];
}

/** What is not predicted, and why. */
function missingOf(
  rows: readonly ConditionScores[],
  labelOf: (row: ConditionScores) => string,
): string[] {
  const found = new Map<string, string[]>();
  for (const row of rows) {
    if (row.scores) continue;
    const key = `${row.predictor}: ${row.missing}`;
    found.set(key, [...found.get(key) ?? [], labelOf(row)]);
  }
  const few = (labels: readonly string[]) =>
    labels.length <= 3 ? labels.join("; ") : `${labels.length} conditions`;
  return [...found].map(([why, labels]) => `No ${why} (${few(labels)}).`);
}

const MODEL = "the model";

const SCORES: readonly { key: keyof Scores; name: string }[] = [
  { key: "deltaPearson", name: "delta Pearson" },
  { key: "deltaPearsonPerturbed", name: "from the perturbed mean" },
  { key: "l2", name: "L2" },
  { key: "topDeltaPearson", name: "top genes: delta Pearson" },
  { key: "topRSquared", name: "R²" },
  { key: "topSignAgreement", name: "signs" },
  { key: "rank", name: "rank" },
  { key: "centroidAccuracy", name: "centroid accuracy" },
  { key: "originalR2Mean", name: "the original's r2 mean" },
  { key: "originalR2Var", name: "r2 var" },
  { key: "energyDistance", name: "of cells: energy distance" },
  { key: "squaredMmd", name: "MMD²" },
  { key: "varianceRSquared", name: "R² of variances" },
];

function scoreChart(
  rows: readonly ConditionScores[],
  key: "deltaPearson" | "l2",
  label: string,
  { labels, predictors, labelOf }: {
    labels: readonly string[];
    predictors: readonly string[];
    labelOf(row: ConditionScores): string;
  },
): Chart {
  // the first is at the top
  const names = labels.toReversed();
  const marks = predictors.flatMap((name, i): Mark[] => {
    const isModel = name === MODEL;
    const own = rows.filter(({ predictor, scores }) =>
      predictor === name && scores && Number.isFinite(scores[key])
    );
    if (own.length === 0) return [];
    const color: Color = isModel ? "ink" : i % COLORS;
    const shift = isModel ? 0 : 0.5 * ((i + 1) / predictors.length - 0.5);
    const y = own.map((row) => names.indexOf(labelOf(row)) + shift);
    const x = own.map(({ scores }) => scores![key]);
    const hints = own.map((row, k) => `${labelOf(row)}, ${name}: ${x[k]!.toFixed(3)}`);
    const whiskers = isModel && key === "deltaPearson"
      ? own.flatMap(({ deltaPearsonOverCells: over }, k) =>
        over
          ? [
            line({
              x: [...over],
              y: [y[k]!, y[k]!],
              name: "95 % over the condition's cells",
              color: "ink",
            }),
          ]
          : []
      )
      : [];
    const radius = isModel ? 5 : 3;
    return [...keyedOnce(whiskers), dots({ x, y, name, color, hints, radius })];
  });
  const range = padded(marks.flatMap(({ x }) => x ? [x.low, x.high] : []));
  return {
    x: { label, ...key === "l2" ? { unit: OVER, low: 0, high: range.high } : range },
    y: { label: "condition", names },
    marks,
    height: LINE_HEIGHT * labels.length + 16,
  };
}

/** A range with room on either side. */
function padded(values: readonly number[]): { low: number; high: number } {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = 0.03 * (high - low);
  return { low: low - room, high: high + room };
}

/** Of marks that are alike the first says what they are. */
function keyedOnce(marks: readonly Mark[]): Mark[] {
  return marks.map((mark, i) => i === 0 ? mark : { ...mark, keys: [] });
}

function learningSection({ history, facts: { epochsRun, bestEpoch } }: TrainedCpa): Section {
  const x = Float64Array.from({ length: epochsRun }, (_, i) => i + 1);
  const own = (values: Float64Array) => values.subarray(0, epochsRun);
  const isThere = (values: Float64Array) => own(values).some(Number.isFinite);
  // validated epochs alone have a number
  const curve = (values: Float64Array, name: string, color: Color): Mark[] => {
    const at = Array.from(x).filter((_, i) => Number.isFinite(values[i]!));
    const y = at.map((epoch) => values[epoch - 1]!);
    const few = at.length <= 40 ? [dots({ x: at, y, name, color, keyed: false })] : [];
    return at.length === 0 ? [] : [line({ x: at, y, name, color }), ...few];
  };
  const [low, high] = [Math.min(1, epochsRun - 1), Math.max(2, epochsRun)];
  const axis = { label: "epoch", whole: true, low, high };
  const { training_loss, validation_loss, adversary_loss, penalty } = history;
  const charts: Chart[] = [
    {
      x: axis,
      y: { label: "−log-likelihood", unit: "nats per cell" },
      marks: [
        ...curve(training_loss, "training cells", 0),
        ...curve(validation_loss, "validation cells", 1),
      ],
    },
    ...isThere(adversary_loss)
      ? [{
        x: axis,
        y: { label: "cross entropy of classifiers", unit: "nats" },
        marks: curve(adversary_loss, "classifiers of basal latents", 2),
        height: 120,
      }]
      : [],
    ...isThere(penalty)
      ? [{
        x: axis,
        y: { label: "penalty on their slopes" },
        marks: curve(penalty, "squared slopes", 3),
        height: 120,
      }]
      : [],
  ];
  return {
    heading: "How it learned",
    text: [`${epochsRun} epochs; its parameters are those of epoch ${bestEpoch}.`],
    figures: [{ draw: (width) => drawCharts(charts, width) }],
  };
}

function embeddingSection(model: TrainedCpa): Section {
  const { perturbations } = model.embeddings();
  const names = Object.keys(perturbations);
  const { latent } = model.facts.shape;
  const values = Float64Array.from(names.flatMap((name) => Array.from(perturbations[name]!)));
  const figures: Figure[] = [{
    caption: "Cosine between embeddings",
    draw: (width) =>
      drawChart({
        x: { label: "perturbation", names },
        y: { label: "perturbation", names: names.toReversed() },
        marks: [heatMap({
          values: Float64Array.from(
            names.flatMap((column) =>
              names.toReversed().map((row) => cosine(perturbations[column]!, perturbations[row]!))
            ),
          ),
          ...{ columns: names.length, rows: names.length },
          x: { low: -0.5, high: names.length - 0.5 },
          y: { low: -0.5, high: names.length - 0.5 },
          ...{ name: "cosine", map: "around", range: { low: -1, high: 1 } },
        })],
        height: Math.min(Math.max(160, 22 * names.length), 0.8 * width),
      }, width),
  }];
  if (names.length > 2 && latent > 1) {
    const axes = principalAxes({ values, dim: latent }, 2);
    const { values: at, dim } = project({ values, dim: latent }, axes);
    const coordinate = (axis: number) => names.map((_, i) => at[i * dim + axis] ?? 0);
    const [x, y] = [coordinate(0), coordinate(1)];
    const squares = (numbers: ArrayLike<number>) =>
      Array.from(numbers).reduce((sum, value) => sum + value * value, 0);
    const all = squares(values.map((value, i) => value - axes.mean[i % latent]!));
    const shareOf = (axis: number) =>
      `component ${axis + 1} (${
        (100 * squares(coordinate(axis)) / all).toFixed(0)
      } % of the variance)`;
    const marks = names.length <= MOST_KEYED
      ? names.map((name, i) =>
        dots({ ...{ x: [x[i]!], y: [y[i]!], name, hints: [name] }, color: i, radius: 5 })
      )
      : [
        dots({
          x,
          y,
          name: "perturbations (names under the pointer)",
          color: 0,
          hints: names,
          radius: 4,
        }),
      ];
    figures.push({
      caption: "Their two principal components",
      draw: (width) =>
        drawChart({
          x: { label: shareOf(0), ...padded(x) },
          y: { label: shareOf(1) },
          ...{ marks, height: 260 },
        }, width),
    });
  }
  return {
    heading: "Embeddings of perturbations",
    text: ["What is added to basal latents at a factor of 1. Control has an embedding, too."],
    figures,
  };
}

function doseSection({ model, table }: ReportParts): Section {
  const doses = new Map<number, Set<number>>();
  for (const { perturbations, doses: own } of table.conditions) {
    perturbations.forEach((id, slot) =>
      doses.set(id, (doses.get(id) ?? new Set()).add(own[slot]!))
    );
  }
  const most = Math.max(1e-12, ...[...doses.values()].flatMap((own) => [...own]));
  const steps = Float64Array.from({ length: 101 }, (_, i) => most * i / 100);
  // those of several doses say most
  const strange = model.facts.unlearned?.perturbations ?? [];
  const known = [...doses.keys()].filter((id) =>
    id !== CONTROL && !strange.includes(table.perturbations[id]!)
  );
  const ids = known
    .sort((a, b) => doses.get(b)!.size - doses.get(a)!.size || a - b).slice(0, MOST_KEYED);
  const marks = ids.flatMap((id, i): Mark[] => {
    const name = table.perturbations[id]!;
    const { factors } = model.doseResponse(name, steps);
    const seen = [...doses.get(id)!].sort((a, b) => a - b);
    const y = model.doseResponse(name, seen).factors;
    const hints = seen.map((dose, k) => `${name} at ${dose}: ${y[k]!.toFixed(3)}`);
    return [
      line({ x: steps, y: factors, name, color: i }),
      dots({ x: seen, y, name, color: i, hints, keyed: false, radius: 4 }),
    ];
  });
  const { doser } = model.facts.shape;
  const column = table.setup?.dosageKey;
  const left = known.length - ids.length;
  return {
    heading: "Dose response",
    text: [
      `What doses make of embeddings: factors by a "${doser}" function of each perturbation. Dots are doses that cells ` +
      `were given${
        ids.every((id) => doses.get(id)!.size === 1) ? ", one each: all else is a guess" : ""
      }.${left > 0 ? ` ${left} more perturbations are not drawn.` : ""}`,
    ],
    figures: [{
      draw: (width) =>
        drawChart({
          x: {
            label: column === undefined ? "dose" : `dose, as in column "${column}"`,
            low: 0,
            high: 1.02 * most,
          },
          y: { label: "factor of the embedding" },
          marks,
        }, width),
    }],
  };
}

function uncertaintySection({ model, table, sums, evaluation }: ReportParts): Section {
  const contextName = contextNames(sums);
  const held = new Set(
    evaluation.rows.map(({ condition, context }) => `${condition}|${contextName(context)}`),
  );
  const all = model.uncertainty(table).toSorted((a, b) => b.euclidean - a.euclidean);
  const own = all.filter(({ condition, context }) => held.has(`${condition}|${context}`));
  const labelOf = ({ condition, context }: typeof all[number]) =>
    [condition, context].filter((part) => part !== "").join(", ");
  const upward = own.toReversed();
  return {
    heading: "Uncertainty",
    text: [
      "How far the latents of a condition, without its cells, are from those of the nearest condition that more than 30 " +
      "training cells have: what is far away is guessed.",
    ],
    ...own.some(({ euclidean }) => euclidean > 0) && {
      figures: [{
        caption: `Conditions of split "${sums.split}"`,
        draw: (width: number) =>
          drawChart({
            x: {
              label: "Euclidean distance",
              low: 0,
              high: 1.04 * Math.max(...upward.map(({ euclidean }) => euclidean)),
            },
            y: { label: "condition", names: upward.map(labelOf) },
            marks: [bars({
              ...{ values: upward.map(({ euclidean }) => euclidean), along: "y" as const },
              ...{ name: "to the nearest training condition", color: 0 },
            })],
            height: LINE_HEIGHT * upward.length + 16,
          }, width),
      }],
    },
    table: {
      columns: ["condition", "Euclidean", "1 − cosine", "nearest"],
      rows: (own.length > 0 ? own : all).map((one) => [
        labelOf(one),
        show(one.euclidean),
        show(one.cosine),
        one.nearest,
      ]),
    },
  };
}

function factsOf({ model, table, from, cells }: ReportParts): [string, Cell][] {
  const { facts } = model;
  const { shape } = facts;
  const counts = SPLITS.map((name, i) =>
    `${table.splits.reduce((sum, own) => sum + Number(own === i), 0)} ${name}`
  );
  return [
    ["model", from],
    ["cells", cells],
    ["number of cells", `${table.cells}: ${counts.join(", ")}`],
    ["genes", table.genes],
    ["perturbations, beside control", table.perturbations.length - 2],
    ["conditions", table.conditions.length],
    [
      "covariates",
      table.covariates.map(({ name, levels }) => `${name} (${levels.length})`).join(", "),
    ],
    ["likelihood, doses", `${shape.head}, ${shape.doser}`],
    ["latents", shape.latent],
    [
      "encoder, decoder",
      [shape.encoder, shape.decoder].map(({ widths }) => widths.join(" × ")).join("; "),
    ],
  ];
}

/** Levels of a context's covariates. */
function contextNames({ table, strata, contextOf }: EvaluationSums): (context: number) => string {
  const own = table.covariates.filter(({ isBatch }) => !isBatch);
  return (context) => {
    const { levels } = strata.strata[contextOf.indexOf(context)]!;
    return own.map(({ levels: all }, i) => all[levels[i]!]!).join(", ");
  };
}

function cosine(a: Float64Array, b: Float64Array): number {
  const product = (one: Float64Array, other: Float64Array) =>
    one.reduce((sum, value, i) => sum + value * other[i]!, 0);
  return product(a, b) / Math.sqrt(product(a, a) * product(b, b));
}

const show = (value: number) => Number.isFinite(value) ? value.toFixed(3) : "";
const range = ([low, high]: readonly [number, number]) => `${show(low)} to ${show(high)}`;
