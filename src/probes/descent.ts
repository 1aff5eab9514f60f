/**
 * How one logistic probe comes to its optimum, evaluation by evaluation: L-BFGS in the shape of the rows'
 * covariance, in coordinates of an anchor where logits and gradient are known in f64.
 *
 * The device tells how far logits and gradient move from the anchor, with the relative error of f32: the
 * nearer the anchor, the smaller the error. So every check moves the anchor, and a few make f64 of it.
 *
 * @module
 */

import { dot, lengthOf } from "../math/vectors.ts";
import { Anchor } from "./anchor.ts";
import { DescentShape } from "./descent_shape.ts";
import type { DescentState } from "./descent_state.ts";
import { STATUS } from "./descent_state.ts";
import { isLongEnough, lowestShare } from "./line_search.ts";
import type { DescentProblem } from "./logistic_loss.ts";
import { curvatureAt } from "./logistic_loss.ts";
import { StepHistory } from "./step_history.ts";

/** A check is due when the gradient has become so much smaller: that much f32 tells. */
const CYCLE = 1e-3;
/**
 * Steps from one check to the next, at most: where no second derivatives of a probe's own can be had, where
 * they can, and where it has them.
 */
const [MOST_STEPS, PLAIN_STEPS, SHAPED_STEPS] = [30, 12, 6] as const;
/** What f32 may add to a loss, of it. */
const LOSS_ROUNDING = 1e-10;
/** A gradient of this size that two checks find is what f64 leaves of it. */
const [LEAST_NORM, STANDSTILL] = [1e-12, 0.7] as const;

export class Descent {
  readonly anchor: Anchor;
  readonly #problem: DescentProblem;
  readonly #state: DescentState;
  readonly #shape: DescentShape;
  readonly #history: StepHistory;
  readonly #features: number;

