/**
 * Compares predictions with cells that no model has seen, beside predictions that need no model.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import { quantiles } from "../math/quantiles.ts";
import { philox, Random } from "../math/random.ts";
import { studentQuantile } from "../math/student.ts";
import type { OptionsOf } from "../options.ts";
import { declare, oneOf, whole } from "../options.ts";
import { Baselines, isControl } from "./baselines.ts";
import type { CellTable, Strata } from "./cell_table.ts";
import { conditionLabel, SPLITS, strataOf } from "./cell_table.ts";
import { checkCounts } from "./counts.ts";
import type { Moments } from "./group_sums.ts";
import { GroupSums } from "./group_sums.ts";
import type { Correlation, Profile, Seen } from "./profile_metrics.ts";
import {
  changesOf,
  deltaPearson,
  distance,
  largestGenes,
  originalR2,
  retrieval,
  welchT,
} from "./profile_metrics.ts";

export const evaluationOptions = declare("evaluate predictions", {
  split: oneOf(["valid", "ood"], { default: "ood", says: "cells that are the truth" }),
  topGenes: whole({ default: 20, from: 2, says: "genes that differ most from control" }),
  expressedGenes: whole({
    default: 1000,
    from: 1,
    says: "genes expressed most in control, over which distances are taken",
  }),
  bootstraps: whole({ default: 1000, from: 100, says: "draws of conditions for intervals" }),
  seed: whole({ default: 0, from: 0, to: 2 ** 32 - 1, says: "of halves and draws" }),
});

export type EvaluationOptions = OptionsOf<typeof evaluationOptions>;

/** What is to be compared. `moments` are of ln(1 + mean) over cells, for the original's r2 alone. */
export interface Predictor {
  name: string;
  /** ln(1 + 1e4 sum of means / sum of libraries) of predicted cells; `undefined` where there is none. */
  profile(condition: number, context: number): Profile | undefined;
  moments?(condition: number, context: number): Moments | undefined;
}

export interface Scores {
  /** Of changes from control, and from the mean of all perturbations, which takes away what those share. */
  deltaPearson: number;
  deltaPearsonPerturbed: number;
  /** Over the genes expressed most in control. */
  l2: number;
  /** On the genes that differ most between control and half of the truth, against its other half. */
  topDeltaPearson: number;
  topRSquared: number;
  topSignAgreement: number;
  rank: number;
  centroidAccuracy: number;
  originalR2Mean: number;
  originalR2Var: number;
}

export interface ConditionScores {
  predictor: string;
  condition: string;
  context: number;
  cells: number;
  /** NaN where a score is not defined. */
  scores?: Scores;
  /** Why there is no prediction. */
  missing?: string;
  /**
   * 95 % around the delta Pearson, from leaving out parts of the cells of the truth: how sure this one is, not what
   * other conditions would give.
   */
  deltaPearsonOverCells?: readonly [low: number, high: number];
  /** A change that does not vary over genes: its correlations are 0, and say nothing. */
  isConstant: boolean;
}

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
  /** One sentence for each predictor. */
  headlines: readonly string[];
}

/** How well half of the truth predicts its other half. */
const CEILING = "half-split ceiling";
/**
 * Conditions below which no interval is given: of fewer, even differences that are all of one sign come by chance
 * more than once in 20.
 */
export const LEAST_CONDITIONS = 6;

const [TRAINING, FIRST_HALF, SECOND_HALF, ROLES] = [0, 1, 2, 3] as const;

/** Parts of the cells of a condition, each left out once; halves are those of even and of odd number. */
const CELL_BLOCKS = 20;

/** Sums of training cells, and of the truth in halves, by condition and context. */
export interface EvaluationSums {
  table: CellTable;
  strata: Strata;
  /** Context of every stratum. */
  contextOf: Uint32Array;
  sums: GroupSums;
  /** Of the truth: parts that are left out for intervals over its cells. */
  blocks: GroupSums;
  split: typeof SPLITS[number];
}

