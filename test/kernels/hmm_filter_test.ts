import { describe, expect, it } from "vitest";
import { FILTER_SUMS_HEAD, logNormaliser } from "../../src/kernels/hmm_filter.ts";
import { hmmFilter } from "../reference/hmm_filter.ts";
import { referenceTransition } from "../reference/transition.ts";
import { useGpu } from "../support/gpu.ts";
import {
  filterCase,
  hmmLayout,
  hmmProblems,
  largestDifference,
  overStates,
  randomLogLikelihoods,
} from "../support/hmm_problem.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// probabilities are at most 1 and a row takes some tens of roundings of 6e-8
const TOLERANCE = 1e-6;

describe("hmm_filter", () => {
  for (const problem of hmmProblems()) {
    it(`agrees with its twin on ${problem.name}`, async () => {
      const { grid, model, rows } = problem;
      const layout = hmmLayout(problem);
      const { operator, bins } = layout;
      const { states } = operator.shape;
      const logLikelihoods = randomLogLikelihoods(rows, bins, 11);
      const twin = hmmFilter({
        initial: layout.initial,
        transition: referenceTransition(grid, model, 8),
        logLikelihoods: overStates(logLikelihoods, bins, states),
      });

      const { outputs } = await runKernel(gpu(), filterCase(layout, logLikelihoods));

      expect(largestDifference(layout.unplace(outputs.filtered!), twin.filtered))
        .toBeLessThan(TOLERANCE);
      expect(largestDifference(layout.unplace(outputs.predicted!), twin.predicted))
        .toBeLessThan(TOLERANCE);
      for (let row = 0; row < rows; row++) {
        const width = FILTER_SUMS_HEAD + states;
        const [norm, inverse, ...shares] = outputs.filter_sums!.subarray(
          row * width,
          (row + 1) * width,
        );
        expect(Math.abs(norm! / twin.normalisers[row]! - 1)).toBeLessThan(TOLERANCE);
        expect(Math.abs(logNormaliser(norm!, inverse!) - Math.log(twin.normalisers[row]!)))
          .toBeLessThan(TOLERANCE);
        shares.forEach((share, state) => {
          const first = (row * states + state) * bins;
          const wanted = twin.filtered.subarray(first, first + bins)
            .reduce((sum, value) => sum + value, 0);
          expect(Math.abs(share - wanted)).toBeLessThan(TOLERANCE);
        });
      }
    });
  }

  it("takes lanes side by side as it takes each alone", async () => {
    const problem = hmmProblems().find(({ name }) => name === "a ring with three states")!;
    const layout = hmmLayout(problem);
    const lanes = 3;
    const together = randomLogLikelihoods(lanes * problem.rows, layout.bins, 13);
    const all = await runKernel(gpu(), filterCase(layout, together, lanes));
    for (let lane = 0; lane < lanes; lane++) {
      const own = together.subarray(
        lane * problem.rows * layout.bins,
        (lane + 1) * problem.rows * layout.bins,
      );
      const alone = await runKernel(gpu(), filterCase(layout, own));
      for (const [name, values] of Object.entries(alone.outputs)) {
        const start = lane * values.length;
        expect(all.outputs[name]!.subarray(start, start + values.length), name).toEqual(values);
      }
    }
  });
});
