/**
 * Expectation by enumeration of all paths of a tiny hidden Markov model, from the definition alone: what a step of EM
 * needs, and nothing that filter or smoother are made of.
 */

import type { LogProblem } from "./log_space.ts";
import { logSumExp } from "./log_space.ts";

export interface TinyModel {
  initial: readonly number[];
  /** [bins, bins] p(bin | bin), with the discrete transitions in it. */
  matrix: readonly (readonly number[])[];
  /** [rows][bins] natural. */
  logLikelihoods: readonly (readonly number[])[];
  /** [bins] */
  stateOf: readonly number[];
}

export function expectationByEnumeration({ initial, matrix, logLikelihoods, stateOf }: TinyModel) {
  const bins = initial.length;
  const rows = logLikelihoods.length;
  const states = Math.max(...stateOf) + 1;
  const counts = Array.from({ length: states }, () => new Array<number>(states).fill(0));
  const first = new Array<number>(bins).fill(0);
  let evidence = 0;
  for (let code = 0; code < bins ** rows; code++) {
    const path = Array.from({ length: rows }, (_, row) => Math.floor(code / bins ** row) % bins);
    let weight = initial[path[0]!]!;
    path.forEach((bin, row) => {
      weight *= Math.exp(logLikelihoods[row]![bin]!);
      if (row > 0) weight *= matrix[path[row - 1]!]![bin]!;
    });
    evidence += weight;
    first[path[0]!]! += weight;
    for (let row = 1; row < rows; row++) {
      counts[stateOf[path[row - 1]!]!]![stateOf[path[row]!]!]! += weight;
    }
  }
  return {
    counts: counts.map((row) => row.map((count) => count / evidence)),
    first: first.map((value) => value / evidence),
    logLikelihood: Math.log(evidence),
  };
}

/**
 * The same by forward and backward messages in logarithms, for models of any size.
 *
 * @param stateOf [bins]
 */
export function expectationInLogs(
  { logInitial, logTransition, logLikelihoods }: LogProblem,
  stateOf: readonly number[],
) {
  const bins = logInitial.length;
  const rows = logLikelihoods.length / bins;
  const states = Math.max(...stateOf) + 1;
  const all = Array.from({ length: bins }, (_, bin) => bin);
  const step = (from: number, to: number) => logTransition[from * bins + to]!;
  const seen = (row: number, bin: number) => logLikelihoods[row * bins + bin]!;
  const forward: number[][] = [all.map((bin) => logInitial[bin]! + seen(0, bin))];
  for (let row = 1; row < rows; row++) {
    const before = forward[row - 1]!;
    forward.push(
      all.map((to) => logSumExp(all.map((from) => before[from]! + step(from, to))) + seen(row, to)),
    );
  }
  const backward: number[][] = [all.map(() => 0)];
  for (let row = rows - 2; row >= 0; row--) {
    const [after] = backward;
    backward.unshift(
      all.map((from) =>
        logSumExp(all.map((to) => step(from, to) + seen(row + 1, to) + after![to]!))
      ),
    );
  }
  const logLikelihood = logSumExp(forward[rows - 1]!);
  const counts = Array.from({ length: states }, () => new Array<number>(states).fill(0));
  for (let row = 0; row + 1 < rows; row++) {
    for (const from of all) {
      for (const to of all) {
        counts[stateOf[from]!]![stateOf[to]!]! += Math.exp(
          forward[row]![from]! + step(from, to) + seen(row + 1, to) + backward[row + 1]![to]! -
            logLikelihood,
        );
      }
    }
  }
  const first = all.map((bin) => Math.exp(forward[0]![bin]! + backward[0]![bin]! - logLikelihood));
  return { counts, first, logLikelihood };
}
