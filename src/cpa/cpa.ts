/**
 * Single cells that were perturbed: how they are set up, a model that learns from them and predicts, and how predictions are
 * scored beside those that need no model.
 *
 * @module
 */

export type { KnownNames } from "./setup.ts";
export { setup } from "./setup.ts";
export type { SetupOptions } from "./setup_options.ts";
export type { CellTable, Condition, Covariate, Split, Strata } from "./cell_table.ts";
export { classWeights, conditionLabel, fillSlots, strataOf } from "./cell_table.ts";
export { HeldCells } from "./held_cells.ts";
export { train } from "./train.ts";
export type { TrainOptions } from "./train_options.ts";
export type { ModelFacts } from "./model_facts.ts";
export type { Unlearned } from "./unlearned.ts";
export type { CpaPrediction } from "./prediction.ts";
export { openTrained as openModel, TrainedCpa } from "./trained.ts";
export type { Distance, DoseResponse, Embeddings } from "./embeddings.ts";
export type { CellComparison, Difference } from "./cell_comparisons.ts";
export type { DegMasks } from "./deg_masks.ts";
export { readDegMasks } from "./deg_masks.ts";
export type { Comparison, Evaluation, Interval } from "./evaluation_summary.ts";
export type { ConditionScores, Scores } from "./condition_scores.ts";
export type { EvaluationOptions, EvaluationSums } from "./evaluation_sums.ts";
export type { Predictor } from "./evaluation.ts";
export { evaluate } from "./evaluation.ts";
export { sumCells } from "./evaluation_sums.ts";
export type { CellSpace, PlacedCells } from "./cell_space.ts";
export type { Moments } from "./group_sums.ts";
export { GroupSums } from "./group_sums.ts";
export type { Axes, Points } from "./cell_distributions.ts";
export {
  drawCount,
  energyDistance,
  kernelWidth,
  principalAxes,
  project,
  squaredMmd,
} from "./cell_distributions.ts";
