/**
 * f64 twin of `hmm_smooth`: the backward smoother of a hidden Markov model.
 */

import type { FilterResult } from "./hmm_filter.ts";
import { SUM_FLOOR } from "./hmm_filter.ts";
import type { Transition } from "./transition.ts";

/** @returns [rows, states] p(state | everything). */
export function hmmSmooth(
  { filtered, predicted }: Pick<FilterResult, "filtered" | "predicted">,
  transition: Transition,
): Float64Array {
  const states = transition.size;
  const rows = filtered.length / states;
  const smoothed = new Float64Array(rows * states);
  for (let row = rows - 1; row >= 0; row--) {
    let weights = filtered.slice(row * states, (row + 1) * states);
    if (row < rows - 1) {
      const ratio = new Float64Array(states);
      for (let state = 0; state < states; state++) {
        const below = predicted[(row + 1) * states + state]!;
        ratio[state] = below === 0 ? 0 : smoothed[(row + 1) * states + state]! / below;
      }
      const back = transition.applyTranspose(ratio);
      weights = weights.map((weight, state) => weight * back[state]!);
    }
    const sum = weights.reduce((total, weight) => total + weight, 0);
    smoothed.set(weights.map((weight) => weight / (sum + SUM_FLOOR)), row * states);
  }
  return smoothed;
}