  constructor(problem: DescentProblem, state: DescentState) {
    this.#problem = problem;
    this.#state = state;
    this.#shape = new DescentShape(problem, state);
    this.#history = new StepHistory(state);
    this.anchor = new Anchor(problem, state, this.#shape);
    this.#features = state.arrays.anchor.length - 1;
  }

  get isRunning(): boolean {
    return this.#state.fact("status") === STATUS.running;
  }

  get isWaiting(): boolean {
    return this.#state.fact("status") === STATUS.waiting;
  }

  get isDone(): boolean {
    return this.#state.fact("status") === STATUS.done;
  }

  /** Whether it would be faster with second derivatives of its own, and is running. */
  get wantsCurvature(): boolean {
    return this.isRunning && this.#state.fact("slow") === 1 && this.#shape.mayBeOwn;
  }

  /** The step from the anchor that is tried next, each number one of f32. */
  get trial(): Float64Array {
    return this.#state.arrays.trial;
  }

  /** Where the device's logits go, `[rows]`. */
  get trialShifts(): Float32Array {
    return this.#state.arrays.trialShifts;
  }

  /** Where sums of residuals times rows go, and where those of curvatures, `[2, features]`. */
  get sums(): Float64Array {
    return this.#state.arrays.sums;
  }

  start(): void {
    this.anchor.start();
    this.#state.set("norm", Infinity);
    this.#state.set("status", STATUS.waiting);
  }

  /**
   * Ends the steps from this anchor where they are, for a check.
   *
   * @param slow Whether they went on for as long as they may.
   */
  wait(slow = false): void {
    this.#state.set("slow", Number(slow));
    this.anchor.move(this.#state.arrays.step);
    this.#state.set("status", STATUS.waiting);
  }

  /**
   * Takes sums and logits at the anchor, all in f64: how far is it still?
   *
   * @param isLast Whether it is to end here.
   */
  check(isLast: boolean): void {
    const state = this.#state;
    const { anchorGradient, step, gradient, shifts } = state.arrays;
    const { penalty, tolerance } = this.#problem;
    const before = state.fact("norm");
    const isStuck = before < Infinity && state.fact("steps") === 0;
    const isOver = isStuck && state.fact("retried") === 1;
    const margin = this.anchor.measure();
    const [norm, distance] = [state.fact("norm"), state.fact("distance")];
    state.set("cycleNorm", norm);
    state.set("steps", 0);
    gradient.set(anchorGradient);
    step.fill(0);
    shifts.fill(0);
    const converged = distance <= tolerance;
    const stands = norm < LEAST_NORM && norm > STANDSTILL * before;
    if (penalty <= 0 && margin > 0) {
      state.set("status", STATUS.separable);
    } else if (converged || isLast || isOver || stands) {
      state.set("converged", Number(converged));
      state.set("status", STATUS.done);
    } else {
      state.set("status", STATUS.running);
      state.set("retried", Number(isStuck));
      if (isStuck) {
        // what is remembered leads nowhere
        this.#history.forget();
        state.set("slow", 1);
      }
      this.#aim();
    }
  }

  /** Of a row, at the anchor. */
  curvatureOf(row: number): number {
    return curvatureAt(this.anchor.logits[row]!);
  }

  /** Takes the moments of rows by their curvatures, and forgets what went before. */
  takeCurvature(moments: Float64Array): void {
    this.#shape.take(moments);
    this.#state.set("slow", 0);
    this.#history.forget();
    this.#aim();
  }

  /** Takes sums and shifts of logits at the trial, and goes there, or to where the way there is lowest. */
  evaluate(): void {
    const state = this.#state;
    const { step, gradient, trial, shifts, trialShifts } = state.arrays;
    const { penalty, tolerance } = this.#problem;
    const next = this.anchor.after(trial, trialShifts);
    const { loss } = next;
    const way = trial.map((value, i) => value - step[i]!);
    const end = dot(next.gradient, way);
    const before = state.fact("loss");
    const falls = end <= 0 || loss <= before + LOSS_ROUNDING * Math.abs(before);
    const isFine = falls && isLongEnough(dot(gradient, way), end);
    if (!isFine && state.fact("exact") === 0) {
      state.set("exact", 1);
      if (this.#tryBottom(way)) return;
    }
    if (!falls || !Number.isFinite(loss)) {
      // nothing that f32 can tell is left
      this.wait();
      return;
    }
    this.#history.remember(way, next.gradient.map((value, i) => value - gradient[i]!));
    step.set(trial);
    gradient.set(next.gradient);
    shifts.set(trialShifts);
    state.set("loss", loss);
    state.set("curvature", next.curvature);
    state.set("iterations", state.fact("iterations") + 1);
    state.set("steps", state.fact("steps") + 1);
    const goal = penalty > 0 ? 0.3 * tolerance * penalty * Math.sqrt(next.squaredLength) : 0;
    if (lengthOf(next.gradient) <= Math.max(CYCLE * state.fact("cycleNorm"), goal)) this.wait();
    else if (state.fact("steps") >= this.#mostSteps) this.wait(true);
    else this.#aim();
  }

  get #mostSteps(): number {
    if (!this.#shape.mayBeOwn) return MOST_STEPS;
    return this.#shape.isOwn ? SHAPED_STEPS : PLAIN_STEPS;
  }

  /** The next trial: down, by what is remembered. */
  #aim(): void {
    const { gradient, step, trial } = this.#state.arrays;
    let down = this.#down();
    if (!(dot(down, gradient) < 0)) {
      // rounding may spoil what is remembered
      this.#history.forget();
      down = this.#down();
    }
    trial.forEach((_, i) => trial[i] = Math.fround(step[i]! + down[i]!));
    this.#state.set("exact", 0);
  }

  #down(): Float64Array {
    const { gradient } = this.#state.arrays;
    const down = this.#history.wayDown(gradient, (own) => this.#shape.solve(own));
    for (let d = 0; d < this.#features; d++) if (this.#problem.isConstant(d)) down[d] = 0;
    return down;
  }

  /** Aims at the lowest point of the way to the trial and beyond: logits are linear along it. */
  #tryBottom(way: Float64Array): boolean {
    const { step, trial, shifts, trialShifts } = this.#state.arrays;
    const low = lowestShare(this.anchor.slopeAlong(way, step, shifts, trialShifts));
    const before = trial.slice();
    trial.forEach((_, i) => trial[i] = Math.fround(step[i]! + low * way[i]!));
    return trial.some((value, i) => value !== before[i] && value !== step[i]);
  }
}
