/**
 * Compares predictions with cells that no model has seen, beside predictions that need no model.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import { cellsAtOnce } from "../array/anndata/matrix.ts";
import { quantiles } from "../math/quantiles.ts";
import { philox, Random } from "../math/random.ts";
import type { OptionsOf } from "../options.ts";
import { declare, oneOf, whole } from "../options.ts";
import { Baselines, isControl } from "./baselines.ts";
import type { CellComparison } from "./cell_comparisons.ts";
import { compareOverCells, jackknife } from "./cell_comparisons.ts";
import type { CellTable, Strata } from "./cell_table.ts";
import {
  checkMatrix,
  conditionLabel,
  contextsOf,
  SPLITS,
  strataOf,
  stratumLabels,
} from "./cell_table.ts";
import type { Points } from "./cell_distributions.ts";
import { placedCells, sampleOf } from "./cell_samples.ts";
import type { PlacedCells } from "./cell_space.ts";
import { spreadsOf } from "./cell_space.ts";
import { checkCounts } from "./counts.ts";
import { CEILING, checkAsked, checkLabel, checkProfile } from "./evaluation_checks.ts";
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
  varianceRSquared,
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
  sampledCells: whole({
    default: 500,
    from: 0,
    to: 10_000,
    says:
      "cells of a condition, and of control, of which distances between cells are taken; 0 for none",
  }),
  seed: whole({ default: 0, from: 0, to: 2 ** 32 - 1, says: "of halves, samples and draws" }),
});

export type EvaluationOptions = OptionsOf<typeof evaluationOptions>;

/** What is to be compared. `moments` are of ln(1 + mean) over cells, for the original's r2 alone. */
export interface Predictor {
  name: string;
  /** ln(1 + 1e4 sum of means / sum of libraries) of predicted cells; `undefined` where there is none. */
  profile(condition: number, context: number): Profile | undefined;
  moments?(condition: number, context: number): Moments | undefined;
  /** Cells that are drawn, in the space of {@link EvaluationSums}; `undefined` where there are none. */
  points?(condition: number, context: number): Points | undefined;
  /** Of ln(1 + 1e4 count / library) over cells that are drawn. */
  drawnMoments?(condition: number, context: number): Moments | undefined;
  /** Why there is no profile. */
  missing?(condition: number, context: number): string | undefined;
  /** What it takes conditions and contexts for, which are numbers of its own cells. */
  label?(condition: number, context: number): string | undefined;
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
  /** Of cells, not of profiles: of samples of them, along principal axes of training cells. */
  energyDistance: number;
  squaredMmd: number;
  /** Of variances over cells of ln(1 + 1e4 share), over the genes expressed most in control. */
  varianceRSquared: number;
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
  /** Samples of the truth and of control; absent where none were wanted. */
  placed?: PlacedCells;
  split: "valid" | "ood";
}

/** Reads all cells once, and up to 300 that are learned from before. A cell is in the half that the seed puts it in. */
export async function sumCells(
  matrix: CellMatrix,
  table: CellTable,
  options: EvaluationOptions = {},
): Promise<EvaluationSums> {
  const { split, seed, sampledCells } = evaluationOptions.check(options);
  const action = "evaluate predictions";
  checkMatrix(table, matrix.path, action);
  if (matrix.shape[0] !== table.cells || matrix.shape[1] !== table.genes) {
    throw new RangeError(
      `Cannot ${action}: counts are of ${
        matrix.shape.join(" x ")
      }, wanted ${table.cells} cells x ${table.genes} genes`,
    );
  }
  const strata = strataOf(table);
  const contextOf = contextsOf(strata);
  const sums = new GroupSums(table.genes);
  const blocks = new GroupSums(table.genes, { onlyCounts: true });
  const blockOf = (cell: number) => philox([cell, 0, 0, 0], [seed, 23])[0] % CELL_BLOCKS;
  const wanted = SPLITS.indexOf(split);
  const roleOf = (cell: number) => {
    const own = table.splits[cell]!;
    if (own === wanted) return FIRST_HALF + blockOf(cell) % 2;
    return own === 0 ? TRAINING : -1;
  };
  const step = cellsAtOnce(matrix, 1024);
  const groupOf = (cell: number) => ROLES * strata.ids[cell]! + roleOf(cell);
  const placed = sampledCells === 0
    ? undefined
    : await placedCells(matrix, table, step, { cells: sampledCells, seed });
  const sampled = placed &&
    sampleOf(
      table,
      { strata, contextOf, isTraining: (cell) => roleOf(cell) === TRAINING, roleOf },
      placed.space,
    );
  for (let start = 0; start < table.cells; start += step) {
    const rows = await matrix.rows(start, Math.min(table.cells, start + step));
    checkCounts(rows);
    sums.add(rows, (cell) => roleOf(cell) < 0 ? -1 : groupOf(cell));
    for (let cell = start; sampled && cell < rows.end; cell++) {
      if (!sampled.has(cell)) continue;
      const [first, last] = [rows.starts[cell - start]!, rows.starts[cell - start + 1]!];
      placed!.add(
        groupOf(cell),
        rows.genes.subarray(first, last),
        rows.values.subarray(first, last),
      );
    }
    blocks.add(
      rows,
      (cell) => roleOf(cell) < FIRST_HALF ? -1 : CELL_BLOCKS * strata.ids[cell]! + blockOf(cell),
    );
  }
  return { table, strata, contextOf, sums, blocks, split, ...placed && { placed } };
}

