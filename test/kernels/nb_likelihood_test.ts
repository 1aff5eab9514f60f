import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import {
  likelihoodConstants,
  likelihoodParams,
  likelihoodWorkgroups,
} from "../../src/kernels/likelihood_elements.ts";
import * as nb from "../../src/kernels/nb_likelihood.ts";
import { digamma, logGamma } from "../reference/gamma.ts";
import { nbLikelihood } from "../reference/nb_likelihood.ts";
import type { Arithmetic } from "../reference/negative_binomial_f32.ts";
import {
  coarseArithmetic,
  exactArithmetic,
  negativeBinomialF32,
} from "../reference/negative_binomial_f32.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";

const gpu = useGpu();

/** Of max(1, |exact|), in f32; and where logarithms and quotients are as coarse as WGSL allows. */
const TOLERANCES = { logLikelihood: 5e-5, byLogMean: 5e-5, byLogDispersion: 2e-5 };
const COARSE = { logLikelihood: 5e-4, byLogMean: 5e-4, byLogDispersion: 3e-5 };

type Terms = typeof TOLERANCES;
interface Case {
  x: number;
  mean: number;
  r: number;
}

/** Counts and mixtures of them, means and dispersions, over all that data have and far beyond. */
function someCases(count: number, seed: number): Case[] {
  const random = seeded(seed);
  const spread = (low: number, high: number) => low * (high / low) ** random();
  return Array.from({ length: count }, (_, i) => {
    const x = i % 4 === 0 ? 0 : i % 4 === 1 ? spread(1e-3, 1e4) : Math.floor(spread(1, 1e5));
    // a third near the count, where the deviance is small
    const mean = i % 3 === 0 && x > 0 ? x * (0.5 + random()) : spread(1e-7, 1e5);
    return {
      x: Math.fround(x),
      mean: Math.fround(mean),
      r: Math.fround(Math.log(spread(1e-3, 1e4))),
    };
  });
}

function worst(cases: readonly Case[], terms: (i: number) => Terms): Terms {
  const most = { logLikelihood: 0, byLogMean: 0, byLogDispersion: 0 };
  cases.forEach(({ x, mean, r }, i) => {
    const [own, exact] = [terms(i), nbLikelihood(x, mean, r)];
    for (const name of Object.keys(most) as (keyof Terms)[]) {
      const error = Math.abs(own[name] - exact[name]) / Math.max(1, Math.abs(exact[name]));
      // NaN is the worst of all
      if (!(error <= most[name])) most[name] = error;
    }
  });
  return most;
}

function expectWithin(errors: Terms, tolerances: Terms): void {
  for (const name of Object.keys(tolerances) as (keyof Terms)[]) {
    expect(errors[name], `${name} ${errors[name]}`).toBeLessThan(tolerances[name]);
  }
}

/** Every case as a gene of its own. */
async function onDevice(cases: readonly Case[], cells = 1) {
  const genes = cases.length / cells;
  const { outputs } = await runKernel(gpu(), {
    spec: nb.nbLikelihood,
    constants: likelihoodConstants,
    buffers: {
      params: likelihoodParams(cases.length, genes),
      counts: Float32Array.from(cases, ({ x }) => x),
      means: Float32Array.from(cases, ({ mean }) => mean),
      log_dispersions: Float32Array.from(cases.slice(0, genes), ({ r }) => r),
      ...{ log_likelihood: 4 * cases.length, by_log_mean: 4 * cases.length },
      by_log_dispersion: 4 * cases.length,
    },
    workgroups: likelihoodWorkgroups(cases.length),
    outputs: ["log_likelihood", "by_log_mean", "by_log_dispersion"],
  });
  return (i: number): Terms => ({
    logLikelihood: outputs.log_likelihood![i]!,
    byLogMean: outputs.by_log_mean![i]!,
    byLogDispersion: outputs.by_log_dispersion![i]!,
  });
}

const onHost = (cases: readonly Case[], arithmetic: Arithmetic) => (i: number) => {
  const { x, mean, r } = cases[i]!;
  return negativeBinomialF32(arithmetic, x, mean, r);
};

