import { describe, expect, it } from "vitest";
import { contFrag } from "../../src/hmm/decoder.ts";
import { boxGrid, largestDifference, mixedStates } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { enumeratePaths } from "./enumerate_paths.ts";
import { hmmFilter } from "./hmm_filter.ts";
import { hmmSmooth } from "./hmm_smooth.ts";
import { poissonLikelihood } from "./poisson_likelihood.ts";
import { matrixTransition, referenceTransition } from "./transition.ts";

/** A row of probabilities. */
function simplex(random: () => number, size: number): number[] {
  const weights = Array.from({ length: size }, () => 0.05 + random());
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

describe("the f64 twins", () => {
  for (const [states, rows] of [[1, 1], [2, 1], [1, 5], [2, 6], [3, 5], [4, 4]] as const) {
    it(`equal enumeration of all paths: ${states} states, ${rows} rows`, () => {
      const random = seeded(states * 10 + rows);
      const initial = simplex(random, states);
      const matrix = Array.from({ length: states }, () => simplex(random, states));
      const logLikelihoods = Array.from(
        { length: rows },
        () => Array.from({ length: states }, () => -3 * random()),
      );
      const wanted = enumeratePaths(initial, matrix, logLikelihoods);
      const transition = matrixTransition(matrix);
      const forward = hmmFilter({
        initial: Float64Array.from(initial),
        transition,
        logLikelihoods: Float64Array.from(logLikelihoods.flat()),
      });
      // 1e-15 beside normalisers of about 0.3 leaves a few 1e-15 a row
      expect(largestDifference(forward.filtered, wanted.filtered.flat())).toBeLessThan(1e-12);
      expect(largestDifference(hmmSmooth(forward, transition), wanted.smoothed.flat()))
        .toBeLessThan(1e-12);
      expect(Math.abs(forward.marginalLogLikelihood - wanted.marginalLogLikelihood))
        .toBeLessThan(1e-12);
    });
  }

  it("make transitions whose rows sum to 1 within 1e-10, on any grid", () => {
    const grids = [
      boxGrid([1]),
      boxGrid([17]),
      boxGrid([6, 5], (x, y) => (x + y) % 3 !== 0),
    ];
    for (const grid of grids) {
      for (const model of [contFrag({ movementVar: 1.5 }), mixedStates()]) {
        const transition = referenceTransition(grid, model);
        const ones = new Float64Array(transition.size).fill(1);
        expect(largestDifference(transition.applyTranspose(ones), ones)).toBeLessThan(1e-10);
      }
    }
  });

  it("apply a transition and its transpose to the same matrix", () => {
    const random = seeded(8);
    const transition = referenceTransition(boxGrid([4, 5]), mixedStates());
    const a = Float64Array.from({ length: transition.size }, random);
    const b = Float64Array.from({ length: transition.size }, random);
    const dot = (u: Float64Array, v: Float64Array) => u.reduce((sum, x, i) => sum + x * v[i]!, 0);
    expect(Math.abs(dot(transition.apply(a), b) - dot(a, transition.applyTranspose(b))))
      .toBeLessThan(1e-12);
  });

  it("add up Poisson log-likelihoods as the definition says", () => {
    const rates = Float64Array.of(0.5, 1, 2, 0.25);
    const spikes = { rowStarts: Uint32Array.of(0, 3, 3), units: Uint32Array.of(0, 0, 1) };
    const got = poissonLikelihood(rates, 2, spikes);
    expect(got[0]).toBeCloseTo(2 * Math.log(0.5) + Math.log(2) - 2.5, 12);
    expect(got[1]).toBeCloseTo(Math.log(0.25) - 1.25, 12);
    expect([got[2], got[3]]).toEqual([-2.5, -1.25]);
  });
});
