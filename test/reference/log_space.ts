/**
 * Filter and smoother of a hidden Markov model with every number a logarithm in f64: nothing is shifted,
 * scaled or normalised on the way, so nothing can underflow. Shares no code and no formula with the
 * package: forward and backward messages where the package divides by predictions.
 */

import type { Grid } from "../../src/hmm/grid.ts";
import type { StateModel } from "../../src/hmm/states.ts";

/** A model and what was seen. Natural logarithms in C order, -Infinity for what is impossible. */
export interface LogProblem {
  /** [bins] */
  logInitial: Float64Array;
  /** [bins, bins], row i is log p(next bin | bin i). */
  logTransition: Float64Array;
  /** [rows, bins] */
  logLikelihoods: Float64Array;
  /** [rows] 1 where nothing was seen. */
  missing?: ArrayLike<number>;
  /**
   * Forgets what is less likely than e^-range of its row after every row of the filter, and likelihoods below
   * e^-range of a row's largest: what a format of numbers with this range would do. Default Infinity.
   */
  range?: number;
}

export interface LogSpaceResult {
  /** [rows, bins] probabilities. */
  filtered: Float64Array;
  smoothed: Float64Array;
  /** [rows] log p(row | rows before), -Infinity for an impossible row. */
  logEvidence: Float64Array;
  marginalLogLikelihood: number;
  /** Rows that no reachable bin explains: the prediction stands in their place. */
  impossibleRows: number[];
  /**
   * How much less likely than its whole row, in nats, a bin was predicted that the row itself or all rows
   * together make likely (above 1e-8): a format of numbers with a smaller range gets that bin wrong.
   */
  depth: number;
  /** How much less likely than its whole row, or than a row's likeliest, the least of the possible bins ever was, in nats. */
  span: number;
}

/** Terms that much smaller than the largest, in nats, cannot change an f64 sum of 2^20 terms. */
const NEGLIGIBLE = 60;

/** log(sum(exp(terms))), -Infinity for none. */
export function logSumExp(terms: ArrayLike<number>): number {
  let largest = -Infinity;
  for (let i = 0; i < terms.length; i++) largest = Math.max(largest, terms[i]!);
  if (largest === -Infinity) return -Infinity;
  let sum = 0;
  for (let i = 0; i < terms.length; i++) {
    const below = terms[i]! - largest;
    if (below > -NEGLIGIBLE) sum += Math.exp(below);
  }
  return largest + Math.log(sum);
}

/** Runs both passes. */
export function logSpace(problem: LogProblem): LogSpaceResult {
  const { logInitial, logTransition, missing, range = Infinity } = problem;
  const bins = logInitial.length;
  const rows = problem.logLikelihoods.length / bins;
  const seen = problem.logLikelihoods.slice();
  let span = 0;
  for (let row = 0; row < rows; row++) {
    const own = seen.subarray(row * bins, (row + 1) * bins);
    if (missing?.[row]) own.fill(0);
    const largest = own.reduce((most, value) => Math.max(most, value), -Infinity);
    own.forEach((value, bin) => {
      if (value === -Infinity) return;
      span = Math.max(span, largest - value);
      if (value < largest - range) own[bin] = -Infinity;
    });
  }
  const rowOf = (values: Float64Array, row: number) =>
    values.subarray(row * bins, (row + 1) * bins);
  const transposed = new Float64Array(bins * bins);
  for (let i = 0; i < bins; i++) {
    for (let j = 0; j < bins; j++) transposed[j * bins + i] = logTransition[i * bins + j]!;
  }

  // log p(bin, rows up to this one)
  const forward = new Float64Array(rows * bins);
  const logEvidence = new Float64Array(rows);
  const impossibleRows: number[] = [];
  const terms = new Float64Array(bins);
  const predictions = new Float64Array(rows * bins);
  predictions.set(logInitial);
  let predicted = logInitial;
  for (let row = 0; row < rows; row++) {
    const joint = rowOf(forward, row);
    const likelihood = rowOf(seen, row);
    for (let bin = 0; bin < bins; bin++) joint[bin] = predicted[bin]! + likelihood[bin]!;
    const before = row === 0 ? 0 : logSumExp(rowOf(forward, row - 1));
    const total = logSumExp(joint);
    if (total === -Infinity) {
      impossibleRows.push(row);
      joint.set(predicted);
      likelihood.fill(0);
      logEvidence[row] = -Infinity;
    } else {
      logEvidence[row] = total - before;
      for (let bin = 0; bin < bins; bin++) if (joint[bin]! < total - range) joint[bin] = -Infinity;
    }
    if (row + 1 === rows) break;
    predicted = rowOf(predictions, row + 1);
    for (let to = 0; to < bins; to++) {
      const into = rowOf(transposed, to);
      for (let from = 0; from < bins; from++) terms[from] = joint[from]! + into[from]!;
      predicted[to] = logSumExp(terms);
    }
  }

  // log p(rows after this one | bin)
  const backward = new Float64Array(rows * bins);
  for (let row = rows - 2; row >= 0; row--) {
    const after = rowOf(backward, row + 1);
    const likelihood = rowOf(seen, row + 1);
    const message = rowOf(backward, row);
    for (let from = 0; from < bins; from++) {
      const outOf = rowOf(logTransition, from);
      for (let to = 0; to < bins; to++) terms[to] = outOf[to]! + likelihood[to]! + after[to]!;
      message[from] = logSumExp(terms);
    }
  }

  const filtered = new Float64Array(rows * bins);
  const smoothed = new Float64Array(rows * bins);
  let depth = 0;
  for (let row = 0; row < rows; row++) {
    const joint = rowOf(forward, row);
    const whole = joint.map((value, bin) => value + rowOf(backward, row)[bin]!);
    rowOf(filtered, row).set(probabilities(joint));
    rowOf(smoothed, row).set(probabilities(whole));
    const total = logSumExp(joint);
    const predicted = rowOf(predictions, row);
    const expected = logSumExp(predicted);
    rowOf(smoothed, row).forEach((p, bin) => {
      if (joint[bin]! > -Infinity) span = Math.max(span, total - joint[bin]!);
      if (p <= 1e-8 && rowOf(filtered, row)[bin]! <= 1e-8) return;
      depth = Math.max(depth, total - joint[bin]!, expected - predicted[bin]!);
    });
  }
  return {
    filtered,
    smoothed,
    logEvidence,
    marginalLogLikelihood: logEvidence.reduce((sum, value) => sum + value, 0),
    impossibleRows,
    depth,
    span,
  };
}

