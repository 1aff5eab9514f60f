import { describe, expect, it } from "vitest";
import { hmmSmooth as smoothSpec, hmmSmoothParams } from "../../src/kernels/hmm_smooth.ts";
import { hmmConstants } from "../../src/kernels/hmm_transition.ts";
import { hmmFilter } from "../reference/hmm_filter.ts";
import { hmmSmooth } from "../reference/hmm_smooth.ts";
import { referenceTransition } from "../reference/transition.ts";
import { useGpu } from "../support/gpu.ts";
import {
  hmmLayout,
  hmmProblems,
  largestDifference,
  overStates,
  randomLogLikelihoods,
} from "../support/hmm_problem.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// as for the filter: probabilities of at most 1, some tens of roundings of 6e-8 a row
const TOLERANCE = 1e-6;

describe("hmm_smooth", () => {
  for (const problem of hmmProblems()) {
    it(`agrees with its twin on ${problem.name}`, async () => {
      const { grid, model, rows } = problem;
      const layout = hmmLayout(problem);
      const { operator, bins, rowLength } = layout;
      const { states, jobs, padded } = operator.shape;
      const transition = referenceTransition(grid, model, 8);
      const forward = hmmFilter({
        initial: layout.initial,
        transition,
        logLikelihoods: overStates(randomLogLikelihoods(rows, bins, 12), bins, states),
      });
      const twin = hmmSmooth(forward, transition);

      const { outputs } = await runKernel(gpu(), {
        spec: smoothSpec,
        constants: hmmConstants(operator.shape),
        buffers: {
          params: hmmSmoothParams(0, rows, rows - 1),
          transition: new Uint8Array(operator.uniform),
          grid_table: operator.gridTable,
          row_scale: operator.rowScale,
          predicted: layout.perState(forward.predicted),
          filtered: layout.perState(forward.filtered),
          smoothed_carry: 4 * rowLength,
          smooth_sums: 4 * rows * states,
          field: 3 * 16 * Math.max(1, jobs) * padded,
        },
        workgroups: [1],
        outputs: ["filtered", "smoothed_carry", "smooth_sums"],
      });

      const smoothed = layout.unplace(outputs.filtered!);
      expect(largestDifference(smoothed, twin)).toBeLessThan(TOLERANCE);
      const carried = layout.unplace(outputs.smoothed_carry!);
      expect(carried).toEqual(smoothed.subarray(0, carried.length));
      const shares = Float64Array.from(
        { length: rows * states },
        (_, i) => twin.subarray(i * bins, (i + 1) * bins).reduce((sum, value) => sum + value, 0),
      );
      expect(largestDifference(outputs.smooth_sums!, shares)).toBeLessThan(TOLERANCE);
    });
  }

  it("treats a state that was impossible as the definition says: it stays impossible", async () => {
    const [problem] = hmmProblems().filter(({ name }) => name === "a track with two states");
    const layout = hmmLayout(problem!);
    const { operator, rowLength, width } = layout;
    const filtered = new Float64Array(2 * width).fill(1 / width);
    const predicted = new Float64Array(3 * width).fill(1 / width);
    // nothing was predicted for bin 3 of row 1, yet rounding left mass in the smoothed row
    predicted[width + 3] = 0;
    const { outputs } = await runKernel(gpu(), {
      spec: smoothSpec,
      constants: hmmConstants(operator.shape),
      buffers: {
        params: hmmSmoothParams(0, 2, 1),
        transition: new Uint8Array(operator.uniform),
        grid_table: operator.gridTable,
        row_scale: operator.rowScale,
        predicted: layout.perState(predicted),
        filtered: layout.perState(filtered),
        smoothed_carry: 4 * rowLength,
        smooth_sums: 4 * 2 * operator.shape.states,
        field: 3 * 16 * operator.shape.jobs * operator.shape.padded,
      },
      workgroups: [1],
      outputs: ["filtered"],
    });
    const twin = hmmSmooth(
      { filtered, predicted },
      referenceTransition(problem!.grid, problem!.model, 8),
    );
    expect(largestDifference(layout.unplace(outputs.filtered!), twin)).toBeLessThan(TOLERANCE);
  });
});
