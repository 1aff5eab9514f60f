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
  wideBits,
} from "../support/hmm_problem.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// as for the filter: probabilities of at most 1, some tens of roundings of 6e-8 a row
const TOLERANCE = 1e-6;
// below 2^-128 a number keeps 18 bits, and rounds by 2e-6 in every row
const DEEP_TOLERANCE = 1e-5;

const problems = hmmProblems().flatMap((problem) =>
  [8, 300, 2500].map((depth) => ({ ...problem, depth }))
);

describe("hmm_smooth", () => {
  for (const { depth, ...problem } of problems) {
    it(`agrees with its twin on ${problem.name}, likelihoods down to e^-${depth}`, async () => {
      const { grid, model, rows } = problem;
      const layout = hmmLayout(problem);
      const { operator, bins } = layout;
      const { states } = operator.shape;
      const transition = referenceTransition(grid, model, 8);
      const forward = hmmFilter({
        initial: layout.initial,
        transition,
        logLikelihoods: overStates(randomLogLikelihoods(rows, bins, 12, depth), bins, states),
      });
      const twin = hmmSmooth(forward, transition);
      const tolerance = depth > 8 ? DEEP_TOLERANCE : TOLERANCE;

      const { outputs } = await runKernel(
        gpu(),
        smoothCase(
          layout,
          layout.perState(forward.logFiltered),
          layout.perState(forward.logPredicted),
        ),
      );

      const smoothed = layout.unplace(outputs.filtered!).map(Math.exp);
      expect(largestDifference(smoothed, twin)).toBeLessThan(tolerance);
      const carried = layout.unplace(outputs.smoothed_carry!).map(Math.exp);
      expect(carried).toEqual(smoothed.subarray(0, carried.length));
      const shares = Float64Array.from(
        { length: rows * states },
        (_, i) => twin.subarray(i * bins, (i + 1) * bins).reduce((sum, value) => sum + value, 0),
      );
      expect(largestDifference(outputs.smooth_sums!, shares)).toBeLessThan(tolerance);
    });
  }

  it("treats a state that was impossible as the definition says: it stays impossible", async () => {
    const [problem] = hmmProblems().filter(({ name }) => name === "a track with two states");
    const layout = hmmLayout(problem!);
    const { width } = layout;
    const logFiltered = new Float64Array(2 * width).fill(-Math.log(width));
    const logPredicted = new Float64Array(3 * width).fill(-Math.log(width));
    // nothing was predicted for bin 3 of row 1, yet rounding left mass in the smoothed row
    logPredicted[width + 3] = -Infinity;
    const { outputs } = await runKernel(
      gpu(),
      smoothCase(layout, layout.perState(logFiltered), layout.perState(logPredicted)),
    );
    const twin = hmmSmooth(
      { logFiltered, logPredicted },
      referenceTransition(problem!.grid, problem!.model, 8),
    );
    expect(largestDifference(layout.unplace(outputs.filtered!).map(Math.exp), twin))
      .toBeLessThan(TOLERANCE);
  });

  /** A track where the animal is seen at bin 10, and was all but ruled out at bin 80. */
  function ruledOut() {
    const problem = hmmProblems().find(({ name }) => name === "91 bins of a track")!;
    const layout = hmmLayout(problem);
    const { bins } = layout;
    const transition = referenceTransition(problem.grid, problem.model, 8);
    const logLikelihoods = new Float64Array(2 * bins).fill(-3000);
    logLikelihoods[10] = 0;
    logLikelihoods[80] = -60;
    // the row after turns that round, so that both are as likely
    logLikelihoods[bins + 10] = -60;
    logLikelihoods[bins + 80] = 0;
    const forward = hmmFilter({ initial: layout.initial, transition, logLikelihoods });
    return { layout, bins, transition, forward };
  }

  it("follows mass that was all but ruled out beside mass that was not", async () => {
    const { layout, transition, forward } = ruledOut();
    const twin = hmmSmooth(forward, transition);
    // half of it each, in both rows
    for (const at of [10, 80]) expect(Math.abs(twin[at]! - 0.5)).toBeLessThan(0.01);
    const { outputs } = await runKernel(
      gpu(),
      smoothCase(
        layout,
        layout.perState(forward.logFiltered),
        layout.perState(forward.logPredicted),
      ),
    );
    expect(largestDifference(layout.unplace(outputs.filtered!).map(Math.exp), twin))
      .toBeLessThan(DEEP_TOLERANCE);
  });

  it("leaves out what nothing was predicted for, there too", async () => {
    const { layout, bins, transition, forward } = ruledOut();
    const [logFiltered, logPredicted] = [forward.logFiltered.slice(), forward.logPredicted.slice()];
    logFiltered[bins + 40] = Math.log(0.2);
    logPredicted[bins + 40] = -Infinity;
    const twin = hmmSmooth({ logFiltered, logPredicted }, transition);
    const { outputs } = await runKernel(
      gpu(),
      smoothCase(layout, layout.perState(logFiltered), layout.perState(logPredicted)),
    );
    const smoothed = layout.unplace(outputs.filtered!).map(Math.exp);
    expect(largestDifference(smoothed.subarray(0, bins), twin.subarray(0, bins)))
      .toBeLessThan(DEEP_TOLERANCE);
  });

  it("takes lanes side by side as it takes each alone", async () => {
    const problem = hmmProblems().find(({ name }) => name === "a ring with three states")!;
    const layout = hmmLayout(problem);
    const lanes = 3;
    const likelihoods = randomLogLikelihoods(lanes * problem.rows, layout.bins, 14);
    const { outputs: forward } = await runKernel(gpu(), filterCase(layout, likelihoods, lanes));
    const [filtered, predicted] = [wideBits(forward.filtered!), wideBits(forward.predicted!)];
    const all = await runKernel(gpu(), smoothCase(layout, filtered, predicted, lanes));
    for (let lane = 0; lane < lanes; lane++) {
      const own = (values: Uint32Array) =>
        values.slice(lane * values.length / lanes, (lane + 1) * values.length / lanes);
      const alone = await runKernel(gpu(), smoothCase(layout, own(filtered), own(predicted)));
      for (const [name, values] of Object.entries(alone.outputs)) {
        expect(own(wideBits(all.outputs[name]!)), name).toEqual(wideBits(values));
      }
    }
  });
});
