/**
 * The shape of the valley that a descent goes down: the main directions of the rows, bent by the mean curvature,
 * or second derivatives of the probe's own.
 *
 * @module
 */

import { factorize, solveFactored } from "../math/cholesky.ts";
import type { DescentState } from "./descent_state.ts";
import type { DescentProblem } from "./logistic_loss.ts";

export class DescentShape {
  readonly #problem: DescentProblem;
  readonly #state: DescentState;
  readonly #features: number;

  constructor(problem: DescentProblem, state: DescentState) {
    this.#problem = problem;
    this.#state = state;
    this.#features = state.arrays.anchor.length - 1;
  }

  /** Whether second derivatives can be had. */
  get mayBeOwn(): boolean {
    return this.#state.arrays.factors.length > 0;
  }

  /** Whether they are the probe's own. */
  get isOwn(): boolean {
    return this.#state.fact("shaped") === 1;
  }

  /** Takes the moments of rows by their curvatures. */
  take(moments: Float64Array): void {
    const { factors, sums } = this.#state.arrays;
    const { labels, isConstant } = this.#problem;
    const rows = labels.length;
    const features = this.#features;
    const size = features + 1;
    const { curvature, penalty } = this.#bowl();
    for (let i = 0; i < features; i++) {
      for (let j = 0; j <= i; j++) factors[i * size + j] = moments[j * features + i]! / rows;
      factors[i * size + i]! += penalty + Number(isConstant(i));
      factors[features * size + i] = sums[features + i]! / rows;
    }
    factors[features * size + features] = curvature;
    this.#state.set("shaped", Number(factorize(factors, size)));
  }

  /** Where a bowl of this shape has its bottom: of a gradient by weights and bias. */
  solve(gradient: Float64Array): Float64Array {
    const features = this.#features;
    if (this.isOwn) {
      const own = gradient.slice();
      solveFactored(this.#state.arrays.factors, own);
      return own;
    }
    const solved = new Float64Array(features + 1);
    solved.set(this.solveWeights(gradient.subarray(0, features)));
    solved[features] = gradient[features]! / this.#bowl().curvature;
    return solved;
  }

  /** The same of weights alone, by the main directions of the rows. */
  solveWeights(gradient: Float64Array): Float64Array {
    const { curvature, penalty } = this.#bowl();
    return this.#problem.components.solve(gradient, curvature, penalty);
  }

  /** Mean curvature and penalty, neither of which is nothing. */
  #bowl(): { curvature: number; penalty: number } {
    const { penalty, components } = this.#problem;
    const curvature = Math.max(this.#state.fact("curvature"), 1e-12);
    return { curvature, penalty: Math.max(penalty, 1e-12 * curvature * components.most) };
  }
}
