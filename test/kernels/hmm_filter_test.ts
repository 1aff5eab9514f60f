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
  wideBits,
} from "../support/hmm_problem.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// of logarithms, as digits of probabilities: a row takes some tens of roundings of 6e-8
const TOLERANCE = 1e-6;
// below 2^-128 a number keeps 18 bits, and rounds by 2e-6 in every row
const DEEP_TOLERANCE = 2e-5;

const problems = hmmProblems().flatMap((problem) =>
  [8, 300, 2500].map((depth) => ({ ...problem, depth }))
);

describe("hmm_filter", () => {
  for (const { depth, ...problem } of problems) {
    it(`agrees with its twin on ${problem.name}, likelihoods down to e^-${depth}`, async () => {
      const { grid, model, rows } = problem;
      const layout = hmmLayout(problem);
      const { operator, bins } = layout;
      const { states } = operator.shape;
      const logLikelihoods = randomLogLikelihoods(rows, bins, 11, depth);
      const twin = hmmFilter({
        initial: layout.initial,
        transition: referenceTransition(grid, model, 8),
        logLikelihoods: overStates(logLikelihoods, bins, states),
      });

      const { outputs } = await runKernel(gpu(), filterCase(layout, logLikelihoods));

      const deep = depth > 8 ? DEEP_TOLERANCE : TOLERANCE;
      const filtered = layout.unplace(outputs.filtered!);
      const predicted = layout.unplace(outputs.predicted!);
      expect(largestDifference(filtered.map(Math.exp), twin.filtered)).toBeLessThan(TOLERANCE * 4);
      expect(largestDifference(filtered, twin.logFiltered)).toBeLessThan(deep);
      expect(largestDifference(predicted, twin.logPredicted)).toBeLessThan(deep);
      for (let row = 0; row < rows; row++) {
        const width = FILTER_SUMS_HEAD + states;
        const [shift, inverse, ...shares] = outputs.filter_sums!.subarray(
          row * width,
          (row + 1) * width,
        );
        expect(Math.abs(logNormaliser(shift!, inverse!) - twin.logNormalisers[row]!))
          .toBeLessThan(deep);
        shares.forEach((share, state) => {
          const first = (row * states + state) * bins;
          const wanted = twin.filtered.subarray(first, first + bins)
            .reduce((sum, value) => sum + value, 0);
          expect(Math.abs(share - wanted)).toBeLessThan(TOLERANCE * 4);
        });
      }
    });
  }

  it("takes for each state the likelihood that is its own", async () => {
    for (const problem of hmmProblems().filter(({ model }) => model.names.length > 1)) {
      const layout = hmmLayout(problem);
      const { bins } = layout;
      const { states } = layout.operator.shape;
      const { rows } = problem;
      // the first and the last see differently
      const likelihoodOf = Array.from(
        { length: states },
        (_, state) => state === states - 1 ? 0 : 1,
      );
      for (const depth of [8, 2500]) {
        const logLikelihoods = randomLogLikelihoods(2 * rows, bins, 23, depth);
        const own = new Float64Array(rows * states * bins);
        for (let i = 0; i < rows * states; i++) {
          const from = 2 * Math.floor(i / states) + likelihoodOf[i % states]!;
          own.set(logLikelihoods.subarray(from * bins, (from + 1) * bins), i * bins);
        }
        const twin = hmmFilter({
          initial: layout.initial,
          transition: referenceTransition(problem.grid, problem.model, 8),
          logLikelihoods: own,
        });
        const { outputs } = await runKernel(
          gpu(),
          filterCase(layout, logLikelihoods, 1, likelihoodOf),
        );
        const filtered = layout.unplace(outputs.filtered!);
        const tolerance = depth > 8 ? DEEP_TOLERANCE : TOLERANCE;
        expect(largestDifference(filtered, twin.logFiltered)).toBeLessThan(tolerance);
      }
    }
  });

  it("keeps the prediction of a row that is impossible, and goes on", async () => {
    for (const problem of hmmProblems().filter(({ rows }) => rows > 2)) {
      const layout = hmmLayout(problem);
      const { bins } = layout;
      const { states } = layout.operator.shape;
      const logLikelihoods = randomLogLikelihoods(problem.rows, bins, 17, 200);
      logLikelihoods.fill(-Infinity, bins, 2 * bins);
      const twin = hmmFilter({
        initial: layout.initial,
        transition: referenceTransition(problem.grid, problem.model, 8),
        logLikelihoods: overStates(logLikelihoods, bins, states),
      });
      const { outputs } = await runKernel(gpu(), filterCase(layout, logLikelihoods));
      const filtered = layout.unplace(outputs.filtered!);
      expect(largestDifference(filtered, twin.logFiltered), problem.name)
        .toBeLessThan(DEEP_TOLERANCE);
      const width = FILTER_SUMS_HEAD + states;
      const [shift, inverse, ...shares] = outputs.filter_sums!.subarray(width, 2 * width);
      expect(logNormaliser(shift!, inverse!)).toBe(-Infinity);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
    }
  });

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
        const own = all.outputs[name]!.subarray(start, start + values.length);
        expect(wideBits(own), name).toEqual(wideBits(values));
      }
    }
  });
});
