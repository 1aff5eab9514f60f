/**
 * The point that a descent steps from: its logits, its gradient and how far the optimum is from it are known
 * in f64.
 *
 * The distance from the optimum follows from strong convexity, as in Boyd and Vandenberghe 2004, 9.1.2.
 *
 * @module
 */

import { sigmoid } from "../math/classification.ts";
import { dot, lengthOf } from "../math/vectors.ts";
import type { DescentShape } from "./descent_shape.ts";
import type { DescentState } from "./descent_state.ts";
import type { DescentProblem, RowSums } from "./logistic_loss.ts";
import { addResiduals, measureLogits } from "./logistic_loss.ts";

/** A bias is settled from so near, in so many steps of Newton's: what that changes of weights is known. */
const [NEAR_BIAS, SETTLINGS] = [1e-4, 2] as const;

export class Anchor {
  readonly #problem: DescentProblem;
  readonly #state: DescentState;
  readonly #shape: DescentShape;
  readonly #features: number;

  constructor(problem: DescentProblem, state: DescentState, shape: DescentShape) {
    this.#problem = problem;
    this.#state = state;
    this.#shape = shape;
    this.#features = state.arrays.anchor.length - 1;
  }

  /** Weights and bias, `[features + 1]`. */
  get weights(): Float64Array {
    return this.#state.arrays.anchor;
  }

  get bias(): number {
    return this.weights[this.#features]!;
  }

  /** `[rows]` */
  get logits(): Float64Array {
    return this.#state.arrays.logits;
  }

  /** Begins with no weights, and the bias that is best then. */
  start(): void {
    const { labels, positives } = this.#problem;
    this.weights[this.#features] = Math.log(positives / (labels.length - positives));
  }

  /** Goes a step away; what is known of it has to be found anew. */
  move(step: Float64Array): void {
    const { weights } = this;
    weights.forEach((_, i) => weights[i]! += step[i]!);
  }

  /** Adds rows to the sums that {@link measure} takes, from row `start` on. */
  add(start: number, rows: Float64Array): void {
    const { sums } = this.#state.arrays;
    const features = this.#features;
    const residuals = sums.subarray(0, features);
    const curvatures = sums.subarray(features);
    this.#addTo(start, rows, this.weights, { residuals, curvatures });
  }

  /** Adds rows with all their features to sums by these weights and this bias; logits are kept. */
  addBy(weights: Float64Array, start: number, rows: Float64Array, residuals: Float64Array): void {
    this.#addTo(start, rows, weights, { residuals });
  }

  #addTo(start: number, rows: Float64Array, weights: Float64Array, sums: RowSums): void {
    const labels = this.#problem.labels.subarray(start);
    const logits = this.logits.subarray(start);
    addResiduals(rows, { weights, bias: this.bias }, labels, logits, sums);
  }

  /**
   * Takes sums and logits: loss, gradient and how far the optimum is.
   *
   * @returns The least logit on the right side: above 0 if this plane separates the classes.
   */
  measure(): number {
    const { anchor, anchorGradient, sums, logits } = this.#state.arrays;
    const { labels, penalty, reach } = this.#problem;
    const features = this.#features;
    const moved = this.#settleBias();
    let squares = 0;
    let length = 0;
    for (let d = 0; d < features; d++) {
      const own = (sums[d]! + moved * sums[features + d]!) / labels.length + penalty * anchor[d]!;
      anchorGradient[d] = own;
      squares += own * own;
      length += anchor[d]! ** 2;
    }
    const { loss, slope, curvature, margin } = measureLogits(logits, labels);
    anchorGradient[features] = slope;
    this.#state.set("curvature", curvature);
    // what settling the bias may have left
    const norm = Math.sqrt(squares) + reach * (Math.abs(slope) + moved * moved / 8);
    const away = penalty > 0
      ? norm / penalty
      : lengthOf(this.#shape.solveWeights(anchorGradient.subarray(0, features)));
    this.#tell(loss, norm, away, length);
    return margin;
  }

  /**
   * Loss and gradient a step away, where sums were taken and logits moved by `shifts` and the bias.
   */
  after(step: Float64Array, shifts: Float32Array) {
    const { anchor, anchorGradient, sums } = this.#state.arrays;
    const { labels, penalty } = this.#problem;
    const features = this.#features;
    const logits = this.#logitsAfter(shifts, step[features]!);
    const { loss, slope, curvature } = measureLogits(logits, labels);
    const gradient = new Float64Array(features + 1);
    let squaredLength = 0;
    for (let d = 0; d < features; d++) {
      gradient[d] = anchorGradient[d]! + sums[d]! / labels.length + penalty * step[d]!;
      squaredLength += (anchor[d]! + step[d]!) ** 2;
    }
    gradient[features] = slope;
    return { loss: loss + penalty * squaredLength / 2, gradient, curvature, squaredLength };
  }

  /**
   * Slopes of the loss along a way that begins a step away, by the share of it: logits are linear between
   * `shifts` and `endShifts`.
   */
  slopeAlong(
    way: Float64Array,
    step: Float64Array,
    shifts: Float32Array,
    endShifts: Float32Array,
  ): (share: number) => number {
    const { labels, penalty } = this.#problem;
    const [rows, features] = [labels.length, this.#features];
    const logits = this.#logitsAfter(shifts, step[features]!);
    let [own, squares] = [0, 0];
    for (let d = 0; d < features; d++) {
      own += (this.weights[d]! + step[d]!) * way[d]!;
      squares += way[d]! ** 2;
    }
    return (share) => {
      let sum = 0;
      for (let row = 0; row < rows; row++) {
        const shift = endShifts[row]! - shifts[row]! + way[features]!;
        sum += (sigmoid(logits[row]! + share * shift) - labels[row]!) * shift;
      }
      return sum / rows + penalty * (own + share * squares);
    };
  }

  #logitsAfter(shifts: Float32Array, bias: number): Float64Array {
    return this.logits.map((logit, row) => logit + shifts[row]! + bias);
  }

  /**
   * Takes what weights of all features are, where those it had were coordinates: the gradient's sum, and the
   * logits it was made of.
   */
  confirm(weights: Float64Array, gradientSum: Float64Array): void {
    const { labels, penalty, tolerance, reach } = this.#problem;
    const { loss, slope } = measureLogits(this.logits, labels);
    let squares = 0;
    weights.forEach((own, d) => squares += (gradientSum[d]! / labels.length + penalty * own) ** 2);
    const norm = Math.sqrt(squares) + reach * Math.abs(slope);
    this.#tell(loss, norm, norm === 0 ? 0 : norm / penalty, dot(weights, weights));
    this.#state.set("converged", Number(this.#state.fact("distance") <= tolerance));
  }

  #tell(entropy: number, norm: number, away: number, squaredLength: number): void {
    this.#state.set("loss", entropy + this.#problem.penalty * squaredLength / 2);
    this.#state.set("norm", norm);
    this.#state.set("distance", away === 0 ? 0 : away / Math.sqrt(squaredLength));
  }

  /** Moves the bias to its best, where that is near: its part of the gradient is then none. By how much. */
  #settleBias(): number {
    const { weights, logits } = this;
    let moved = 0;
    for (let i = 0; i < SETTLINGS; i++) {
      const { slope, curvature } = measureLogits(logits, this.#problem.labels);
      const step = -slope / curvature;
      if (!(Math.abs(step) < NEAR_BIAS)) break;
      moved += step;
      weights[this.#features]! += step;
      for (let row = 0; row < logits.length; row++) logits[row]! += step;
    }
    return moved;
  }
}
