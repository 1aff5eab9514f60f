import { hmmFilter } from "../test/reference/hmm_filter.ts";
import { referenceTransition } from "../test/reference/transition.ts";
import {
  filterCase,
  hmmLayout,
  largestDifference,
  overStates,
  randomLogLikelihoods,
} from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";
import { CHECKED_ROWS, hmmCases } from "./hmm_cases.ts";

export const hmmFilterBench: Bench = {
  name: "hmm_filter",
  cases: () =>
    hmmCases().map((problem) => {
      const { rows } = problem;
      const layout = hmmLayout(problem);
      const { operator, bins, rowLength, width } = layout;
      const { states, cells } = operator.shape;
      const logLikelihoods = randomLogLikelihoods(rows, bins, 1);
      return {
        ...filterCase(layout, logLikelihoods),
        shape: `${problem.name}: ${width} state bins x ${rows} rows`,
        rows,
        // multiply-adds of the convolution, and three passes over the cells
        flops: rows * (2 * operator.multiplyAdds + 3 * 4 * cells * states),
        bytes: rows * 4 * (3 * rowLength + 4 * cells),
        check({ filtered }) {
          const twin = hmmFilter({
            initial: layout.initial,
            transition: referenceTransition(problem.grid, problem.model, 8),
            logLikelihoods: overStates(
              logLikelihoods.subarray(0, CHECKED_ROWS * bins),
              bins,
              states,
            ),
          });
          const checked = filtered!.subarray(0, CHECKED_ROWS * rowLength);
          const got = layout.unplace(checked).map(Math.exp);
          checkWithin("hmm_filter", largestDifference(got, twin.filtered), 1e-6);
        },
      };
    }),
};
