/** Twin of `expected_transitions`: natural logarithms in f64, over all pairs of bins. */

import { logSum } from "./logarithms.ts";

/**
 * @param starts [states + 1] first bin of each state.
 * @param logBlocks [bins, bins] log p(bin | bin, discrete state).
 * @param discrete [states, states]
 * @returns [states, states] p(state, next state).
 */
export function expectedTransitions(
  { logFiltered, logRatio, logBlocks, discrete, starts }: {
    logFiltered: ArrayLike<number>;
    logRatio: ArrayLike<number>;
    logBlocks: ArrayLike<number>;
    discrete: readonly (readonly number[])[];
    starts: readonly number[];
  },
): number[] {
  const bins = starts.at(-1)!;
  return discrete.flatMap((row, from) =>
    row.map((probability, to) => {
      const terms: number[] = [];
      for (let i = starts[from]!; i < starts[from + 1]!; i++) {
        for (let j = starts[to]!; j < starts[to + 1]!; j++) {
          terms.push(logFiltered[i]! + logBlocks[i * bins + j]! + logRatio[j]!);
        }
      }
      return probability * Math.exp(logSum(Float64Array.from(terms)));
    })
  );
}
