import { describe, expect, it } from "vitest";
import { contFrag } from "../../src/hmm/decoder.ts";
import { boxGrid, largestDifference, mixedStates } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { sharedDataMissing, sharedJson } from "../support/shared_data.ts";
import type { LogProblem } from "./log_space.ts";
import { logInitialOf, logPoisson, logSpace, logSumExp, logTransitionOf } from "./log_space.ts";

/** What filter and smoother mean: the weights of all paths, each a logarithm, added up. */
function allPaths({ logInitial, logTransition, logLikelihoods, missing }: LogProblem) {
  const bins = logInitial.length;
  const rows = logLikelihoods.length / bins;
  const weigh = (length: number) => {
    const weights: { path: number[]; weight: number }[] = [];
    for (let code = 0; code < bins ** length; code++) {
      const path = Array.from({ length }, (_, i) => Math.floor(code / bins ** i) % bins);
      let weight = logInitial[path[0]!]!;
      path.forEach((bin, row) => {
        if (row > 0) weight += logTransition[path[row - 1]! * bins + bin]!;
        if (!missing?.[row]) weight += logLikelihoods[row * bins + bin]!;
      });
      weights.push({ path, weight });
    }
    return weights;
  };
  const at = (weights: ReturnType<typeof weigh>, row: number) => {
    const total = logSumExp(weights.map(({ weight }) => weight));
    return Array.from(
      { length: bins },
      (_, bin) =>
        Math.exp(
          logSumExp(weights.filter(({ path }) => path[row] === bin).map(({ weight }) => weight)) -
            total,
        ),
    );
  };
  const whole = weigh(rows);
  const each = Array.from({ length: rows }, (_, row) => row);
  return {
    filtered: each.flatMap((row) => at(weigh(row + 1), row)),
    smoothed: each.flatMap((row) => at(whole, row)),
    marginalLogLikelihood: logSumExp(whole.map(({ weight }) => weight)),
  };
}

/** A model of so many bins whose logarithms spread over `spread` nats, some of them impossible. */
function wildProblem(bins: number, rows: number, spread: number): LogProblem {
  const random = seeded(1 + bins * 100 + rows * 10 + spread);
  const simplex = (holes: number) => {
    const weights = Array.from({ length: bins }, () => -spread * random());
    // never the first: something must be possible
    for (let i = 1; i < bins; i++) if (random() < holes) weights[i] = -Infinity;
    const total = logSumExp(weights);
    return weights.map((weight) => weight - total);
  };
  return {
    logInitial: Float64Array.from(simplex(0)),
    logTransition: Float64Array.from(Array.from({ length: bins }, () => simplex(0.3)).flat()),
    logLikelihoods: Float64Array.from(
      { length: rows * bins },
      (_, i) => i % bins > 0 && random() < 0.2 ? -Infinity : 3 * spread * (random() - 0.5),
    ),
    missing: Array.from({ length: rows }, () => random() < 0.2 ? 1 : 0),
  };
}

