/**
 * How parameters follow from what was expected of them: the step of EM that makes new ones.
 *
 * @module
 */

/** What is believed of transitions before any row, and what stays as it is. A value for each state. */
export interface TransitionPrior {
  /** Of a Dirichlet distribution over what follows a state; from 1. */
  concentration: number;
  /** Added to it for the state itself. */
  stickiness: readonly number[];
  /**
   * Above 0, the prior counts as so many times what was expected of the state, however long the recording;
   * at 0, as it is.
   */
  priorWeight: readonly number[];
  /** States whose row is not changed. */
  frozen: readonly boolean[];
}

/**
 * Probabilities of discrete states after each, the likeliest given expected counts and prior.
 *
 * @param counts [from][to] expected transitions.
 * @param before [from][to] probabilities so far, of which frozen rows are kept.
 */
export function updateTransitions(
  counts: readonly (readonly number[])[],
  before: readonly (readonly number[])[],
  { concentration, stickiness, priorWeight, frozen }: TransitionPrior,
): number[][] {
  return counts.map((row, from) => {
    if (frozen[from]) return [...before[from]!];
    const alpha = row.map((_, to) => concentration + (to === from ? stickiness[from]! : 0));
    const extra = alpha.map((value) => value - 1);
    const [visits, all] = [sumOf(row), sumOf(extra)];
    const weight = priorWeight[from]! > 0 && all > 0 ? priorWeight[from]! * visits / all : 1;
    const posterior = row.map((count, to) => count + weight * extra[to]!);
    return normalised(sumOf(posterior) > 0 ? posterior : alpha);
  });
}

/** Probabilities in proportion to values. */
export function normalised(values: ArrayLike<number>): number[] {
  const sum = sumOf(values);
  const shares = Array.from(values, (value) => value / sum);
  // a sum that is off by a rounding goes to the largest
  const largest = shares.indexOf(Math.max(...shares));
  const others = shares.reduce((total, share, i) => i === largest ? total : total + share, 0);
  shares[largest] = 1 - others;
  return shares;
}

function sumOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum;
}

/** How much a log-likelihood changed, relative to the mean size of both. */
export function relativeChange(before: number, after: number): number {
  return (after - before) / ((Math.abs(after) + Math.abs(before) + 2 ** -52) / 2);
}
