/**
 * Compares predictions with cells that no model has seen, beside predictions that need no model.
 *
 * @module
 */

import { Baselines, isControl } from "./baselines.ts";
import type { CellComparison } from "./cell_comparisons.ts";
import { compareOverCells } from "./cell_comparisons.ts";
import { conditionLabel, stratumLabels } from "./cell_table.ts";
import type { Points } from "./cell_distributions.ts";
import { CEILING, checkAsked, checkLabel, checkProfile } from "./evaluation_checks.ts";
import type { Moments } from "./group_sums.ts";
import type { Profile } from "./profile_metrics.ts";
import type { EvaluationOptions, EvaluationSums } from "./evaluation_sums.ts";
import { evaluationOptions, FIRST_HALF, groupsOf, SECOND_HALF, seenOf } from "./evaluation_sums.ts";
import type { ConditionScores, HeldOut } from "./condition_scores.ts";
import { score, scoringOf } from "./condition_scores.ts";
import type { Evaluation } from "./evaluation_summary.ts";
import { summarize } from "./evaluation_summary.ts";

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
