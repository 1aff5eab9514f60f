import { beforeEach, describe, expect, it } from "vitest";
import { seeded } from "../support/random.ts";
import { golden, GOLDEN_PROBES, goldenRun, mostDifference } from "../support/probe_goldens.ts";
import { sharedDataMissing, sharedJson } from "../support/shared_data.ts";
import { normalProbability } from "./probe_layers.ts";
import type { Batch, ProbeName, Sizes } from "./probes.ts";
import { batchOf, createProbe, flat, logitsOf, lossOf, PROBE_NAMES, train } from "./probes.ts";

const most = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  return mostDifference(a, b);
};

/** Small samples of our own: one of them empty, one without a row that counts. */
function drawn(features: number, seed = 3): Batch {
  const random = seeded(seed);
  const lengths = [5, 3, 0, 2, 7];
  const offsets = lengths.reduce((sums, length) => [...sums, sums.at(-1)! + length], [0]);
  const rows = Float64Array.from({ length: offsets.at(-1)! * features }, () => 4 * random() - 2);
  const detected = Uint8Array.from({ length: offsets.at(-1)! }, () => random() < 0.7 ? 1 : 0);
  detected.fill(0, offsets[3], offsets[4]);
  detected[0] = 1;
  return batchOf(rows, {
    features,
    offsets,
    detected,
    labels: [1, 0, 1, 0, 1],
    chosen: [4, 0, 1, 3, 2],
  });
}

const OWN: Record<ProbeName, Sizes> = {
  mlp: { features: 3, hidden: 4, gelu: true },
  attention: { features: 3, hidden: 2 },
  multimax: { features: 3, hidden: 4, heads: 2 },
  gated: { features: 3, hidden: 4, gates: 2, sparse: 0.1, orthogonal: 0.1 },
  soft: { features: 3, hidden: 4, heads: 2 },
  rollattn: { features: 3, hidden: 4, heads: 2, window: 3 },
  posattn: { features: 3, heads: 2 },
};

describe("the twins of trained probes", () => {
  for (const probe of PROBE_NAMES) {
    it(`${probe} has the gradient that differences have`, () => {
      const random = seeded(7);
      const count = flat(createProbe(probe, OWN[probe]).parameters, "values").length;
      const parameters = Float64Array.from({ length: count }, () => 2 * random() - 1);
      const batch = probe === "mlp"
        ? batchOf(Float64Array.from({ length: 15 }, () => 2 * random() - 1), {
          features: 3,
          offsets: [0, 1, 2, 3, 4, 5],
          labels: [1, 0, 1, 0, 1],
          chosen: [0, 1, 2, 3, 4],
        })
        : drawn(3);
      const model = createProbe(probe, OWN[probe], parameters);
      lossOf(model, batch);
      const gradient = flat(model.parameters, "gradient");
      const step = 1e-5;
      for (let i = 0; i < count; i++) {
        const at = (shift: number) => {
          const moved = parameters.slice();
          moved[i]! += shift;
          return lossOf(createProbe(probe, OWN[probe], moved), batch);
        };
        const slope = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
        expect(Math.abs(slope - gradient[i]!)).toBeLessThan(1e-8 * (1 + Math.abs(slope)));
      }
    });
  }

  it("has the normal distribution to the last digits", () => {
    // by math.erfc of Python
    for (
      const [x, p] of [
        [0, 0.5],
        [1, 0.8413447460685429],
        [-2.5, 0.006209665325776139],
        [3.99, 0.9999669633523706],
        [-4.01, 3.035937392661827e-05],
        [-8, 6.220960574271819e-16],
      ] as const
    ) expect(Math.abs(normalProbability(x) / p - 1)).toBeLessThan(1e-10);
  });

  it("divides gradients by the batches of a step, the last of which may be short of some", () => {
    const batches = [1, 2, 3].map((seed) => drawn(3, seed));
    const parameters = Float64Array.from({ length: 15 }, (_, i) => Math.sin(i));
    const sizes = { features: 3, heads: 2 };
    const [rate, decay] = [0.1, 0.01];
    const accumulated = createProbe("posattn", sizes, parameters);
    expect(train(accumulated, batches, { rate, decay, accumulate: 2 }).parameters.length).toBe(2);
    const once = createProbe("posattn", sizes, parameters);
    for (const batch of batches.slice(0, 2)) lossOf(once, batch, 1 / 2);
    const twice = createProbe("posattn", sizes, parameters);
    lossOf(twice, batches[0]!, 1 / 2);
    const first = flat(twice.parameters, "gradient");
    lossOf(twice, batches[1]!, 1 / 2);
    const sum = flat(twice.parameters, "gradient");
    expect(most(sum, flat(once.parameters, "gradient"))).toBe(0);
    expect(most(sum, first)).toBeGreaterThan(0);
  });
});

/** Batches of the recorded runs, and one of all samples. */
async function batchesOf(name: string): Promise<{ all: Batch; batches: Batch[] }> {
  const { values, features, offsets, detected, labels, batches } = await goldenRun(name);
  const from = (chosen: readonly number[]) =>
    batchOf(values, { features, offsets, detected, labels, chosen });
  return { all: from([...labels.keys()]), batches: batches.map(from) };
}

const missing = sharedDataMissing();

describe("the twins of trained probes beside recorded runs", () => {
  beforeEach((context) => {
    if (missing) context.skip(missing);
  });

  for (const [name, { probe, sizes, rate, decay }] of Object.entries(GOLDEN_PROBES)) {
    it(`${name} has their logits, gradient, losses and parameters`, async () => {
      const shapes = await sharedJson(`golden/probes/${name}_param_shapes.json`);
      const parameters = await golden(`${name}_params0`);
      const { all, batches } = await batchesOf(name);
      const model = createProbe(probe, sizes, parameters);
      expect(Object.entries(model.shapes)).toEqual(Object.entries(shapes as object));
      expect(most(logitsOf(model, all), await golden(`${name}_logits0`))).toBeLessThan(1e-9);
      const loss = lossOf(model, batches[0]!);
      expect(Math.abs(loss - (await golden(`${name}_loss_batch0`))[0]!)).toBeLessThan(1e-9);
      const gradient = flat(model.parameters, "gradient");
      expect(most(gradient, await golden(`${name}_grad_batch0`))).toBeLessThan(1e-9);

      const trained = createProbe(probe, sizes, parameters);
      const steps = Array.from({ length: 12 }, (_, i) => batches[i % 3]!);
      const { losses, parameters: after } = train(trained, steps, { rate, decay });
      expect(most(losses, await golden(`${name}_losses`))).toBeLessThan(1e-9);
      for (const step of [1, 3, 12]) {
        expect(most(after[step - 1]!, await golden(`${name}_params${step}`))).toBeLessThan(1e-9);
      }
      expect(most(logitsOf(trained, all), await golden(`${name}_logits12`))).toBeLessThan(1e-9);
    });
  }
});