function probabilities(logs: Float64Array): Float64Array {
  const total = logSumExp(logs);
  return logs.map((value) => value === -Infinity ? 0 : Math.exp(value - total));
}

/** Where a Gaussian step ends along each axis, in standard deviations: as the package documents. */
const CUT_SIGMAS = 8;

/** Centre of every interior bin. */
function interiorCenters({ shape, centers, interior }: Grid): number[][] {
  const all: number[][] = [];
  interior.forEach((inside, flat) => {
    if (!inside) return;
    const along = shape.length === 1 ? [flat] : [Math.floor(flat / shape[1]!), flat % shape[1]!];
    all.push(along.map((bin, axis) => centers[axis]![bin]!));
  });
  return all;
}

/**
 * Transition between interior bins of all states of a model of random walks, uniform, identity and matrix
 * blocks, [states * interior, states * interior] natural logarithms.
 *
 * A Gaussian's values along an axis are rounded to f32 before rows are divided by their sums, which is how
 * the package defines its walk.
 */
export function logTransitionOf(grid: Grid, model: StateModel): Float64Array {
  const centers = interiorCenters(grid);
  const interior = centers.length;
  const bins = model.names.length * interior;
  const logTransition = new Float64Array(bins * bins).fill(-Infinity);
  model.transitions.forEach((row, from) =>
    row.forEach((block, to) => {
      const density = (i: number, j: number): number => {
        switch (block.kind) {
          case "uniform":
            return 1;
          case "identity":
            return i === j ? 1 : 0;
          case "matrix":
            return block.values[i * interior + j]!;
          case "randomWalk":
            return centers[i]!.reduce((product, center, axis) => {
              const steps = Math.abs(centers[j]![axis]! - center) / Math.sqrt(block.movementVar);
              // bin centres are rounded: a step of 8 sigma counts wherever rounding puts it
              if (steps > CUT_SIGMAS * (1 + 1e-12)) return 0;
              return product * Math.fround(Math.exp(-(steps ** 2) / 2));
            }, 1);
          default:
            throw new TypeError(`Cannot write down a transition of kind ${block.kind}`);
        }
      };
      const weight = model.discreteTransition[from]![to]!;
      for (let i = 0; i < interior; i++) {
        const values = centers.map((_, j) => density(i, j));
        const sum = values.reduce((total, value) => total + value, 0);
        values.forEach((value, j) => {
          const at = (from * interior + i) * bins + to * interior + j;
          if (value > 0 && weight > 0) logTransition[at] = Math.log(value / sum) + Math.log(weight);
        });
      }
    })
  );
  return logTransition;
}

/** Initial distribution of a model: uniform within a state, [states * interior] natural logarithms. */
export function logInitialOf(grid: Grid, model: StateModel): Float64Array {
  const interior = interiorCenters(grid).length;
  return Float64Array.from(
    { length: model.names.length * interior },
    (_, bin) => Math.log(model.initial[Math.floor(bin / interior)]! / interior),
  );
}

/**
 * Poisson log-likelihood of the spikes of a row in every bin, but for what is the same in all bins; the
 * same in every state.
 *
 * @param rates [units, interior] expected spikes a row.
 * @param counts [rows] spikes of each unit in the row; units that are left out had none.
 * @returns [rows, states * interior] natural logarithms.
 */
export function logPoisson(
  rates: Float64Array,
  counts: readonly ReadonlyMap<number, number>[],
  { interior, states }: { interior: number; states: number },
): Float64Array {
  const expected = new Float64Array(interior);
  rates.forEach((rate, i) => expected[i % interior]! += rate);
  const width = states * interior;
  const logLikelihoods = new Float64Array(counts.length * width);
  counts.forEach((row, t) => {
    for (let bin = 0; bin < interior; bin++) {
      let value = -expected[bin]!;
      for (const [unit, count] of row) value += count * Math.log(rates[unit * interior + bin]!);
      for (let state = 0; state < states; state++) {
        logLikelihoods[t * width + state * interior + bin] = value;
      }
    }
  });
  return logLikelihoods;
}