/** Reads all cells once. A cell is in the half that the seed puts it in. */
export async function sumCells(
  matrix: CellMatrix,
  table: CellTable,
  options: EvaluationOptions = {},
): Promise<EvaluationSums> {
  const { split, seed } = evaluationOptions.check(options);
  const strata = strataOf(table);
  const contexts = new Map<string, number>();
  const contextOf = Uint32Array.from(strata.strata, ({ levels }) => {
    const key = levels.join(" ");
    if (!contexts.has(key)) contexts.set(key, contexts.size);
    return contexts.get(key)!;
  });
  const sums = new GroupSums(table.genes);
  const blocks = new GroupSums(table.genes, { onlyCounts: true });
  const blockOf = (cell: number) => philox([cell, 0, 0, 0], [seed, 23])[0] % CELL_BLOCKS;
  const wanted = SPLITS.indexOf(split);
  const roleOf = (cell: number) => {
    const own = table.splits[cell]!;
    if (own === wanted) return FIRST_HALF + blockOf(cell) % 2;
    return own === 0 ? TRAINING : -1;
  };
  const step = Math.max(1, Math.ceil(1024 / matrix.chunkRows)) * matrix.chunkRows;
  for (let start = 0; start < table.cells; start += step) {
    const rows = await matrix.rows(start, Math.min(table.cells, start + step));
    checkCounts(rows);
    sums.add(rows, (cell) => {
      const role = roleOf(cell);
      return role < 0 ? -1 : ROLES * strata.ids[cell]! + role;
    });
    blocks.add(
      rows,
      (cell) => roleOf(cell) < FIRST_HALF ? -1 : CELL_BLOCKS * strata.ids[cell]! + blockOf(cell),
    );
  }
  return { table, strata, contextOf, sums, blocks, split };
}

/**
 * Scores predictions and baselines on every condition and context of the split that is perturbed.
 *
 * @param geneNames By which perturbations of genes are found.
 * @throws {RangeError} If there is no such condition, or a context has no control among the training cells.
 */
export function evaluate(
  gathered: EvaluationSums,
  predictors: readonly Predictor[],
  geneNames: readonly string[],
  options: EvaluationOptions = {},
): Evaluation {
  const checked = evaluationOptions.check(options);
  const { table, strata, contextOf, sums, split } = gathered;
  const seen = seenOf(gathered);
  const baselines = new Baselines(table, seen, geneNames);
  const groupsOf = (stratum: number, ...roles: number[]) =>
    roles.map((role) => ROLES * stratum + role);
  const held = strata.strata.flatMap(({ condition }, stratum) => {
    if (isControl(table, condition)) return [];
    const groups = groupsOf(stratum, FIRST_HALF, SECOND_HALF);
    const truth = sums.pseudobulk(...groups);
    return truth ? [{ stratum, condition, context: contextOf[stratum]!, groups, truth }] : [];
  });
  if (held.length === 0) {
    throw new RangeError(`Cannot evaluate predictions: no perturbed cell is of split "${split}"`);
  }
  const rows: ConditionScores[] = [];
  for (const own of held) {
    const { stratum, condition, context, groups, truth } = own;
    const control = seen.control(context);
    if (!control) {
      throw new RangeError(
        `Cannot evaluate predictions: ${
          conditionLabel(table, condition)
        } has no training control ` +
          "with its covariates",
      );
    }
    const [first, second] = groups.map((group) => sums.pseudobulk(group));
    const controlStratum = strata.strata.findIndex((one, i) =>
      contextOf[i] === context && isControl(table, one.condition)
    );
    const controlGroups = groupsOf(controlStratum, TRAINING);
    const [controlShares, halfShares] = [
      sums.shareMoments(...controlGroups),
      sums.shareMoments(groups[1]!),
    ];
    const top = first && halfShares && halfShares.cells > 1 && controlShares!.cells > 1
      ? largestGenes(welchT(halfShares, controlShares!), checked.topGenes)
      : undefined;
    const others = [
      ...held.filter((one) => one !== own && one.context === context).map(({ truth }) => truth),
      ...seen.conditions.filter((one) => one !== condition)
        .flatMap((one) => seen.mean(one, context) ?? []),
    ];
    const scoring = {
      ...{ truth, control, others, first, top },
      perturbed: baselines.perturbedMean(context),
      expressed: largestGenes(control, checked.expressedGenes),
      truthMoments: sums.logMoments(...groups)!,
      reduced: reducedTruths(gathered.blocks, stratum),
    };
    const row = {
      ...{ condition: conditionLabel(table, condition), context },
      cells: groups.reduce((count, group) => count + sums.cells(group), 0),
    };
    for (const { name, profile, missing } of baselines.of(condition, context)) {
      const moments = name === "no-change" ? sums.logMoments(...controlGroups) : undefined;
      rows.push({
        ...{ predictor: name, ...row },
        ...profile
          ? score(profile, scoring, moments)
          : { missing: missing ?? "", isConstant: false },
      });
    }
    rows.push({
      ...{ predictor: CEILING, ...row },
      ...first && second
        ? score(second, { ...scoring, truth: first, reduced: [] }, sums.logMoments(groups[1]!))
        : { missing: "all cells in one half", isConstant: false },
    });
    for (const { name, profile, moments } of predictors) {
      const predicted = profile(condition, context);
      rows.push({
        ...{ predictor: name, ...row },
        ...predicted
          ? score(predicted, scoring, moments?.(condition, context))
          : { missing: "not predicted", isConstant: false },
      });
    }
  }
  return summarize(rows, predictors.map(({ name }) => name), checked);
}

