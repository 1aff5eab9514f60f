import { hmmFilter } from "../test/reference/hmm_filter.ts";
import { hmmSmooth } from "../test/reference/hmm_smooth.ts";
import { referenceTransition } from "../test/reference/transition.ts";
import {
  hmmLayout,
  largestDifference,
  overStates,
  randomLogLikelihoods,
  smoothCase,
} from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";
import { CHECKED_ROWS, hmmCases } from "./hmm_cases.ts";

export const hmmSmoothBench: Bench = {
  name: "hmm_smooth",
  cases: () =>
    hmmCases().map((problem) => {
      const { rows } = problem;
      const layout = hmmLayout(problem);
      const { operator, bins, rowLength, width } = layout;
      const { states, cells } = operator.shape;
      // the last rows are filtered for real and checked; those before them repeat one row
      const transition = referenceTransition(problem.grid, problem.model, 8);
      const forward = hmmFilter({
        initial: layout.initial,
        transition,
        logLikelihoods: overStates(randomLogLikelihoods(CHECKED_ROWS, bins, 1), bins, states),
      });
      const repeated = (values: Float64Array, kept: number) => {
        const all = new Uint32Array((rows - CHECKED_ROWS + kept) * rowLength);
        const placed = layout.perState(values);
        for (let row = 0; row < rows - CHECKED_ROWS; row++) {
          all.set(placed.subarray(0, rowLength), row * rowLength);
        }
        all.set(placed, (rows - CHECKED_ROWS) * rowLength);
        return all;
      };
      return {
        ...smoothCase(
          layout,
          repeated(forward.logFiltered, CHECKED_ROWS),
          repeated(forward.logPredicted, CHECKED_ROWS + 1),
        ),
        shape: `${problem.name}: ${width} state bins x ${rows} rows`,
        rows,
        flops: rows * (2 * operator.multiplyAdds + 5 * 4 * cells * states),
        bytes: rows * 4 * 4 * rowLength,
        check({ filtered }) {
          const last = filtered!.subarray((rows - CHECKED_ROWS) * rowLength);
          const twin = hmmSmooth(forward, transition);
          const smoothed = layout.unplace(last).map(Math.exp);
          checkWithin("hmm_smooth", largestDifference(smoothed, twin), 1e-6);
        },
      };
    }),
};
