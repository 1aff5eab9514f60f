/**
 * How well a profile of a perturbed condition is met.
 *
 * @module
 */

import { isControl } from "./baselines.ts";
import { jackknife } from "./cell_comparisons.ts";
import { conditionLabel } from "./cell_table.ts";
import type { Points } from "./cell_distributions.ts";
import { spreadsOf } from "./cell_space.ts";
import type { Moments } from "./group_sums.ts";
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
import type { EvaluationSums } from "./evaluation_sums.ts";
import { groupsOf, partsOf, reducedTruths, TRAINING } from "./evaluation_sums.ts";

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

/** A perturbed condition in a context, and its truth: of its two halves, and of all of it. */
export interface HeldOut {
  stratum: number;
  condition: number;
  context: number;
  groups: number[];
  truth: Profile;
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

/** What predictions of a condition are measured by; the other half of the truth, and moments of control. */
export function scoringOf(
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

/** Cells that are compared with cells, of the truth or, where these are given, of others. */
interface DrawnCells {
  cells?: Points | undefined;
  truth?: Points | undefined;
  moments?: Moments | undefined;
  truthMoments?: Moments | undefined;
}

export function score(
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
