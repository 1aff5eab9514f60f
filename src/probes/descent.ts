/**
 * How one logistic probe comes to its optimum, evaluation by evaluation: L-BFGS in the shape of the rows'
 * covariance, in coordinates of an anchor where logits and gradient are known in f64.
 *
 * The device tells how far logits and gradient move from the anchor, with the relative error of f32: the
 * nearer the anchor, the smaller the error. So every check moves the anchor, and a few make f64 of it.
 *
 * Sources: Nocedal 1980, "Updating quasi-Newton matrices with limited storage"; the distance from the
 * optimum by strong convexity, as in Boyd and Vandenberghe 2004, 9.1.2.
 *
 * @module
 */

import { sigmoid } from "../math/classification.ts";
import { factorize, solveFactored } from "../math/cholesky.ts";
import type { Components } from "./components.ts";
import { isWhole } from "./components.ts";

/** Pairs of steps and what they change of the gradient that are remembered. */
const PAIRS = 16;
/** A check is due when the gradient has become so much smaller: that much f32 tells. */
const CYCLE = 1e-3;
/** Shares of the slope at the beginning of a step between which its end may have one. */
const [LEAST_SLOPE, MOST_SLOPE] = [0.7, 0.5] as const;
/** Doublings of a step that is too short, and halvings of the interval in which its bottom lies. */
const [DOUBLINGS, HALVINGS] = [6, 40] as const;
/** Second derivatives of all probes together, at most. */
const FACTOR_BYTES = 64 * 2 ** 20;
/**
 * Steps from one check to the next, at most: where no second derivatives of a probe's own can be had, where
 * they can, and where it has them.
 */
const [MOST_STEPS, PLAIN_STEPS, SHAPED_STEPS] = [30, 12, 6] as const;
/** A bias is settled from so near, in so many steps of Newton's: what that changes of weights is known. */
const [NEAR_BIAS, SETTLINGS] = [1e-4, 2] as const;
/** What f32 may add to a loss, of it. */
const LOSS_ROUNDING = 1e-10;
/** A gradient of this size that two checks find is what f64 leaves of it. */
const [LEAST_NORM, STANDSTILL] = [1e-12, 0.7] as const;

/** What a probe is at. */
export const STATUS = { none: 0, running: 1, waiting: 2, done: 3, separable: 4 } as const;

/** Numbers of a probe, in their order. */
const FACTS = [
  ...["status", "pairs", "loss", "iterations", "curvature", "exact", "distance", "norm"],
  ...["converged", "cycleNorm", "steps", "slow", "shaped", "retried"],
] as const;
type Fact = typeof FACTS[number];

/** Whether each probe may have second derivatives of its own. */
function hasFactors(probes: number, features: number): boolean {
  return isWhole(features) && 8 * probes * (features + 1) ** 2 <= FACTOR_BYTES;
}

/** What so many probes hold; `values` of a row are for every probe, `[probes, rows]`. */
export function descentHeld(probes: number, rows: number, features: number) {
  const size = probes * (features + 1);
  const point = { dtype: "float64", length: size } as const;
  return {
    /** `[probes, features + 1]`, the bias last: weights where logits are known; steps from there. */
    anchor: point,
    anchorGradient: point,
    step: point,
    gradient: point,
    trial: point,
    /** `[probes, PAIRS, features + 1]` */
    moved: { dtype: "float64", length: size * PAIRS },
    turned: { dtype: "float64", length: size * PAIRS },
    facts: { dtype: "float64", length: probes * FACTS.length },
    /** `[probes, rows]`: logits at the anchor, and how far the device moved them. */
    logits: { dtype: "float64", length: probes * rows },
    shifts: { dtype: "float32", length: probes * rows },
    trialShifts: { dtype: "float32", length: probes * rows, role: "scratch" },
    /** `[probes, 2, features]`: sums of residuals times rows, and of curvatures, which outlive a sweep. */
    sums: { dtype: "float64", length: 2 * probes * features },
    /** `[probes, (features + 1)^2]`, where it is no more than so much: factors of second derivatives. */
    factors: {
      dtype: "float64",
      length: hasFactors(probes, features) ? probes * (features + 1) ** 2 : 0,
    },
  } as const;
}

