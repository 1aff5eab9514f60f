import { hmmSmooth as spec, hmmSmoothParams } from "../src/kernels/hmm_smooth.ts";
import { hmmConstants } from "../src/kernels/hmm_transition.ts";
import { hmmFilter } from "../test/reference/hmm_filter.ts";
import { hmmSmooth } from "../test/reference/hmm_smooth.ts";
import { referenceTransition } from "../test/reference/transition.ts";
import {
  hmmLayout,
  largestDifference,
  overStates,
  randomLogLikelihoods,
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
      const { states, jobs, padded, cells } = operator.shape;
      // the last rows are filtered for real and checked; those before them repeat one row
      const transition = referenceTransition(problem.grid, problem.model, 8);
      const forward = hmmFilter({
        initial: layout.initial,
        transition,
        logLikelihoods: overStates(randomLogLikelihoods(CHECKED_ROWS, bins, 1), bins, states),
      });
      const repeated = (values: Float64Array, kept: number) => {
        const all = new Float32Array((rows - CHECKED_ROWS + kept) * rowLength);
        const placed = layout.perState(values);
        for (let row = 0; row < rows - CHECKED_ROWS; row++) {
          all.set(placed.subarray(0, rowLength), row * rowLength);
        }
        all.set(placed, (rows - CHECKED_ROWS) * rowLength);
        return all;
      };
      return {
        spec,
        constants: hmmConstants(operator.shape),
        shape: `${problem.name}: ${width} state bins x ${rows} rows`,
        rows,
        flops: rows * (2 * operator.multiplyAdds + 5 * 4 * cells * states),
        bytes: rows * 4 * 4 * rowLength,
        buffers: {
          params: hmmSmoothParams(0, rows, rows - 1),
          transition: new Uint8Array(operator.uniform),
          grid_table: operator.gridTable,
          row_scale: operator.rowScale,
          predicted: repeated(forward.predicted, CHECKED_ROWS + 1),
          filtered: repeated(forward.filtered, CHECKED_ROWS),
          smoothed_carry: 4 * rowLength,
          smooth_sums: 4 * rows * states,
          field: 3 * 16 * Math.max(1, jobs) * padded,
        },
        workgroups: [1],
        outputs: ["filtered"],
        check({ filtered }) {
          const last = filtered!.subarray((rows - CHECKED_ROWS) * rowLength);
          const twin = hmmSmooth(forward, transition);
          checkWithin("hmm_smooth", largestDifference(layout.unplace(last), twin), 1e-6);
        },
      };
    }),
};