describe("nb_likelihood", () => {
  it.each([1, 257, 3000])("agrees with its twin in %d elements", async (elements) => {
    const cases = someCases(elements, elements);
    expectWithin(worst(cases, await onDevice(cases)), TOLERANCES);
  });

  it("takes the dispersion of the gene", async () => {
    const cases = someCases(5 * 67, 3);
    cases.forEach((one, i) => one.r = cases[i % 67]!.r);
    expectWithin(worst(cases, await onDevice(cases, 5)), TOLERANCES);
  });

  it("is finite at the ends of what f32 holds", async () => {
    const ends = [0, 1e-30, 1e-9, 1e-8, 2e-8, 1, 1e7, 4e9];
    const cases = ends.flatMap((x) =>
      [0, 1e-38, 1, 1e30].flatMap((mean) => [-80, -60, 0, 60, 80].map((r) => ({ x, mean, r })))
    );
    const terms = await onDevice(cases);
    cases.forEach((one, i) => {
      const own = Object.values(terms(i));
      expect(own.every(Number.isFinite), `${JSON.stringify(one)}: ${own}`).toBe(true);
    });
  });

  it("holds in f32 and under the worst arithmetic that WGSL allows", () => {
    const cases = someCases(4000, 11);
    expectWithin(worst(cases, onHost(cases, exactArithmetic)), TOLERANCES);
    expectWithin(worst(cases, onHost(cases, coarseArithmetic(seeded(5)))), COARSE);
  });

  it("agrees with a table that was computed in 40 digits", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const file = await sharedFile("golden/perturbation/nb_table.npy");
    const table = await readAll(await openArray(file)) as Float64Array;
    const cases = Array.from({ length: table.length / 7 }, (_, i) => ({
      x: table[7 * i]!,
      mean: table[7 * i + 1]!,
      r: Math.log(table[7 * i + 2]!),
    }));
    const exact = (i: number): Terms => ({
      logLikelihood: table[7 * i + 3]!,
      byLogDispersion: table[7 * i + 4]!,
      byLogMean: table[7 * i + 5]!,
    });
    const errors = (terms: (i: number) => Terms, name: keyof Terms) =>
      Math.max(...cases.map((_, i) => {
        const [own, wanted] = [terms(i)[name], exact(i)[name]];
        return Math.abs(own - wanted) / Math.max(1, Math.abs(wanted));
      }));
    const device = await onDevice(cases);
    const coarse = onHost(cases, coarseArithmetic(seeded(7)));
    const twin = (i: number) => nbLikelihood(cases[i]!.x, cases[i]!.mean, cases[i]!.r);
    for (const name of Object.keys(TOLERANCES) as (keyof Terms)[]) {
      expect(errors(twin, name), `twin, ${name}`).toBeLessThan(1e-9);
      expect(errors(device, name), `device, ${name}`).toBeLessThan(TOLERANCES[name]);
      expect(errors(coarse, name), `coarse, ${name}`).toBeLessThan(COARSE[name]);
    }
  });
});

describe("the twin of nb_likelihood", () => {
  it("sums to 1 over all counts", () => {
    for (const [mean, r] of [[0.01, -3], [3, 0], [20, 4]] as const) {
      let sum = 0;
      for (let x = 0; x < 4000; x++) sum += Math.exp(nbLikelihood(x, mean, r).logLikelihood);
      // what scvi-tools adds to means
      expect(Math.abs(sum - 1)).toBeLessThan(1e-7);
    }
  });

  it("has the derivatives that finite differences have", () => {
    const differences = (at: (step: number) => number) => {
      const [near, far] = [1e-4, 2e-4].map((h) => (at(h) - at(-h)) / (2 * h));
      // Richardson: the error is of the fourth order
      return (4 * near! - far!) / 3;
    };
    for (const { x, mean, r } of someCases(400, 2)) {
      const own = nbLikelihood(x, mean, r);
      const byMean = differences((h) => nbLikelihood(x, mean * Math.exp(h), r).logLikelihood);
      const byR = differences((h) => nbLikelihood(x, mean, r + h).logLikelihood);
      // log-gammas of 1e6 have 1e-10 of f64 left
      const tolerance = 1e-5 * Math.max(1, x / 1000);
      expect(Math.abs(own.byLogMean - byMean)).toBeLessThan(
        tolerance * Math.max(1, Math.abs(byMean)),
      );
      expect(Math.abs(own.byLogDispersion - byR)).toBeLessThan(
        tolerance * Math.max(1, Math.abs(byR)),
      );
    }
  });

  it("stands on a gamma function that is exact", () => {
    let factorial = 1;
    for (let n = 1; n < 20; n++) {
      expect(logGamma(n)).toBeCloseTo(Math.log(factorial), 12);
      factorial *= n;
    }
    expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.PI) / 2, 13);
    expect(logGamma(1e-10)).toBeCloseTo(-Math.log(1e-10), 8);
    // of 1: minus Euler's constant
    expect(digamma(1)).toBeCloseTo(-0.5772156649015329, 13);
    expect(digamma(1e4)).toBeCloseTo(9.210290371142856, 12);
  });
});
