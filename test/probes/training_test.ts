import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import * as metrics from "../../src/probes/metrics.ts";
import { open } from "../../src/open.ts";
import type { BudgetError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { batchesByLength } from "../../src/net/batches.ts";
import { AttentionProbe } from "../../src/probes/attention.ts";
import { GatedBipolarProbe } from "../../src/probes/gated_bipolar.ts";
import { MlpProbe } from "../../src/probes/mlp.ts";
import { multimax, multimaxOptions, MultiMaxProbe } from "../../src/probes/multimax.ts";
import { PositionalAttentionProbe } from "../../src/probes/positional_attention.ts";
import { RollingAttentionProbe } from "../../src/probes/rolling_attention.ts";
import { SoftAttentionProbe } from "../../src/probes/soft_attention.ts";
import type { TrainedProbe } from "../../src/probes/trained_probe.ts";
import { readLearned, samplesOf } from "../../src/probes/trained_probe.ts";
import { trainProbes } from "../../src/probes/training.ts";
import { AdamW, Tape } from "../reference/probe_layers.ts";
import { batchOf, createProbe, flat, lossOf } from "../reference/probes.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { auroc, FEATURES, rows, texts } from "../support/learnable.ts";
import { onStates, paceStates } from "../support/kept_states.ts";
import { seeded } from "../support/random.ts";
import { recordNumbers } from "../support/record.ts";
import { quick } from "../support/tier.ts";

const gpu = useGpu();
describe("probes that learn", () => {
  const own = { learningRate: 0.02, hidden: 8, epochs: 12 };
  const probes: Record<string, () => TrainedProbe> = {
    Attention: () => new AttentionProbe({ ...own, epochs: 5 }),
    MultiMax: () => new MultiMaxProbe({ ...own, heads: 3 }),
    GatedBipolar: () => new GatedBipolarProbe({ ...own, gates: 4 }),
    SoftAttention: () => new SoftAttentionProbe({ ...own, heads: 3 }),
    RollingAttention: () => new RollingAttentionProbe({ ...own, heads: 3, window: 3 }),
    PositionalAttention: () =>
      new PositionalAttentionProbe({ learningRate: 0.02, epochs: 12, heads: 3 }),
  };
  for (const [name, create] of Object.entries(probes)) {
    it(`${name} tells texts apart that it has not seen`, async () => {
      const { data, y } = texts(60);
      const probe = create();
      const { probes: [fit] } = await probe.fit(gpu(), data, y).run();
      expect(fit!.bestEpoch).toBeLessThanOrEqual(fit!.epochs);
      expect(fit!.trainingLoss.length).toBe(fit!.epochs);
      const unseen = texts(40, 77);
      const { logits, probabilities } = await probe.predict(gpu(), unseen.data).run();
      expect(auroc(logits, unseen.y)).toBeGreaterThan(0.99);
      expect(probabilities[0]).toBe(Math.fround(1 / (1 + Math.exp(-logits[0]!))));
    });
  }

  it("Mlp tells rows and tokens apart", async () => {
    const { data, y } = rows(100);
    const probe = new MlpProbe({ hidden: 8, epochs: 12, learningRate: 0.02 });
    await probe.fit(gpu(), data, y).run();
    const unseen = rows(40, 78);
    const { logits } = await probe.predict(gpu(), unseen.data).run();
    expect(auroc(logits, unseen.y)).toBeGreaterThan(0.99);

    const tokens = texts(40);
    await probe.fit(gpu(), tokens.data, tokens.y).run();
    const { logits: all } = await probe.predictTokens(gpu(), tokens.data).run();
    const { offsets, detected } = tokens.data;
    const pools = {
      mean: (own: number[]) => own.reduce((sum, logit) => sum + logit, 0) / own.length,
      sum: (own: number[]) => own.reduce((sum, logit) => sum + logit, 0),
      max: (own: number[]) => Math.max(...own),
      last: (own: number[]) => own.at(-1)!,
    };
    let scores: ArrayLike<number> = [];
    for (
      const [pool, of] of Object.entries(pools) as [keyof typeof pools, (typeof pools)["sum"]][]
    ) {
      const { logits, probabilities } = await probe.predictTokens(gpu(), tokens.data, { pool })
        .run();
      scores = logits;
      tokens.y.forEach((_, sample) => {
        const own = [...all.subarray(offsets[sample], offsets[sample + 1])].filter((logit) =>
          logit
        );
        expect(logits[sample]).toBe(Math.fround(of(own)));
        expect(probabilities[sample]).toBe(Math.fround(metrics.sigmoid(logits[sample]!)));
      });
    }
    expect(auroc(scores, tokens.y)).toBeGreaterThan(0.99);
    all.forEach((logit, row) => expect(logit === 0).toBe(detected![row] === 0));
    const labels = Uint8Array.from(
      detected!,
      (_, row) =>
        tokens.y[offsets.findIndex((offset, i) => row >= offset && row < offsets[i + 1]!)]!,
    );
    const again = new MlpProbe({ hidden: 8, epochs: 12, learningRate: 0.02 });
    await again.fit(gpu(), tokens.data, labels, { labelsOf: "tokens" }).run();
    expect((await again.predictTokens(gpu(), tokens.data).run()).logits).toEqual(all);
  });
});

describe("training", () => {
  const settings = multimaxOptions.check({
    ...{ hidden: 5, heads: 2, dropout: 0, batchSize: 8, epochs: 30, patience: 2, accumulate: 2 },
    ...{ learningRate: 0.05, seed: 3 },
  });

  /** Learns labels that nothing tells, so that validation gets worse. */
  function noisy(count = 40) {
    const { data } = texts(count, 9);
    const random = seeded(10);
    return { data, y: Uint8Array.from({ length: count }, () => random() < 0.5 ? 1 : 0) };
  }

  async function trained(own: (typeof settings)[], labels: Uint8Array[], device: Gpu = gpu()) {
    const samples = samplesOf(multimax, noisy().data, "fit a probe");
    return await trainProbes(device, {
      kind: multimax,
      samples,
      members: own.map((settings, k) => ({ settings, label: "label", labels: labels[k]! })),
      seed: 3,
      choices: {},
      result: async (stored) => (await readLearned(stored)).probes,
    }).run();
  }

  it("stops where the loss of what validates does not fall, and gives back the best, as its twin does", async () => {
    const { data, y } = noisy();
    const [own] = await trained([settings], [y]);
    // what it began with, by a learning rate that moves nothing
    const still = { ...settings, learningRate: 1e-30, weightDecay: 0, epochs: 1 };
    const [begun] = await trained([still], [y]);
    await recordNumbers("first_parameters", begun!.parameters);
    const sizes = { features: FEATURES, hidden: 5, heads: 2 };
    const model = createProbe("multimax", sizes, begun!.parameters);
    const lengthOf = (sample: number) => data.offsets[sample + 1]! - data.offsets[sample]!;
    const batches = batchesByLength(40, {
      ...{ seed: 3, batchSamples: 8, accumulate: 2, validationShare: 0.2, lengthOf },
      ...{ rowsOf: lengthOf, pieceRows: Infinity },
    }, "fit");
    const take = (samples: Uint32Array) =>
      batchOf(data.rows.values as Float32Array, {
        ...{ features: FEATURES, offsets: data.offsets, detected: data.detected!, labels: y },
        chosen: [...samples],
      });
    const optimizer = new AdamW();
    const validation: number[] = [];
    let best = flat(model.parameters, "values");
    let bestEpoch = 0;
    for (let epoch = 0; epoch < 30; epoch++) {
      let loss = 0;
      for (let row = 0; row < batches.rows; row++) {
        const { samples, scale, ends, step } = batches.at(epoch, row);
        const batch = take(samples);
        if (step === undefined) {
          const tape = new Tape();
          loss += scale *
            tape.crossEntropy(model.forward(tape, batch.x, batch.samples), batch.labels);
          continue;
        }
        lossOf(model, batch, scale);
        if (!ends) continue;
        optimizer.step(model.parameters, settings.learningRate, settings.weightDecay);
        for (const { gradient } of model.parameters) gradient.fill(0);
      }
      validation.push(loss);
      if (validation.every((other, i) => i === epoch || other > loss)) {
        best = flat(model.parameters, "values");
        bestEpoch = epoch + 1;
      } else if (epoch + 1 - bestEpoch >= settings.patience) break;
    }
    expect(validation.length).toBeLessThan(30);
    expect([own!.epochs, own!.bestEpoch]).toEqual([validation.length, bestEpoch]);
    own!.validationLoss.forEach((loss, i) =>
      expect(Math.abs(loss - validation[i]!)).toBeLessThan(1e-4)
    );
    own!.parameters.forEach((value, i) => expect(Math.abs(value - best[i]!)).toBeLessThan(1e-3));
  });

  it("gives probes side by side the bits that each has alone, and stops each by itself", async () => {
    const { y } = noisy();
    const other = y.map((label) => 1 - label);
    const dropping = { ...settings, dropout: 0.3, epochs: 12 };
    const own = [
      dropping,
      { ...dropping, learningRate: 0.2, seed: 8 },
      { ...dropping, weightDecay: 0.5, learningRate: 0.002, seed: 9 },
    ];
    const labels = [y, other, y];
    const together = await trained(own, labels);
    expect(new Set(together.map((one) => one!.epochs)).size).toBeGreaterThan(1);
    for (const [k, one] of own.entries()) {
      const [alone] = await trained([one], [labels[k]!]);
      expect(together[k]).toEqual(alone);
    }
  });

  it("goes on from any moment, in other tiles, with the same bits", async () => {
    const { data, y } = noisy();
    const create = () =>
      new MultiMaxProbe({ ...settings, accumulate: 2, dropout: 0.2, epochs: 4, patience: 6 });
    const { probes: wanted } = await create().fit(gpu(), data, y, { tileRows: 2 }).run();
    const small = await lendGpu({ budget: "8 MiB" });
    const restore = paceStates();
    let resumptions = 0;
    try {
      // states are kept after each of four epochs at least, and within them where the device waits
      for (const kill of quick ? [2, 3] : [1, 2, 3, 4]) {
        const fit = async (tileRows: number, device: Gpu, signal?: AbortSignal) =>
          await create().fit(device, data, y, { out: `memory:killed-training-${kill}`, tileRows })
            .run(signal && { signal });
        const cancel = new AbortController();
        const stop = (count: number) => count === kill && cancel.abort(new Error("killed"));
        const killed = onStates((_, count) => stop(count), () => fit(1, gpu(), cancel.signal));
        await expect(killed).rejects.toThrow("killed");
        const { probes, resumed } = await fit(1 + kill % 4, small);
        expect(probes).toEqual(wanted);
        if (resumed) resumptions++;
      }
    } finally {
      restore();
      small.close();
    }
    expect(resumptions).toBeGreaterThan(1);
  });

  it("reads samples again every epoch where memory does not hold them, to the same bits", async () => {
    const { data, y } = texts(30);
    let reads = 0;
    // as from disk: nobody can have all values
    const { values: _, ...rows } = data.rows;
    const onDisk = {
      ...data,
      rows: {
        ...rows,
        chunkRows: 4,
        read: (start: number, end: number) => {
          reads++;
          return data.rows.read(start, end);
        },
      },
    };
    const create = () => new PositionalAttentionProbe({ heads: 2, epochs: 3 });
    const fit = create().fit(gpu(), onDisk, y);
    const { probes } = await fit.run();
    const once = reads;
    const none = await lendGpu({ budget: { gpu: "64 MiB", host: 1 } });
    let least = 0;
    try {
      create().fit(none, onDisk, y);
    } catch (error) {
      least = (error as BudgetError).smallestBudgetBytes;
    } finally {
      none.close();
    }
    const tight = await lendGpu({ budget: { gpu: "64 MiB", host: least } });
    try {
      const read = create().fit(tight, onDisk, y);
      expect(read.projected.host).toBeLessThan(fit.projected.host);
      const { probes: again, peakBytes, projectedBytes } = await read.run();
      expect(again).toEqual(probes);
      expect(reads - once).toBeGreaterThan(2 * once);
      expect(peakBytes.host).toBeLessThanOrEqual(projectedBytes.host);
    } finally {
      tight.close();
    }
  });

  it("does not depend on how much the device takes at once, but for rounding", async () => {
    // batches of 4096 rows at most: a sample is longer than that
    const random = seeded(14);
    const lengths = [4000, 300, 200, 100, 4500, 3, 2, 90];
    const offsets = Float64Array.from(
      [0, ...lengths].map((_, i, all) =>
        all.slice(0, i + 1).reduce((sum, length) => sum + length, 0)
      ),
    );
    const values = Float32Array.from({ length: offsets[8]! * 2 }, () => random() - 0.5);
    const data = { rows: fromTypedArray(values, [offsets[8]!, 2]), offsets };
    const y = Uint8Array.of(0, 1, 0, 1, 0, 1, 0, 1);
    const probe = new MultiMaxProbe({ hidden: 2, heads: 1, epochs: 1, dropout: 0 });
    const { probes: [fit] } = await probe.fit(gpu(), data, y).run();
    expect(fit!.trainingLoss[0]).toBeGreaterThan(0.5);
    expect(fit!.trainingLoss[0]).toBeLessThan(0.9);
    expect((await probe.predict(gpu(), data).run()).logits.length).toBe(8);
  });
});

describe("several columns of labels", () => {
  const { data, y } = texts(30);
  const columns = { first: y, same: new Uint8Array(30), other: y.map((label) => 1 - label) };

  it("are learned side by side, and one of a single class leaves the others alone", async () => {
    const create = () => new AttentionProbe({ hidden: 4, epochs: 3 });
    const out = "memory:several-columns";
    const probe = create();
    const { probes, reasons } = await probe.fit(gpu(), data, columns, { out }).run();
    expect(reasons).toEqual([null, "all 30 labels are 0", null]);
    const { probes: [first] } = await create().fit(gpu(), data, y).run();
    expect(probes.map((one) => one?.label)).toEqual(["first", undefined, "other"]);
    expect(probes[0]!.parameters).toEqual(first!.parameters);
    const { logits } = await probe.predict(gpu(), data).run();
    expect(logits.length).toBe(90);
    logits.forEach((logit, i) => expect(Number.isNaN(logit)).toBe(i % 3 === 1));

    const opened = await open(out);
    if (opened.kind !== "probe") throw new Error(opened.kind);
    expect([opened.probes, opened.reasons]).toEqual([probes, reasons]);
    const model = opened.model as AttentionProbe;
    expect(model.settings).toEqual(probe.settings);
    expect((await model.predict(gpu(), data).run()).logits).toEqual(logits);
    const stored = await model.predict(gpu(), data, { out: "memory:several-logits" }).run();
    expect(stored.logits.shape).toEqual([30, 3]);
    expect(await stored.logits.read(0, 30)).toEqual(logits);
    await stored.close();
  });
});

describe("labels of tokens that count", () => {
  it("have to be of both classes, whatever those of others are", async () => {
    const { data, y } = texts(12);
    const textOf = (row: number) => data.offsets.findIndex((end) => end > row) - 1;
    const detected = data.detected!.map((own, row) => y[textOf(row)] === 1 ? 0 : own);
    const create = () => new MlpProbe({ hidden: 2, epochs: 1 });
    const counted = detected.reduce((sum, own) => sum + own, 0);
    const reason = `all ${counted} labels of tokens that count are 0`;
    const own = { ...data, detected };
    expect(() => create().fit(gpu(), own, y)).toThrow(`Cannot fit a probe: ${reason}, wanted`);
    const other = y.map((_, sample) => sample % 4 === 0 ? 1 : 0);
    const { reasons } = await create().fit(gpu(), own, { first: y, other }).run();
    expect(reasons).toEqual([reason, null]);
  });
});

describe("predictions", () => {
  it("are the same whatever samples are beside them, empty ones among them", async () => {
    const { data, y } = texts(30);
    for (
      const create of [
        () => new RollingAttentionProbe({ hidden: 4, heads: 2, window: 3, epochs: 1 }),
        () => new PositionalAttentionProbe({ heads: 2, epochs: 1 }),
        () => new AttentionProbe({ hidden: 4, epochs: 1 }),
      ]
    ) {
      const probe = create();
      await probe.fit(gpu(), data, y).run();
      const { logits } = await probe.predict(gpu(), data).run();
      const { rows, offsets, detected } = data;
      const whole = rows.values as Float32Array;
      for (const sample of [0, 7, 29]) {
        const [start, end] = [offsets[sample]!, offsets[sample + 1]!];
        const own = whole.subarray(start * FEATURES, end * FEATURES);
        const alone = {
          rows: fromTypedArray(own, [end - start, FEATURES]),
          offsets: Float64Array.of(0, 0, end - start),
          detected: detected!.subarray(start, end),
        };
        const [nothing, logit] = (await probe.predict(gpu(), alone).run()).logits;
        expect(logit).toBe(logits[sample]);
        expect(Number.isFinite(nothing)).toBe(true);
      }
      expect((await probe.predict(gpu(), data, { tileRows: 3 }).run()).logits).toEqual(logits);
    }
  });
});

describe("tokens that do not count", () => {
  it("may be anything: fits and predictions do not look at them", async () => {
    const { data, y } = texts(20);
    const values = (data.rows.values as Float32Array).map((value, i) =>
      data.detected![Math.floor(i / FEATURES)] ? value : NaN
    );
    const own = { ...data, rows: fromTypedArray(values, data.rows.shape) };
    for (
      const create of [
        () => new RollingAttentionProbe({ hidden: 4, heads: 2, window: 3, epochs: 2 }),
        () => new PositionalAttentionProbe({ heads: 2, epochs: 2 }),
        () => new MultiMaxProbe({ hidden: 4, heads: 2, epochs: 2 }),
        () => new MlpProbe({ hidden: 4, epochs: 2 }),
      ]
    ) {
      const probe = create();
      const { probes } = await probe.fit(gpu(), own, y).run();
      expect(probes).toEqual((await create().fit(gpu(), data, y).run()).probes);
      if (probe instanceof MlpProbe) continue;
      const { logits } = await probe.predict(gpu(), own).run();
      expect(logits).toEqual((await probe.predict(gpu(), data).run()).logits);
    }
  });
});

describe("what cannot be learned", () => {
  const { data, y } = texts(10);
  const probe = () => new MultiMaxProbe({ hidden: 2, heads: 1, epochs: 2 });

  it("is refused before anything is read", () => {
    expect(() => probe().fit(gpu(), data, new Uint8Array(10))).toThrow(
      "Cannot fit a probe: all 10 labels are 0, wanted two rows and both classes",
    );
    expect(() => probe().fit(gpu(), data, y.subarray(1))).toThrow(
      'Cannot fit a probe: column "label" has 9 labels, there are 10 samples',
    );
    expect(() => probe().fit(gpu(), data, [...y].fill(3, 2, 3))).toThrow(
      'Cannot fit a probe: label 2 of column "label" is 3, wanted 0 or 1',
    );
    expect(() => probe().fit(gpu(), { ...data, detected: data.detected!.map(() => 0) }, y)).toThrow(
      "the mask detects none of the",
    );
    expect(() => probe().fit(gpu(), rows(10).data, y)).toThrow(
      "Cannot fit a probe: a probe of sequences (multimax) gets rows of features, wanted samples of tokens",
    );
    expect(() => probe().predict(gpu(), data)).toThrow(
      "Cannot use a probe: it is not fitted, run fit() first",
    );
    expect(() => new MlpProbe().predict(gpu(), data)).toThrow("predictTokens() takes tokens");
    expect(() => probe().fit(gpu(), data, y, { labelsOf: "tokens" })).toThrow('wanted "samples"');
  });

  it("is refused by sample, token and feature", async () => {
    const values = (data.rows.values as Float32Array).slice();
    const row = data.offsets[4]!;
    values[row * FEATURES + 2] = NaN;
    const own = { ...data, rows: fromTypedArray(values, data.rows.shape) };
    await expect(probe().fit(gpu(), own, y).run()).rejects.toThrow(
      "Cannot fit a probe: sample 4, token 0, feature 2 is NaN, wanted finite numbers",
    );
    const fitted = probe();
    await fitted.fit(gpu(), data, y).run();
    await expect(fitted.predict(gpu(), own).run()).rejects.toThrow("sample 4, token 0, feature 2");
    const wide = fromTypedArray(new Float32Array(8), [1, 8]);
    expect(() => fitted.predict(gpu(), { rows: wide, offsets: Float64Array.of(0, 1) })).toThrow(
      "Cannot predict: samples have 8 features, the probe was fitted on 6",
    );
  });

  it("is said where losses grow beyond numbers", async () => {
    const wild = new MlpProbe({ hidden: 4, epochs: 3, learningRate: 1e30 });
    await expect(wild.fit(gpu(), rows(40).data, rows(40).y).run()).rejects.toThrow(
      /Cannot fit a probe: the loss is (NaN|Infinity) in epoch \d, wanted finite numbers: a lower learningRate/,
    );
  });
});
