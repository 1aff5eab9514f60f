/**
 * How good scores of two classes are. See `src/math/classification.ts`.
 *
 * @module
 */

export type {
  BootstrapOptions,
  CalibrationBin,
  Confusion,
  Interval,
  Labels,
} from "../math/classification.ts";
export {
  auroc,
  averagePrecision,
  balancedAccuracy,
  bestBalancedThreshold,
  bestThreshold,
  bootstrap,
  brier,
  calibration,
  confusion,
  f1,
  fnr,
  fpr,
  partialAuroc,
  recallAtFpr,
  sigmoid,
  weightedError,
} from "../math/classification.ts";