/**
 * Scores predictions and baselines on every condition and context of the split that is perturbed.
 *
 * @param geneNames By which perturbations of genes are found: those of the matrix that was summed up.
 * @throws {RangeError} If there is no such condition, a context has no control among the training cells, predictors share a name,
 * or a profile is of other genes or has a value that is no number.
 */
export function evaluate(
  gathered: EvaluationSums,
  predictors: readonly Predictor[],
  geneNames: readonly string[],
  options: EvaluationOptions = {},
): Evaluation {
  const checked = evaluationOptions.check(options);
  const { table, strata, contextOf, sums, split } = gathered;
  checkAsked({ genes: table.genes, split }, {
    names: predictors.map(({ name }) => name),
    genes: geneNames,
    split: options.split,
  });
  const seen = seenOf(gathered);
  const baselines = new Baselines(table, seen, geneNames);
  const held = strata.strata.flatMap(({ condition }, stratum): HeldOut[] => {
    if (isControl(table, condition)) return [];
    const groups = groupsOf(stratum, FIRST_HALF, SECOND_HALF);
    const truth = sums.pseudobulk(...groups);
    return truth ? [{ stratum, condition, context: contextOf[stratum]!, groups, truth }] : [];
  });
  if (held.length === 0) {
    throw new RangeError(`Cannot evaluate predictions: no perturbed cell is of split "${split}"`);
  }
  const labelOf = stratumLabels(table, strata);
  const rows: ConditionScores[] = [];
  const overCells: CellComparison[] = [];
  for (const own of held) {
    const { condition, context, groups } = own;
    const { scoring, second, controlMoments, controlShares, controlCells } = scoringOf(
      gathered,
      own,
      {
        ...{ held, seen, checked },
        perturbed: baselines.perturbedMean(context),
      },
    );
    const row = {
      ...{ condition: conditionLabel(table, condition), context },
      cells: groups.reduce((count, group) => count + sums.cells(group), 0),
    };
    const known = baselines.of(condition, context);
    for (const { name, profile, missing } of known) {
      rows.push({
        ...{ predictor: name, ...row },
        ...profile
          ? score(profile, scoring, name === "no-change" ? controlMoments : undefined, {
            ...name === "no-change" && { cells: controlCells, moments: controlShares },
          })
          : { missing: missing ?? "", isConstant: false },
      });
    }
    const { first } = scoring;
    const halves = groups.map((group) => gathered.placed?.points(group));
    rows.push({
      ...{ predictor: CEILING, ...row },
      ...first && second
        ? score(
          second,
          { ...scoring, truth: first, reduced: [] },
          sums.logMoments(groups[1]!),
          {
            ...{ cells: halves[1], truth: halves[0] },
            moments: sums.shareMoments(groups[1]!),
            truthMoments: sums.shareMoments(groups[0]!),
          },
        )
        : { missing: "all cells in one half", isConstant: false },
    });
    const predictions: { name: string; profile: Profile }[] = [];
    for (const predictor of predictors) {
      const { name, profile, moments, points, drawnMoments, missing, label } = predictor;
      checkLabel(name, label?.(condition, context), labelOf(condition, context));
      const predicted = profile(condition, context);
      if (predicted) checkProfile(name, predicted, geneNames, row.condition);
      if (predicted) predictions.push({ name, profile: predicted });
      rows.push({
        ...{ predictor: name, ...row },
        ...predicted
          ? score(predicted, scoring, moments?.(condition, context), {
            cells: points?.(condition, context),
            moments: drawnMoments?.(condition, context),
          })
          : { missing: missing?.(condition, context) ?? "not predicted", isConstant: false },
      });
    }
    const rivals = known.flatMap(({ name, profile }) =>
      profile && (name === "no-change" || name === "additive") ? [{ name, profile }] : []
    );
    const compared = compareOverCells({ ...scoring, predictions, baselines: rivals });
    overCells.push(
      ...compared.map((own) => ({ ...own, condition: row.condition, context })),
    );
  }
  return { ...summarize(rows, predictors.map(({ name }) => name), checked), overCells };
}