function seenOf({ table, strata, contextOf, sums }: EvaluationSums): Seen {
  const profiles = new Map<string, Profile>();
  const controls = new Map<number, number[]>();
  const [conditions, contexts] = [new Set<number>(), new Set<number>()];
  strata.strata.forEach(({ condition }, stratum) => {
    const context = contextOf[stratum]!;
    const group = ROLES * stratum + TRAINING;
    if (sums.cells(group) === 0) return;
    contexts.add(context);
    if (isControl(table, condition)) {
      // control may have several doses
      controls.set(context, [...controls.get(context) ?? [], group]);
      return;
    }
    const profile = sums.pseudobulk(group);
    if (!profile) return;
    conditions.add(condition);
    profiles.set(`${condition} ${context}`, profile);
  });
  const ascending = (set: Set<number>) => [...set].sort((a, b) => a - b);
  const controlProfiles = new Map(
    [...controls].map(([context, groups]) => [context, sums.pseudobulk(...groups)]),
  );
  return {
    conditions: ascending(conditions),
    contexts: ascending(contexts),
    control: (context) => controlProfiles.get(context),
    mean: (condition, context) => profiles.get(`${condition} ${context}`),
  };
}

/** Profiles of the cells of a stratum, each without one of its parts. */
function reducedTruths(blocks: GroupSums, stratum: number): Profile[] {
  const parts = Array.from({ length: CELL_BLOCKS }, (_, block) => CELL_BLOCKS * stratum + block)
    .filter((part) => blocks.cells(part) > 0);
  // few parts say little
  if (parts.length < CELL_BLOCKS / 2) return [];
  return parts.map((part) => blocks.pseudobulk(...parts.filter((other) => other !== part)))
    .filter((profile) => profile !== undefined);
}

/** 95 % around a value, from what it is without each part of the cells. Source: Tukey's jackknife. */
function jackknife(value: number, reduced: readonly number[]): readonly [number, number] {
  const count = reduced.length;
  const mean = reduced.reduce((sum, own) => sum + own, 0) / count;
  const squares = reduced.reduce((sum, own) => sum + (own - mean) ** 2, 0);
  const margin = studentQuantile(0.95, count - 1) * Math.sqrt((count - 1) / count * squares);
  return [value - margin, value + margin];
}

interface Scoring {
  truth: Profile;
  control: Profile;
  perturbed: Profile | undefined;
  others: readonly Profile[];
  expressed: Uint32Array;
  truthMoments: Moments;
  /** The truth without each part of its cells. */
  reduced: readonly Profile[];
  /** Half of the truth, and genes that its other half tells from control. */
  first: Profile | undefined;
  top: Uint32Array | undefined;
}

function score(
  prediction: Profile,
  { truth, control, perturbed, others, expressed, truthMoments, reduced, first, top }: Scoring,
  moments: Moments | undefined,
): Pick<ConditionScores, "scores" | "isConstant" | "deltaPearsonOverCells"> {
  const change = deltaPearson(prediction, truth, control);
  const beyond: Correlation | undefined = perturbed && deltaPearson(prediction, truth, perturbed);
  const topChanges = first && top && changesOf(prediction, first, control, top);
  const original = moments && originalR2(moments, truthMoments);
  const without = reduced.map((own) => deltaPearson(prediction, own, control).value);
  return {
    isConstant: change.isConstant,
    ...without.length > 0 && { deltaPearsonOverCells: jackknife(change.value, without) },
    scores: {
      deltaPearson: change.value,
      deltaPearsonPerturbed: beyond?.value ?? NaN,
      l2: distance(prediction, truth, expressed),
      topDeltaPearson: topChanges?.deltaPearson.value ?? NaN,
      topRSquared: topChanges?.rSquared ?? NaN,
      topSignAgreement: topChanges?.signAgreement ?? NaN,
      ...retrieval(prediction, truth, others),
      originalR2Mean: original?.originalR2Mean ?? NaN,
      originalR2Var: original?.originalR2Var ?? NaN,
    },
  };
}

function summarize(
  rows: readonly ConditionScores[],
  models: readonly string[],
  { bootstraps, seed }: { bootstraps: number; seed: number },
): Evaluation {
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
