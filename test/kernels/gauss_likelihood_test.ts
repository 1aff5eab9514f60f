import { describe, expect, it } from "vitest";
import {
  likelihoodConstants,
  likelihoodParams,
  likelihoodWorkgroups,
} from "../../src/kernels/likelihood_elements.ts";
import * as gauss from "../../src/kernels/gauss_likelihood.ts";
import { gaussLikelihood } from "../reference/gauss_likelihood.ts";
import { useGpu } from "../support/gpu.ts";
import { goldenCase } from "../support/perturbation_goldens.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { sharedDataMissing } from "../support/shared_data.ts";

const gpu = useGpu();

interface Case {
  value: number;
  mean: number;
  raw: number;
}

async function onDevice(cases: readonly Case[]) {
  const bytes = 4 * cases.length;
  const { outputs } = await runKernel(gpu(), {
    spec: gauss.gaussLikelihood,
    constants: likelihoodConstants,
    buffers: {
      params: likelihoodParams(cases.length),
      values: Float32Array.from(cases, ({ value }) => value),
      means: Float32Array.from(cases, ({ mean }) => mean),
      raw_variances: Float32Array.from(cases, ({ raw }) => raw),
      ...{ log_likelihood: bytes, by_mean: bytes, by_raw_variance: bytes },
    },
    workgroups: likelihoodWorkgroups(cases.length),
    outputs: ["log_likelihood", "by_mean", "by_raw_variance"],
  });
  return (i: number) => ({
    logLikelihood: outputs.log_likelihood![i]!,
    byMean: outputs.by_mean![i]!,
    byRawVariance: outputs.by_raw_variance![i]!,
  });
}

/** Of max(1, |exact|). */
const TOLERANCE = 3e-6;

describe("gauss_likelihood", () => {
  it.each([1, 257, 2000])("agrees with its twin in %d elements", async (elements) => {
    const random = seeded(elements);
    const cases = Array.from({ length: elements }, () => ({
      value: Math.fround(20 * random() - 10),
      mean: Math.fround(20 * random() - 10),
      raw: Math.fround(40 * random() - 20),
    }));
    const terms = await onDevice(cases);
    cases.forEach(({ value, mean, raw }, i) => {
      const [own, exact] = [terms(i), gaussLikelihood(value, mean, raw)];
      for (const name of ["logLikelihood", "byMean", "byRawVariance"] as const) {
        const error = Math.abs(own[name] - exact[name]) / Math.max(1, Math.abs(exact[name]));
        expect(error, `${name} of ${JSON.stringify(cases[i])}`).toBeLessThan(TOLERANCE);
      }
    });
  });

  it("has the log-likelihoods of the original's decoder", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const golden = await goldenCase("gauss_bn_ln");
    const [values, means, variances, exact] = ["mixed_x", "px_loc", "px_var", "log_prob"].map(
      (name) => golden.get("forward", name).values,
    );
    const cases = Array.from(values!, (value, i) => ({
      value,
      mean: means![i]!,
      raw: Math.log(variances![i]! - 1e-4),
    }));
    const terms = await onDevice(cases);
    exact!.forEach((wanted, i) => {
      const { value, mean, raw } = cases[i]!;
      expect(gaussLikelihood(value, mean, raw).logLikelihood).toBeCloseTo(wanted, 9);
      expect(Math.abs(terms(i).logLikelihood - wanted)).toBeLessThan(1e-5);
    });
  });
});

describe("the twin of gauss_likelihood", () => {
  it("has the derivatives that finite differences have", () => {
    const random = seeded(9);
    for (let i = 0; i < 200; i++) {
      const [value, mean, raw] = [4 * random(), 4 * random(), 6 * random() - 3] as const;
      const own = gaussLikelihood(value, mean, raw);
      const at = (dMean: number, dRaw: number) =>
        gaussLikelihood(value, mean + dMean, raw + dRaw).logLikelihood;
      expect(own.byMean).toBeCloseTo((at(1e-5, 0) - at(-1e-5, 0)) / 2e-5, 4);
      expect(own.byRawVariance).toBeCloseTo((at(0, 1e-5) - at(0, -1e-5)) / 2e-5, 4);
    }
  });
});
