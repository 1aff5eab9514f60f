import { beforeEach, describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { attention, attentionOptions } from "../../src/probes/attention.ts";
import { gatedBipolar, gatedBipolarOptions } from "../../src/probes/gated_bipolar.ts";
import type { TrainedKind, TrainingSettings } from "../../src/probes/trained_kind.ts";
import { mlp, mlpOptions } from "../../src/probes/mlp.ts";
import { multimax, multimaxOptions } from "../../src/probes/multimax.ts";
import {
  positionalAttention,
  positionalAttentionOptions,
} from "../../src/probes/positional_attention.ts";
import { rollingAttention, rollingAttentionOptions } from "../../src/probes/rolling_attention.ts";
import { softAttention, softAttentionOptions } from "../../src/probes/soft_attention.ts";
import type { ProbeName, Sizes } from "../reference/probes.ts";
import { batchOf, createProbe, flat, logitsOf, lossOf, train } from "../reference/probes.ts";
import { useGpu } from "../support/gpu.ts";
import { golden, GOLDEN_PROBES, goldenRun, mostDifference } from "../support/probe_goldens.ts";
import type { GoldenRun } from "../support/probe_goldens.ts";
import type { ProbeRun } from "../support/probe_runs.ts";
import { gradientOn, logitsOn, trainOn } from "../support/probe_runs.ts";
import { seeded } from "../support/random.ts";
import { sharedDataMissing, sharedJson } from "../support/shared_data.ts";

const gpu = useGpu();

// no options but those that twins know by other names
const KINDS: Record<ProbeName, (sizes: Sizes) => { kind: TrainedKind; settings: object }> = {
  mlp: ({ hidden, gelu }) => ({
    kind: mlp,
    settings: mlpOptions.check({ hidden, activation: gelu ? "gelu" : "relu" }),
  }),
  attention: ({ hidden }) => ({
    kind: attention,
    settings: attentionOptions.check({ hidden, dropout: 0 }),
  }),
  multimax: ({ hidden, heads }) => ({
    kind: multimax,
    settings: multimaxOptions.check({ hidden, heads, dropout: 0 }),
  }),
  gated: ({ hidden, gates, sparse, orthogonal }) => ({
    kind: gatedBipolar,
    settings: gatedBipolarOptions.check({
      ...{ hidden, gates, dropout: 0, sparsity: sparse, orthogonality: orthogonal },
    }),
  }),
  soft: ({ hidden, heads }) => ({
    kind: softAttention,
    settings: softAttentionOptions.check({ hidden, heads, dropout: 0 }),
  }),
  rollattn: ({ hidden, heads, window }) => ({
    kind: rollingAttention,
    settings: rollingAttentionOptions.check({ hidden, heads, window, dropout: 0 }),
  }),
  posattn: ({ heads }) => ({
    kind: positionalAttention,
    settings: positionalAttentionOptions.check({ heads }),
  }),
};

/** A run of a probe over batches, as the device takes it. */
function runOf(
  { probe, sizes }: { probe: ProbeName; sizes: Sizes },
  { values, features, offsets, detected, labels, batches }: GoldenRun,
  parameters: ArrayLike<number>,
): ProbeRun {
  const rows = fromTypedArray(Float32Array.from(values), [values.length / features, features]);
  const { kind, settings } = KINDS[probe](sizes);
  return {
    kind,
    settings: settings as TrainingSettings,
    data: probe === "mlp" ? rows : { rows, offsets, detected },
    ...{ labels, parameters, batches, shapes: createProbe(probe, sizes).shapes },
  };
}

const norm = (values: ArrayLike<number>) =>
  Math.sqrt(
    Array.prototype.reduce.call(
      values,
      (sum, x) => sum as number + (x as number) ** 2,
      0,
    ) as number,
  );

/** Samples of our own: one has no tokens, one none that count. */
function drawn(probe: ProbeName, features: number): GoldenRun {
  const random = seeded(31);
  const lengths = probe === "mlp"
    ? Array(19).fill(1)
    : [5, 3, 0, 2, 7, 12, 1, 4, 9, 6, 2, 3, 70, 8];
  const offsets = Float64Array.from(
    [0, ...lengths].map((_, i, all) =>
      all.slice(0, i + 1).reduce((sum: number, length: number) => sum + length, 0)
    ),
  );
  const rows = offsets.at(-1)!;
  const detected = Uint8Array.from(
    { length: rows },
    () => probe === "mlp" || random() < 0.7 ? 1 : 0,
  );
  if (probe !== "mlp") detected.fill(0, offsets[3], offsets[4]);
  const samples = [...lengths.keys()];
  return {
    values: Float64Array.from({ length: rows * features }, () => Math.fround(4 * random() - 2)),
    ...{ features, offsets, detected },
    labels: Float64Array.from(samples, () => random() < 0.5 ? 1 : 0),
    batches: [samples.slice(0, 5), samples.slice(5, 9), samples.slice(9)],
  };
}

const OWN: Record<ProbeName, Sizes> = {
  mlp: { features: 9, hidden: 10, gelu: true },
  attention: { features: 5, hidden: 7 },
  multimax: { features: 5, hidden: 9, heads: 3 },
  gated: { features: 5, hidden: 6, gates: 5, sparse: 0.01, orthogonal: 0.02 },
  soft: { features: 5, hidden: 6, heads: 3 },
  rollattn: { features: 5, hidden: 6, heads: 2, window: 4 },
  posattn: { features: 5, heads: 3 },
};

describe("trained probes do on the device what their twins do in f64", () => {
  for (const [probe, sizes] of Object.entries(OWN) as [ProbeName, Sizes][]) {
    it(`${probe}: logits, gradient, losses and parameters`, async () => {
      const own = drawn(probe, sizes.features);
      // a hidden unit of attention that is active for all tokens shifts their scores alike, and Adam follows
      // the rounding of its bias; with these numbers none is
      const random = seeded(28);
      const { parameters: declared } = createProbe(probe, sizes);
      const count = flat(declared, "values").length;
      const parameters = Float32Array.from({ length: count }, () => random() - 0.5);
      const run = runOf({ probe, sizes }, own, parameters);
      const batches = own.batches.map((chosen) =>
        batchOf(own.values, { ...own, chosen, padded: false })
      );
      const all = batchOf(own.values, {
        ...own,
        chosen: [...own.labels.keys()],
        padded: false,
      });
      const model = createProbe(probe, sizes, parameters);
      expect(mostDifference(await logitsOn(gpu(), run), logitsOf(model, all))).toBeLessThan(1e-5);
      lossOf(model, batches[0]!);
      const gradient = flat(model.parameters, "gradient");
      const found = await gradientOn(gpu(), run);
      expect(norm(found.map((value, i) => value - gradient[i]!))).toBeLessThan(
        1e-5 * norm(gradient),
      );
      const { learningRate: rate, weightDecay: decay } = run.settings;
      const steps = Array.from({ length: 7 }, (_, i) => batches[i % 3]!);
      const wanted = train(createProbe(probe, sizes, parameters), steps, { rate, decay });
      const trained = await trainOn(gpu(), run, 7);
      expect(mostDifference(trained.losses, wanted.losses)).toBeLessThan(1e-5);
      expect(mostDifference(trained.parameters, wanted.parameters.at(-1)!)).toBeLessThan(1e-5);
    });
  }
});

const missing = sharedDataMissing();

describe("trained probes on the device beside recorded runs", () => {
  beforeEach((context) => {
    if (missing) context.skip(missing);
  });

  for (const [name, own] of Object.entries(GOLDEN_PROBES)) {
    it(`${name}: logits, loss, gradient and parameters of 12 steps`, async () => {
      const recorded = await goldenRun(name);
      const run = {
        ...runOf(own, recorded, await golden(`${name}_params0`)),
        padded: own.probe !== "mlp",
      };
      expect(run.shapes).toEqual(await sharedJson(`golden/probes/${name}_param_shapes.json`));
      const whole = [[...recorded.labels.keys()]];
      const logits = await logitsOn(gpu(), { ...run, batches: whole });
      expect(mostDifference(logits, await golden(`${name}_logits0`))).toBeLessThan(1e-5);
      const gradient = await golden(`${name}_grad_batch0`);
      const found = await gradientOn(gpu(), run);
      expect(norm(found.map((value, i) => value - gradient[i]!))).toBeLessThan(
        1e-4 * norm(gradient),
      );
      const { losses, parameters } = await trainOn(gpu(), run, 12);
      expect(mostDifference(losses, await golden(`${name}_losses`))).toBeLessThan(1e-5);
      expect(mostDifference(parameters, await golden(`${name}_params12`))).toBeLessThan(1e-5);
      const after = await logitsOn(gpu(), { ...run, parameters, batches: whole });
      expect(mostDifference(after, await golden(`${name}_logits12`))).toBeLessThan(1e-5);
    });
  }
});