/** A perturbed condition in a context, and its truth: of its two halves, and of all of it. */
interface HeldOut {
  stratum: number;
  condition: number;
  context: number;
  groups: number[];
  truth: Profile;
}

function groupsOf(stratum: number, ...roles: number[]): number[] {
  return roles.map((role) => ROLES * stratum + role);
}

/** What predictions of a condition are measured by; the other half of the truth, and moments of control. */
function scoringOf(
  { table, strata, contextOf, sums, blocks, placed }: EvaluationSums,
  own: HeldOut,
  { held, seen, perturbed, checked: { topGenes, expressedGenes } }: {
    held: readonly HeldOut[];
    seen: Seen;
    perturbed: Profile | undefined;
    checked: { topGenes: number; expressedGenes: number };
  },
): {
  scoring: Scoring;
  second: Profile | undefined;
  controlMoments: Moments | undefined;
  controlShares: Moments;
  controlCells: Points | undefined;
} {
  const { stratum, condition, context, groups, truth } = own;
  const control = seen.control(context);
  if (!control) {
    throw new RangeError(
      `Cannot evaluate predictions: ${
        conditionLabel(table, condition)
      } has no training control with its covariates`,
    );
  }
  const [first, second] = groups.map((group) => sums.pseudobulk(group));
  // control may have several doses
  const controlGroups = strata.strata.flatMap((one, i) =>
    contextOf[i] === context && isControl(table, one.condition) ? groupsOf(i, TRAINING) : []
  );
  const controlShares = sums.shareMoments(...controlGroups)!;
  const halfShares = sums.shareMoments(groups[1]!);
  const top = first && halfShares && halfShares.cells > 1 && controlShares.cells > 1
    ? largestGenes(welchT(halfShares, controlShares), topGenes)
    : undefined;
  const here = held.filter((one) => one.context === context);
  // a condition that is held out has cells to learn from, too, where cells are divided within conditions
  const others = [
    ...here.filter((one) => one !== own).map(({ truth }) => truth),
    ...seen.conditions.filter((one) => here.every((held) => held.condition !== one))
      .flatMap((one) => seen.mean(one, context) ?? []),
  ];
  const scoring = {
    ...{ truth, control, perturbed, others, first, top },
    expressed: largestGenes(control, expressedGenes),
    truthMoments: sums.logMoments(...groups)!,
    reduced: reducedTruths(blocks, partsOf(blocks, stratum)),
    truthShares: sums.shareMoments(...groups)!,
    truthCells: placed?.points(...groups),
    controlCells: placed?.points(...controlGroups),
  };
  const { controlCells } = scoring;
  const controlMoments = sums.logMoments(...controlGroups);
  return { scoring, second, controlMoments, controlShares, controlCells };
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

/** Parts of the cells of a stratum; none where they are few, which say little. */
function partsOf(blocks: GroupSums, stratum: number): number[] {
  const parts = Array.from({ length: CELL_BLOCKS }, (_, block) => CELL_BLOCKS * stratum + block)
    .filter((part) => blocks.cells(part) > 0);
  return parts.length < CELL_BLOCKS / 2 ? [] : parts;
}

/** Profiles of cells, each without one of their parts. */
function reducedTruths(blocks: GroupSums, parts: readonly number[]): Profile[] {
  return parts.map((part) => blocks.pseudobulk(...parts.filter((other) => other !== part)))
    .filter((profile) => profile !== undefined);
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
  truthShares: Moments;
  truthCells: Points | undefined;
  controlCells: Points | undefined;
  /** Half of the truth, and genes that its other half tells from control. */
  first: Profile | undefined;
  top: Uint32Array | undefined;
}

/** Cells that are compared with cells, of the truth or, where these are given, of others. */
interface DrawnCells {
  cells?: Points | undefined;
  truth?: Points | undefined;
  moments?: Moments | undefined;
  truthMoments?: Moments | undefined;
}

function score(
  prediction: Profile,
  scoring: Scoring,
  moments: Moments | undefined,
  drawn: DrawnCells,
): Pick<ConditionScores, "scores" | "isConstant" | "deltaPearsonOverCells"> {
  const { truth, control, perturbed, others, expressed, truthMoments, reduced, first, top } =
    scoring;
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
      ...spreadsOf(drawn.cells, drawn.truth ?? scoring.truthCells, scoring.controlCells),
      varianceRSquared: varianceRSquared(
        drawn.moments,
        drawn.truthMoments ?? scoring.truthShares,
        expressed,
      ),
    },
  };
}

function summarize(
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
