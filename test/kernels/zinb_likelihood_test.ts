import { describe, expect, it } from "vitest";
import {
  likelihoodConstants,
  likelihoodParams,
  likelihoodWorkgroups,
} from "../../src/kernels/likelihood_elements.ts";
import * as zinb from "../../src/kernels/zinb_likelihood.ts";
import { zinbLikelihood } from "../reference/zinb_likelihood.ts";
import { useGpu } from "../support/gpu.ts";
import { goldenCase } from "../support/perturbation_goldens.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { sharedDataMissing } from "../support/shared_data.ts";

const gpu = useGpu();

/** Of max(1, |exact|). */
const TOLERANCES = { logLikelihood: 5e-5, byLogMean: 5e-5, byLogDispersion: 2e-5, byLogit: 2e-6 };
type Terms = typeof TOLERANCES;

interface Case {
  x: number;
  mean: number;
  r: number;
  logit: number;
}

async function onDevice(cases: readonly Case[], cells = 1) {
  const [elements, genes] = [cases.length, cases.length / cells];
  const bytes = 4 * elements;
  const { outputs } = await runKernel(gpu(), {
    spec: zinb.zinbLikelihood,
    constants: likelihoodConstants,
    buffers: {
      params: likelihoodParams(elements, genes),
      counts: Float32Array.from(cases, ({ x }) => x),
      means: Float32Array.from(cases, ({ mean }) => mean),
      log_dispersions: Float32Array.from(cases.slice(0, genes), ({ r }) => r),
      zero_logits: Float32Array.from(cases, ({ logit }) => logit),
      ...{ log_likelihood: bytes, by_log_mean: bytes, by_log_dispersion: bytes },
      by_zero_logit: bytes,
    },
    workgroups: likelihoodWorkgroups(elements),
    outputs: ["log_likelihood", "by_log_mean", "by_log_dispersion", "by_zero_logit"],
  });
  return (i: number): Terms => ({
    logLikelihood: outputs.log_likelihood![i]!,
    byLogMean: outputs.by_log_mean![i]!,
    byLogDispersion: outputs.by_log_dispersion![i]!,
    byLogit: outputs.by_zero_logit![i]!,
  });
}

function someCases(count: number, seed: number): Case[] {
  const random = seeded(seed);
  return Array.from({ length: count }, (_, i) => ({
    x: i % 2 === 0 ? 0 : Math.floor(1e4 ** random()),
    mean: Math.fround(1e-6 * 1e10 ** random()),
    r: Math.fround(14 * random() - 7),
    logit: Math.fround(40 * random() - 20),
  }));
}

describe("zinb_likelihood", () => {
  it.each([1, 257, 2000])("agrees with its twin in %d elements", async (elements) => {
    const cases = someCases(elements, elements);
    const terms = await onDevice(cases);
    cases.forEach(({ x, mean, r, logit }, i) => {
      const [own, exact] = [terms(i), zinbLikelihood(x, mean, r, logit)];
      for (const name of Object.keys(TOLERANCES) as (keyof Terms)[]) {
        const error = Math.abs(own[name] - exact[name]) / Math.max(1, Math.abs(exact[name]));
        expect(error, `${name} of ${JSON.stringify(cases[i])}`).toBeLessThan(TOLERANCES[name]);
      }
    });
  });

  it("is finite at the ends of what f32 holds", async () => {
    const cases = [0, 1e-8, 3, 1e6].flatMap((x) =>
      [0, 1, 1e20].flatMap((mean) =>
        [-200, -80, 0, 80, 200].flatMap((logit) => [-70, 0, 70].map((r) => ({ x, mean, r, logit })))
      )
    );
    const terms = await onDevice(cases);
    cases.forEach((one, i) => {
      const own = Object.values(terms(i));
      expect(own.every(Number.isFinite), `${JSON.stringify(one)}: ${own}`).toBe(true);
    });
  });

  it("has the log-likelihoods of the original's decoder", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const golden = await goldenCase("zinb_bn_sigm");
    const x = golden.get("forward", "mixed_x");
    const [cells, genes] = x.shape as [number, number];
    const r = golden.get("params", "module.px_r").values;
    const cases = Array.from(x.values, (count, i) => ({
      x: count,
      mean: golden.get("forward", "px_mu").values[i]!,
      r: r[i % genes]!,
      logit: golden.get("forward", "px_zi_logits").values[i]!,
    }));
    const terms = await onDevice(cases, cells);
    golden.get("forward", "log_prob").values.forEach((exact, i) => {
      const { x, mean, r, logit } = cases[i]!;
      expect(zinbLikelihood(x, mean, r, logit).logLikelihood).toBeCloseTo(exact, 7);
      expect(Math.abs(terms(i).logLikelihood - exact)).toBeLessThan(5e-5 * Math.max(1, -exact));
    });
  });
});

describe("the twin of zinb_likelihood", () => {
  it("has the derivatives that finite differences have", () => {
    const differences = (at: (step: number) => number) => (at(1e-5) - at(-1e-5)) / 2e-5;
    for (const { x, mean, r, logit } of someCases(300, 5)) {
      const at = (dMean: number, dR: number, dLogit: number) =>
        zinbLikelihood(x, mean * Math.exp(dMean), r + dR, logit + dLogit).logLikelihood;
      const own = zinbLikelihood(x, mean, r, logit);
      for (
        const [name, difference] of [
          ["byLogMean", differences((h) => at(h, 0, 0))],
          ["byLogDispersion", differences((h) => at(0, h, 0))],
          ["byLogit", differences((h) => at(0, 0, h))],
        ] as const
      ) {
        const scale = Math.max(1, Math.abs(difference));
        expect(Math.abs(own[name] - difference) / scale, name).toBeLessThan(2e-5);
      }
    }
  });
});
