/**
 * What scores of many conditions come to: means, intervals over conditions, and what beats what.
 *
 * @module
 */

import { quantiles } from "../math/quantiles.ts";
import { Random } from "../math/random.ts";
import type { CellComparison } from "./cell_comparisons.ts";
import type { ConditionScores, Scores } from "./condition_scores.ts";

export interface Interval {
  mean: number;
  /** Of 95 % of the draws; absent where conditions are too few to tell. */
  interval?: readonly [low: number, high: number];
  /** Conditions that it is over. */
  conditions: number;
}

export interface Comparison {
  predictor: string;
  baseline: "no-change" | "additive";
  /** Differences from the baseline over conditions that both have. */
  deltaPearson: Interval;
  l2: Interval;
  beats: boolean;
}

export interface Evaluation {
  rows: readonly ConditionScores[];
  /** By predictor, baselines and ceiling among them. */
  means: readonly { predictor: string; scores: Record<keyof Scores, Interval & { sd: number }> }[];
  comparisons: readonly Comparison[];
  /** In each condition, over its cells. */
  overCells: readonly CellComparison[];
  /** One sentence for each predictor. */
  headlines: readonly string[];
}

/**
 * Conditions below which no interval is given: of fewer, even differences that are all of one sign come by chance
 * more than once in 20.
 */
export const LEAST_CONDITIONS = 6;

export function summarize(
  rows: readonly ConditionScores[],
  models: readonly string[],
  { bootstraps, seed }: { bootstraps: number; seed: number },
): Omit<Evaluation, "overCells"> {
  const names = [...new Set(rows.map(({ predictor }) => predictor))];
  const scoresOf = (name: string) =>
    rows.filter(({ predictor }) => predictor === name).map(({ scores }) => scores);
  const draw = (values: readonly number[]) => intervalOf(values, bootstraps, seed);
  const means = names.map((predictor) => {
    const found = scoresOf(predictor).filter((own) => own !== undefined);
    const keys = Object.keys(found[0] ?? {}) as (keyof Scores)[];
    const scores = Object.fromEntries(keys.map((key) => {
      const values = found.map((own) => own[key]).filter((value) => !Number.isNaN(value));
      const own = draw(values);
      const squares = values.reduce((sum, value) => sum + (value - own.mean) ** 2, 0);
      return [key, { ...own, sd: Math.sqrt(squares / (values.length - 1)) }];
    }));
    return { predictor, scores: scores as Record<keyof Scores, Interval & { sd: number }> };
  });
  const comparisons = models.flatMap((predictor) =>
    (["no-change", "additive"] as const).map((baseline): Comparison => {
      const [own, other] = [scoresOf(predictor), scoresOf(baseline)];
      const differences = (key: "deltaPearson" | "l2") =>
        own.flatMap((scores, i) => scores && other[i] ? [scores[key] - other[i][key]] : []);
      const [correlation, l2] = [draw(differences("deltaPearson")), draw(differences("l2"))];
      const beats = correlation.interval !== undefined && l2.interval !== undefined &&
        correlation.interval[0] > 0 && l2.interval[1] < 0;
      return { predictor, baseline, deltaPearson: correlation, l2, beats };
    })
  );
  const held = new Set(rows.map(({ condition, context }) => `${condition} ${context}`)).size;
  const headlines = models.map((name) =>
    headlineOf(name, comparisons.filter(({ predictor }) => predictor === name), held)
  );
  return { rows, means, comparisons, headlines };
}

/** Mean, and the middle 95 % of the means of conditions drawn with replacement. */
export function intervalOf(values: readonly number[], draws: number, seed: number): Interval {
  const conditions = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / conditions;
  if (conditions < LEAST_CONDITIONS || !Number.isFinite(mean)) return { mean, conditions };
  const random = new Random(seed, 29);
  const drawn = Float64Array.from({ length: draws }, () => {
    let sum = 0;
    for (let i = 0; i < conditions; i++) sum += values[random.integer(conditions)]!;
    return sum / conditions;
  }).sort();
  const [low, high] = quantiles(drawn, [0.025, 0.975]);
  return { mean, interval: [low!, high!], conditions };
}

function headlineOf(name: string, comparisons: readonly Comparison[], held: number): string {
  const one = ({ mean, interval }: Interval) =>
    interval
      ? `${mean.toFixed(3)} (${interval[0].toFixed(3)} to ${interval[1].toFixed(3)})`
      : mean.toFixed(3);
  const parts = comparisons.map(({ baseline, beats, deltaPearson, l2 }) => {
    if (deltaPearson.conditions < LEAST_CONDITIONS) {
      return `whether it beats ${baseline} cannot be told from ${deltaPearson.conditions} conditions, ` +
        `wanted ${LEAST_CONDITIONS} at least`;
    }
    const over = `over ${deltaPearson.conditions} of ${held} conditions`;
    return `it ${
      beats ? "beats" : "does not beat"
    } ${baseline} ${over}: delta Pearson differs by ` +
      `${one(deltaPearson)}, L2 by ${one(l2)}`;
  });
  return `${name}: ${parts.join("; ")}`;
}
