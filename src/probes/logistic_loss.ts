/**
 * The cross-entropy of one logistic probe and its derivatives, in f64.
 *
 * @module
 */

import { sigmoid } from "../math/classification.ts";
import type { Components } from "./components.ts";

/** What is to be minimised: mean cross-entropy, and `penalty` / 2 times the squared length of weights. */
export interface DescentProblem {
  /** `[rows]`, 0 or 1. */
  labels: Uint8Array;
  positives: number;
  penalty: number;
  /** Distance from the optimum, of the weights' length, at which a probe is done. */
  tolerance: number;
  components: Components;
  isConstant(feature: number): boolean;
  /** Length that rows have about. */
  reach: number;
}

/** Mean loss, its slope along the bias, mean curvature, and the least logit on the right side. */
export function measureLogits(logits: Float64Array, labels: Uint8Array) {
  let [loss, slope, curvature, margin] = [0, 0, 0, Infinity];
  for (let row = 0; row < logits.length; row++) {
    const label = labels[row]!;
    const logit = label ? logits[row]! : -logits[row]!;
    if (logit < margin) margin = logit;
    const e = Math.exp(-Math.abs(logit));
    // of the wrong class
    const wrong = logit > 0 ? e / (1 + e) : 1 / (1 + e);
    loss += Math.log1p(e) + (logit < 0 ? -logit : 0);
    slope += label ? -wrong : wrong;
    curvature += e / (1 + e) ** 2;
  }
  const rows = logits.length;
  return { loss: loss / rows, slope: slope / rows, curvature: curvature / rows, margin };
}

/** Second derivative of a row's loss by its logit. */
export function curvatureAt(logit: number): number {
  return sigmoid(logit) * sigmoid(-logit);
}

/** What {@link addResiduals} adds rows to, `[features]` each. */
export interface RowSums {
  residuals: Float64Array;
  /** Curvatures times rows, where they are wanted. */
  curvatures?: Float64Array;
}

/**
 * Adds rows to sums of residuals times rows, one after the other.
 *
 * @param logits Written: those of these rows, by the weights and the bias.
 * @param labels Of these rows.
 */
export function addResiduals(
  rows: Float64Array,
  { weights, bias }: { weights: Float64Array; bias: number },
  labels: Uint8Array,
  logits: Float64Array,
  { residuals, curvatures }: RowSums,
): void {
  const features = residuals.length;
  for (let at = 0, row = 0; at < rows.length; at += features, row++) {
    const own = rows.subarray(at, at + features);
    let logit = bias;
    for (let d = 0; d < features; d++) logit += own[d]! * weights[d]!;
    logits[row] = logit;
    const residual = sigmoid(logit) - labels[row]!;
    for (let d = 0; d < features; d++) residuals[d]! += residual * own[d]!;
    if (!curvatures) continue;
    const curvature = curvatureAt(logit);
    for (let d = 0; d < features; d++) curvatures[d]! += curvature * own[d]!;
  }
}
