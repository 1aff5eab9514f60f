import { describe, expect, it } from "vitest";
import { hmmFilter } from "../reference/hmm_filter.ts";
import { hmmSmooth } from "../reference/hmm_smooth.ts";
import { referenceTransition } from "../reference/transition.ts";
import { useGpu } from "../support/gpu.ts";
import {
  filterCase,
  hmmLayout,
  hmmProblems,
  largestDifference,
  overStates,
  randomLogLikelihoods,
  smoothCase,
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
      const { operator, bins } = layout;
      const { states } = operator.shape;
      const transition = referenceTransition(grid, model, 8);
      const forward = hmmFilter({
        initial: layout.initial,
        transition,
        logLikelihoods: overStates(randomLogLikelihoods(rows, bins, 12), bins, states),
      });
      const twin = hmmSmooth(forward, transition);

      const { outputs } = await runKernel(
        gpu(),
        smoothCase(layout, layout.perState(forward.filtered), layout.perState(forward.predicted)),
      );

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
    const { width } = layout;
    const filtered = new Float64Array(2 * width).fill(1 / width);
    const predicted = new Float64Array(3 * width).fill(1 / width);
    // nothing was predicted for bin 3 of row 1, yet rounding left mass in the smoothed row
    predicted[width + 3] = 0;
    const { outputs } = await runKernel(
      gpu(),
      smoothCase(layout, layout.perState(filtered), layout.perState(predicted)),
    );
    const twin = hmmSmooth(
      { filtered, predicted },
      referenceTransition(problem!.grid, problem!.model, 8),
    );
    expect(largestDifference(layout.unplace(outputs.filtered!), twin)).toBeLessThan(TOLERANCE);
  });

  it("takes lanes side by side as it takes each alone", async () => {
    const problem = hmmProblems().find(({ name }) => name === "a ring with three states")!;
    const layout = hmmLayout(problem);
    const lanes = 3;
    const likelihoods = randomLogLikelihoods(lanes * problem.rows, layout.bins, 14);
    const { outputs: forward } = await runKernel(gpu(), filterCase(layout, likelihoods, lanes));
    const { filtered, predicted } = forward;
    const all = await runKernel(gpu(), smoothCase(layout, filtered!, predicted!, lanes));
    for (let lane = 0; lane < lanes; lane++) {
      const own = (values: Float32Array) =>
        values.slice(lane * values.length / lanes, (lane + 1) * values.length / lanes);
      const alone = await runKernel(gpu(), smoothCase(layout, own(filtered!), own(predicted!)));
      for (const [name, values] of Object.entries(alone.outputs)) {
        expect(own(all.outputs[name]!), name).toEqual(values);
      }
    }
  });
});
