/**
 * Brute force over all paths of a tiny hidden Markov model: what filter and smoother mean.
 */

export interface Enumerated {
  /** [rows, states] each. */
  filtered: number[][];
  smoothed: number[][];
  /** Natural logarithm. */
  marginalLogLikelihood: number;
}

export function enumeratePaths(
  initial: readonly number[],
  matrix: readonly (readonly number[])[],
  logLikelihoods: readonly (readonly number[])[],
): Enumerated {
  const rows = logLikelihoods.length;
  const states = initial.length;
  // weight of every path of each length, summed by the state it is in at a row
  const massAt = (length: number, row: number): number[] => {
    const mass = new Array<number>(states).fill(0);
    for (let code = 0; code < states ** length; code++) {
      const path = Array.from({ length }, (_, i) => Math.floor(code / states ** i) % states);
      let weight = initial[path[0]!]!;
      path.forEach((state, i) => {
        weight *= Math.exp(logLikelihoods[i]![state]!);
        if (i > 0) weight *= matrix[path[i - 1]!]![state]!;
      });
      mass[path[row]!]! += weight;
    }
    return mass;
  };
  const normalised = (mass: number[]) => {
    const sum = mass.reduce((total, value) => total + value, 0);
    return mass.map((value) => value / sum);
  };
  const all = massAt(rows, 0).reduce((total, value) => total + value, 0);
  return {
    filtered: Array.from({ length: rows }, (_, row) => normalised(massAt(row + 1, row))),
    smoothed: Array.from({ length: rows }, (_, row) => normalised(massAt(rows, row))),
    marginalLogLikelihood: Math.log(all),
  };
}