describe("logSpace()", () => {
  for (const [bins, rows] of [[1, 1], [2, 1], [1, 5], [2, 7], [3, 5], [4, 4]] as const) {
    for (const spread of [1, 100, 20_000]) {
      it(`equals all paths: ${bins} bins, ${rows} rows, ${spread} nats`, () => {
        const problem = wildProblem(bins, rows, spread);
        const got = logSpace(problem);
        const wanted = allPaths(problem);
        expect(got.impossibleRows).toEqual([]);
        expect(largestDifference(got.filtered, wanted.filtered)).toBeLessThan(1e-9);
        expect(largestDifference(got.smoothed, wanted.smoothed)).toBeLessThan(1e-9);
        const apart = got.marginalLogLikelihood - wanted.marginalLogLikelihood;
        expect(Math.abs(apart)).toBeLessThan(1e-9 * (1 + spread));
      });
    }
  }

  const [NO, log] = [-Infinity, Math.log];

  it("keeps the prediction where a row is impossible, and counts the row", () => {
    const { filtered, smoothed, logEvidence, impossibleRows, marginalLogLikelihood } = logSpace({
      logInitial: Float64Array.of(log(0.25), log(0.75), NO),
      logTransition: Float64Array.of(0, NO, NO, log(0.5), log(0.5), NO, NO, NO, 0),
      // nothing; only where nothing can be; twice as likely in bin 1
      logLikelihoods: Float64Array.of(NO, NO, NO, NO, NO, 5, 0, log(2), 7),
    });
    expect(impossibleRows).toEqual([0, 1]);
    expect([...logEvidence.subarray(0, 2), marginalLogLikelihood]).toEqual([NO, NO, NO]);
    // prediction of the last row: 0.8125, 0.1875
    expect(logEvidence[2]).toBeCloseTo(log(0.8125 + 2 * 0.1875), 12);
    const last = [0.8125 / 1.1875, 0.375 / 1.1875, 0];
    const wanted = [0.25, 0.75, 0, 0.625, 0.375, 0, ...last];
    expect(largestDifference(filtered, wanted)).toBeLessThan(1e-12);
    // of rows 0 and 1 known only through row 2: 0.75 (0.25 x 2 + 0.75), and so on
    const [first, second] = [0.25 + 0.75 * 1.25, 0.625 + 0.375 * 1.5].map((sum) => 1 / sum);
    const backward = [0.25 * first!, 0.9375 * first!, 0, 0.625 * second!, 0.5625 * second!, 0];
    expect(largestDifference(smoothed, [...backward, ...last])).toBeLessThan(1e-12);
  });

  it("tells how deep the filter had held what later rows reveal", () => {
    const problem = {
      logInitial: Float64Array.of(log(0.5), log(0.5)),
      logTransition: Float64Array.of(0, NO, NO, 0),
      logLikelihoods: Float64Array.of(0, -5000, 0, -4000, -4600, 0, -4500, 0),
    };
    expect(logSpace(problem).depth).toBeCloseTo(9000, 9);
    const four = (...row: number[]) => [...row, ...row, ...row, ...row];
    logSpace(problem).smoothed.forEach((p, i) => {
      expect(Math.log(p)).toBeCloseTo(four(-100, 0)[i]!, 9);
    });
    const forgetful = logSpace({ ...problem, range: 8999 });
    expect([...forgetful.filtered.subarray(6)]).toEqual([1, 0]);
    expect(forgetful.marginalLogLikelihood).toBeCloseTo(log(0.5) - 9100, 9);
    expect([...logSpace({ ...problem, range: 9001 }).smoothed][1]).toBe(1);
    // a row may say more than the range holds
    const loud = logSpace({ ...problem, logLikelihoods: Float64Array.of(0, -7000), range: 6000 });
    expect([...loud.filtered]).toEqual([1, 0]);
  });

  it("agrees with the published cases of one row", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const { conditioning } = await sharedJson("golden/decoder-vectors/vectors.json") as {
      conditioning: Record<"prior" | "log_likelihood" | "posterior", (number | string)[]>[];
    };
    expect(conditioning.length).toBeGreaterThanOrEqual(6);
    const numbers = (values: unknown) =>
      Float64Array.from([values].flat(), (value) => value === "-inf" ? NO : Number(value));
    for (const vector of conditioning as Record<string, unknown>[]) {
      const prior = numbers(vector.prior);
      const got = logSpace({
        logInitial: prior.map(Math.log),
        logTransition: new Float64Array(prior.length ** 2).fill(NO),
        logLikelihoods: numbers(vector.log_likelihood),
      });
      const wanted = numbers(vector.posterior);
      // the two that upstream published are f32
      expect(largestDifference(got.filtered, wanted), `${vector.name}`).toBeLessThan(2e-7);
      const [norm] = numbers(vector.log_norm);
      if (norm === NO) expect(got.logEvidence[0]).toBe(NO);
      else expect(got.logEvidence[0]! / norm!, `${vector.name}`).toBeCloseTo(1, 6);
    }
  });

  it("agrees with the enumerated model of five bins in two states", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const { em_counts: wanted } = await sharedJson("golden/decoder-vectors/vectors.json") as {
      em_counts: {
        state_ind: number[];
        continuous: number[][];
        discrete: number[][];
        initial: number[];
        log_likelihood: number[][];
        filtered: number[][];
        smoothed: number[][];
        log_evidence: number;
      };
    };
    const { state_ind: state, continuous, discrete } = wanted;
    const got = logSpace({
      logInitial: Float64Array.from(wanted.initial, Math.log),
      logTransition: Float64Array.from(
        continuous.flatMap((row, i) =>
          row.map((value, j) => log(value * discrete[state[i]!]![state[j]!]!))
        ),
      ),
      logLikelihoods: Float64Array.from(wanted.log_likelihood.flat()),
    });
    expect(largestDifference(got.filtered, wanted.filtered.flat())).toBeLessThan(1e-12);
    expect(largestDifference(got.smoothed, wanted.smoothed.flat())).toBeLessThan(1e-12);
    expect(Math.abs(got.marginalLogLikelihood - wanted.log_evidence)).toBeLessThan(1e-12);
  });
});

describe("models in logarithms", () => {
  it("have rows that sum to 1, and steps within 8 sigma along each axis only", () => {
    const grids = [boxGrid([1]), boxGrid([23], (_, y) => y < 6 || y > 16), boxGrid([5, 4])];
    for (const grid of grids) {
      for (const model of [contFrag({ movementVar: 0.8 }), mixedStates()]) {
        const bins = model.names.length * grid.interiorIndex.length;
        const transition = logTransitionOf(grid, model);
        for (let row = 0; row < bins; row++) {
          expect(logSumExp(transition.subarray(row * bins, (row + 1) * bins))).toBeCloseTo(0, 12);
        }
        expect(logSumExp(logInitialOf(grid, model))).toBeCloseTo(0, 12);
      }
    }
    const track = boxGrid([23]);
    const slow = { ...mixedStates(), discreteTransition: [[1, 0, 0], [0, 1, 0], [0, 0, 1]] };
    const transition = logTransitionOf(track, slow);
    // 8 sigma of variance 0.8 are 7.2 bins
    const reached = [...transition.subarray(11 * 69, 12 * 69)].flatMap((value, bin) =>
      value > -Infinity ? [bin] : []
    );
    expect(reached).toEqual(Array.from({ length: 15 }, (_, i) => 4 + i));
    const steps = transition[11 * 69 + 13]! - transition[11 * 69 + 11]!;
    expect(steps).toBeCloseTo(-(2 ** 2) / (2 * 0.8), 6);
  });

  it("weigh spikes as Poisson counts, the same in every state", () => {
    const got = logPoisson(
      Float64Array.of(0.5, 1, 2, 0.25),
      [new Map([[0, 2], [1, 1]]), new Map()],
      { interior: 2, states: 2 },
    );
    const row = [2 * Math.log(0.5) + Math.log(2) - 2.5, Math.log(0.25) - 1.25];
    expect(largestDifference(got, [...row, ...row, -2.5, -1.25, -2.5, -1.25])).toBeLessThan(1e-14);
  });
});