type DescentHeld = {
  [Name in keyof ReturnType<typeof descentHeld>]: Float64Array | Float32Array;
};

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

export class Descent {
  readonly #problem: DescentProblem;
  readonly #held: DescentHeld;
  readonly #features: number;
  readonly #rows: number;

  /** @param held Of all probes. */
  constructor(problem: DescentProblem, held: DescentHeld, probe: number, features: number) {
    this.#problem = problem;
    this.#features = features;
    this.#rows = problem.labels.length;
    const probes = held.anchor.length / (features + 1);
    const part = <Values extends Float32Array | Float64Array>(values: Values) => {
      const length = values.length / probes;
      return values.subarray(probe * length, (probe + 1) * length) as Values;
    };
    const own = Object.entries(held).map(([name, values]) => [name, part(values)]);
    this.#held = Object.fromEntries(own);
  }

  fact(name: Fact): number {
    return this.#held.facts[FACTS.indexOf(name)]!;
  }

  #set(name: Fact, value: number): void {
    this.#held.facts[FACTS.indexOf(name)] = value;
  }

  get isRunning(): boolean {
    return this.fact("status") === STATUS.running;
  }

  get isWaiting(): boolean {
    return this.fact("status") === STATUS.waiting;
  }

  /** Weights and bias, `[features + 1]`. */
  get weights(): Float64Array {
    return this.#held.anchor as Float64Array;
  }

  /** Logits at the anchor, `[rows]`. */
  get logits(): Float64Array {
    return this.#held.logits as Float64Array;
  }

  /** The step from the anchor that is tried next, each number one of f32. */
  get trial(): Float64Array {
    return this.#held.trial as Float64Array;
  }

  /** Where the device's logits go, `[rows]`. */
  get trialShifts(): Float32Array {
    return this.#held.trialShifts as Float32Array;
  }

  /** Where sums of residuals times rows go, and where those of curvatures, `[2, features]`. */
  get sums(): Float64Array {
    return this.#held.sums as Float64Array;
  }

  /** Begins with no weights, and the bias that is best then. */
  start(): void {
    const { positives } = this.#problem;
    this.weights[this.#features] = Math.log(positives / (this.#rows - positives));
    this.#set("norm", Infinity);
    this.#set("status", STATUS.waiting);
  }

  /**
   * Ends the descent where it is, for a check.
   *
   * @param slow Whether it went on for as long as it may.
   */
  wait(slow = false): void {
    this.#set("slow", Number(slow));
    const { anchor, step } = this.#held;
    anchor.forEach((_, i) => anchor[i]! += step[i]!);
    this.#set("status", STATUS.waiting);
  }

  /** Adds rows to the sums at the anchor, from row `start` on, one after the other. */
  add(start: number, rows: Float64Array): void {
    this.addTo(start, rows, this.weights, this.sums, true);
  }

  /**
   * Adds rows to sums of residuals times rows, `[features]`, and where those are wanted of curvatures times rows,
   * which lie behind. Logits by these weights and its bias are kept.
   */
  addTo(
    start: number,
    rows: Float64Array,
    weights: Float64Array,
    sums: Float64Array,
    curved = false,
  ): void {
    const { logits } = this;
    const { labels } = this.#problem;
    const bias = this.weights.at(-1)!;
    const features = curved ? sums.length / 2 : sums.length;
    for (let at = 0, row = start; at < rows.length; at += features, row++) {
      const own = rows.subarray(at, at + features);
      let logit = bias;
      for (let d = 0; d < features; d++) logit += own[d]! * weights[d]!;
      logits[row] = logit;
      const probability = sigmoid(logit);
      const residual = probability - labels[row]!;
      for (let d = 0; d < features; d++) sums[d]! += residual * own[d]!;
      if (!curved) continue;
      const curvature = probability * sigmoid(-logit);
      for (let d = 0; d < features; d++) sums[features + d]! += curvature * own[d]!;
    }
  }

  /**
   * Takes sums and logits at the anchor, all in f64: how far is it still?
   *
   * @param isLast Whether it is to end here.
   */
  check(isLast: boolean): void {
    const { anchor, anchorGradient, step, gradient, sums, shifts } = this.#held;
    const { penalty, tolerance, components, reach } = this.#problem;
    const [rows, features] = [this.#rows, this.#features];
    const moved = this.#settleBias();
    let squares = 0;
    let length = 0;
    for (let d = 0; d < features; d++) {
      const own = (sums[d]! + moved * sums[features + d]!) / rows + penalty * anchor[d]!;
      anchorGradient[d] = own;
      squares += own * own;
      length += anchor[d]! ** 2;
    }
    const { loss, slope, curvature, margin } = this.#measure(this.logits);
    anchorGradient[features] = slope;
    // what settling the bias may have left
    const norm = Math.sqrt(squares) + reach * (Math.abs(slope) + moved * moved / 8);
    const away = penalty > 0 ? norm / penalty : lengthOf(
      components.solve(
        anchorGradient.subarray(0, features) as Float64Array,
        ...this.#shape(curvature),
      ),
    );
    const distance = away === 0 ? 0 : away / Math.sqrt(length);
    const before = this.fact("norm");
    const isStuck = before < Infinity && this.fact("steps") === 0;
    const isOver = isStuck && this.fact("retried") === 1;
    this.#set("loss", loss + penalty * length / 2);
    this.#set("norm", norm);
    this.#set("distance", distance);
    this.#set("curvature", curvature);
    this.#set("cycleNorm", norm);
    this.#set("steps", 0);
    gradient.set(anchorGradient);
    step.fill(0);
    shifts.fill(0);
    const converged = distance <= tolerance;
    const stands = norm < LEAST_NORM && norm > STANDSTILL * before;
    if (penalty <= 0 && margin > 0) {
      this.#set("status", STATUS.separable);
    } else if (converged || isLast || isOver || stands) {
      this.#set("converged", Number(converged));
      this.#set("status", STATUS.done);
    } else {
      this.#set("status", STATUS.running);
      this.#set("retried", Number(isStuck));
      if (isStuck) {
        // what is remembered leads nowhere
        this.#set("pairs", 0);
        this.#set("slow", 1);
      }
      this.#aim();
    }
  }

  /** Whether it would be faster with second derivatives of its own, and is running. */
  get wantsCurvature(): boolean {
    return this.isRunning && this.fact("slow") === 1 && this.#held.factors.length > 0;
  }

  /** Of a row, at the anchor. */
  curvatureOf(row: number): number {
    const logit = this.logits[row]!;
    return sigmoid(logit) * sigmoid(-logit);
  }

  /** Takes the moments of rows by their curvatures, and forgets what went before. */
  takeCurvature(moments: Float64Array): void {
    const { factors, sums } = this.#held;
    const { isConstant } = this.#problem;
    const [rows, features] = [this.#rows, this.#features];
    const size = features + 1;
    const [curvature, penalty] = this.#shape(this.fact("curvature"));
    for (let i = 0; i < features; i++) {
      for (let j = 0; j <= i; j++) factors[i * size + j] = moments[j * features + i]! / rows;
      factors[i * size + i]! += penalty + Number(isConstant(i));
      factors[features * size + i] = sums[features + i]! / rows;
    }
    factors[features * size + features] = curvature;
    this.#set("slow", 0);
    this.#set("shaped", Number(factorize(factors as Float64Array, size)));
    this.#set("pairs", 0);
    this.#aim();
  }

  /**
   * Takes what weights of all features are, where those it had were coordinates: the gradient's sum, and the
   * logits it was made of.
   */
  confirm(weights: Float64Array, gradientSum: Float64Array): void {
    const { penalty, tolerance, reach } = this.#problem;
    const { loss, slope } = this.#measure(this.logits);
    const lengthSquared = dot(weights, weights);
    let squares = 0;
    weights.forEach((own, d) => squares += (gradientSum[d]! / this.#rows + penalty * own) ** 2);
    const norm = Math.sqrt(squares) + reach * Math.abs(slope);
    const distance = norm === 0 ? 0 : norm / penalty / Math.sqrt(lengthSquared);
    this.#set("loss", loss + penalty * lengthSquared / 2);
    this.#set("norm", norm);
    this.#set("distance", distance);
    this.#set("converged", Number(distance <= tolerance));
  }

  /** Takes sums and shifts of logits at the trial, and goes there, or to where the way there is lowest. */
  evaluate(): void {
    const { anchor, anchorGradient, step, gradient, trial, sums, shifts, trialShifts } = this.#held;
    const { penalty } = this.#problem;
    const [rows, features] = [this.#rows, this.#features];
    const logits = this.#logitsAt(trialShifts, trial[features]!);
    const { loss: entropy, slope: bias, curvature } = this.#measure(logits);
    const next = new Float64Array(features + 1);
    let length = 0;
    for (let d = 0; d < features; d++) {
      next[d] = anchorGradient[d]! + sums[d]! / rows + penalty * trial[d]!;
      length += (anchor[d]! + trial[d]!) ** 2;
    }
    next[features] = bias;
    const loss = entropy + penalty * length / 2;
    const way = trial.map((value, i) => value - step[i]!);
    const begin = dot(gradient, way);
    const end = dot(next, way);
    const before = this.fact("loss");
    const falls = end <= 0 || loss <= before + LOSS_ROUNDING * Math.abs(before);
    const isFine = falls && end <= -MOST_SLOPE * begin && end >= LEAST_SLOPE * begin;
    if (!isFine && this.fact("exact") === 0) {
      this.#set("exact", 1);
      if (this.#tryBottom(way)) return;
    }
    if (!falls || !Number.isFinite(loss)) {
      // nothing that f32 can tell is left
      this.wait();
      return;
    }
    this.#remember(way, next.map((value, i) => value - gradient[i]!));
    step.set(trial);
    gradient.set(next);
    shifts.set(trialShifts);
    this.#set("loss", loss);
    this.#set("curvature", curvature);
    this.#set("iterations", this.fact("iterations") + 1);
    this.#set("steps", this.fact("steps") + 1);
    const norm = lengthOf(next);
    const goal = penalty > 0 ? 0.3 * this.#problem.tolerance * penalty * Math.sqrt(length) : 0;
    if (norm <= Math.max(CYCLE * this.fact("cycleNorm"), goal)) this.wait();
    else if (this.fact("steps") >= this.#mostSteps) this.wait(true);
    else this.#aim();
  }

  get #mostSteps(): number {
    if (this.#held.factors.length === 0) return MOST_STEPS;
    return this.fact("shaped") === 1 ? SHAPED_STEPS : PLAIN_STEPS;
  }

  #logitsAt(shifts: Float32Array | Float64Array, offset: number): Float64Array {
    return this.logits.map((logit, row) => logit + shifts[row]! + offset);
  }

  /** Mean loss, its slope along the bias, mean curvature, and the least logit on the right side. */
  #measure(logits: Float64Array) {
    const { labels } = this.#problem;
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

  /**
   * Moves the bias of the anchor to its best, where that is near: its part of the gradient is then none. By
   * how much.
   */
  #settleBias(): number {
    const { logits } = this;
    let moved = 0;
    for (let i = 0; i < SETTLINGS; i++) {
      const { slope, curvature } = this.#measure(logits);
      const step = -slope / curvature;
      if (!(Math.abs(step) < NEAR_BIAS)) break;
      moved += step;
      this.weights[this.#features]! += step;
      for (let row = 0; row < logits.length; row++) logits[row]! += step;
    }
    return moved;
  }

  #shape(curvature: number): [curvature: number, penalty: number] {
    const { penalty, components } = this.#problem;
    const own = Math.max(curvature, 1e-12);
    return [own, Math.max(penalty, 1e-12 * own * components.most)];
  }

  /** The next trial: down, by what is remembered. */
  #aim(): void {
    const { gradient, step, trial } = this.#held;
    const down = this.#down();
    if (!(dot(down, gradient) < 0)) {
      // rounding may spoil what is remembered
      this.#set("pairs", 0);
      down.set(this.#down());
    }
    trial.forEach((_, i) => trial[i] = Math.fround(step[i]! + down[i]!));
    this.#set("exact", 0);
  }

  #down(): Float64Array {
    const { gradient, moved, turned } = this.#held;
    const { components, isConstant } = this.#problem;
    const features = this.#features;
    const size = features + 1;
    const all = this.fact("pairs");
    const pairs = Array.from({ length: Math.min(all, PAIRS) }, (_, i) => {
      const at = (all - 1 - i) % PAIRS * size;
      const own = { s: moved.subarray(at, at + size), y: turned.subarray(at, at + size) };
      return { ...own, curve: dot(own.s, own.y), along: 0 };
    });
    const down = Float64Array.from(gradient, (value) => -value);
    for (const pair of pairs) {
      pair.along = dot(pair.s, down) / pair.curve;
      for (let i = 0; i < size; i++) down[i]! -= pair.along * pair.y[i]!;
    }
    const [curvature, penalty] = this.#shape(this.fact("curvature"));
    const solve = (vector: Float64Array) => {
      if (this.fact("shaped") === 1) {
        const own = vector.slice();
        solveFactored(this.#held.factors as Float64Array, own);
        return own;
      }
      const solved = new Float64Array(size);
      solved.set(components.solve(vector.subarray(0, features), curvature, penalty));
      solved[features] = vector[features]! / curvature;
      return solved;
    };
    const newest = pairs[0];
    // how far the last step went, of what the shape had told
    const stretch = newest ? newest.curve / dot(newest.y, solve(newest.y as Float64Array)) : 1;
    down.set(solve(down));
    for (let i = 0; i < size; i++) down[i]! *= stretch;
    for (const pair of pairs.reverse()) {
      const off = pair.along - dot(pair.y, down) / pair.curve;
      for (let i = 0; i < size; i++) down[i]! += off * pair.s[i]!;
    }
    for (let d = 0; d < features; d++) if (isConstant(d)) down[d] = 0;
    return down;
  }

  #remember(way: Float64Array | Float32Array, turn: Float64Array): void {
    const curve = dot(way, turn);
    if (!(curve > 1e-12 * lengthOf(way) * lengthOf(turn))) return;
    const { moved, turned } = this.#held;
    const pairs = this.fact("pairs");
    const at = pairs % PAIRS * way.length;
    moved.set(way, at);
    turned.set(turn, at);
    this.#set("pairs", pairs + 1);
  }

  /** Aims at the lowest point of the way to the trial and beyond: logits are linear along it. */
  #tryBottom(way: Float64Array | Float32Array): boolean {
    const { anchor, step, trial, shifts, trialShifts } = this.#held;
    const { labels, penalty } = this.#problem;
    const [rows, features] = [this.#rows, this.#features];
    const logits = this.#logitsAt(shifts, step[features]!);
    let [own, squares] = [0, 0];
    for (let d = 0; d < features; d++) {
      own += (anchor[d]! + step[d]!) * way[d]!;
      squares += way[d]! ** 2;
    }
    const slopeAt = (share: number) => {
      let sum = 0;
      for (let row = 0; row < rows; row++) {
        const shift = trialShifts[row]! - shifts[row]! + way[features]!;
        sum += (sigmoid(logits[row]! + share * shift) - labels[row]!) * shift;
      }
      return sum / rows + penalty * (own + share * squares);
    };
    let [low, high] = [0, 1];
    for (let i = 0; i < DOUBLINGS && slopeAt(high) < 0; i++) [low, high] = [high, 2 * high];
    for (let i = 0; i < HALVINGS && high - low > 1e-4 * high; i++) {
      const middle = (low + high) / 2;
      if (slopeAt(middle) < 0) low = middle;
      else high = middle;
    }
    const before = trial.slice();
    trial.forEach((_, i) => trial[i] = Math.fround(step[i]! + low * way[i]!));
    return trial.some((value, i) => value !== before[i] && value !== step[i]);
  }
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function lengthOf(vector: ArrayLike<number>): number {
  return Math.sqrt(dot(vector, vector));
}
