/**
 * f64 twin of `hmm_smooth`: the backward smoother of a hidden Markov model, in natural logarithms.
 */

import type { FilterResult } from "./hmm_filter.ts";
import { logSum } from "./hmm_filter.ts";
import type { Transition } from "./transition.ts";
import { applyLog } from "./transition.ts";

/** @returns [rows, states] p(state | everything). */
export function hmmSmooth(
  { logFiltered, logPredicted }: Pick<FilterResult, "logFiltered" | "logPredicted">,
  transition: Transition,
): Float64Array {
  const states = transition.size;
  const rows = logFiltered.length / states;
  const smoothed = new Float64Array(rows * states);
  for (let row = rows - 1; row >= 0; row--) {
    let weights = logFiltered.slice(row * states, (row + 1) * states);
    if (row < rows - 1) {
      const ratio = smoothed.subarray((row + 1) * states, (row + 2) * states).map((log, state) => {
        const below = logPredicted[(row + 1) * states + state]!;
        return below === -Infinity ? -Infinity : log - below;
      });
      const back = applyLog(transition.applyTranspose, ratio);
      weights = weights.map((log, state) => log + back[state]!);
    }
    const sum = logSum(weights);
    smoothed.set(weights.map((log) => log - sum), row * states);
  }
  return smoothed.map(Math.exp);
}
