import { describe, expect, it } from "vitest";
import { collect } from "../../src/acts/collect.ts";
import { featuresLater } from "../../src/acts/later.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { chosenRows, chosenSamples } from "../../src/feed/chosen.ts";
import { labelColumns } from "../../src/probes/labels.ts";
import { AttentionProbe } from "../../src/probes/attention.ts";
import { LogisticProbe } from "../../src/probes/probes.ts";
import { formatSweep, ProbeSweep } from "../../src/probes/sweep.ts";
import { rowsOf } from "../../src/probes/sweep_rows.ts";
import { useGpu } from "../support/gpu.ts";
import { auroc, FEATURES, rows, texts } from "../support/learnable.ts";
import { seeded } from "../support/random.ts";

const gpu = useGpu();
const COUNT = 40;
const { data: tokens, y } = texts(COUNT);
const told = rows(COUNT).data;
const random = seeded(3);
const noise = fromTypedArray(
  Float32Array.from({ length: COUNT * FEATURES }, () => random() - 0.5),
  [COUNT, FEATURES],
);
const labels = { told: y, same: new Uint8Array(COUNT), other: y.map((label) => 1 - label) };
const small = { hidden: 4, epochs: 4 };

describe("sweeps", () => {
  it("try every layer, kind, option and column, and say why where there is nothing", async () => {
    const sweep = new ProbeSweep(gpu(), {
      layers: [{ layer: 3, features: told, tokens }, { layer: 4, features: noise, tokens }],
      labels,
      probes: [
        { kind: "logistic", options: { c: [0.1, 1] } },
        { kind: "mass_mean" },
        { kind: "attention", options: { ...small, learningRate: [0.01, 0.02], dropout: 0 } },
      ],
    }, { seed: 5 });
    const result = await sweep.run();
    expect(result.rows.length).toBe(2 * 3 * (2 + 1 + 2));
    expect(result.test.length).toBe(8);
    for (const row of result.rows) {
      if (row.label === "same") {
        expect(row).toMatchObject({ auroc: null, recall: null, partialAuroc: null });
        expect(row.reason).toBe("all 32 labels are 0");
        continue;
      }
      expect(row.reason).toBe(null);
      if (row.layer === 3 || row.kind === "attention") expect(row.auroc).toBeGreaterThan(0.9);
      else expect(row.auroc).toBeLessThan(0.9);
    }
    expect(formatSweep(result)).toContain("all 32 labels are 0");

    const test = [...result.test];
    const train = [...y.keys()].filter((i) => !test.includes(i));
    const own = <List extends ArrayLike<number>>(list: List, chosen: number[]) =>
      Uint8Array.from(chosen, (i) => list[i]!);
    const attention = new AttentionProbe({ ...small, learningRate: 0.02, dropout: 0 });
    await attention.fit(gpu(), chosenSamples(tokens, train), own(y, train)).run();
    const { logits } = await attention.predict(gpu(), chosenSamples(tokens, test)).run();
    const row = result.rows.find(({ kind, label, options }) =>
      kind === "attention" && label === "told" && options.learningRate === 0.02
    );
    expect(row!.auroc).toBe(auroc(logits, own(y, test)));
    const logistic = new LogisticProbe({ c: 1 });
    await logistic.fit(gpu(), chosenRows(noise, train), own(labels.other, train)).run();
    const linear = await logistic.predict(gpu(), chosenRows(noise, test)).run();
    const other = result.rows.find(({ kind, label, layer, options }) =>
      kind === "logistic" && label === "other" && layer === 4 && options.c === 1
    );
    expect(other!.auroc).toBeCloseTo(auroc(linear.logits, own(labels.other, test)), 12);
  });

  it("hold one layer at a time, and go on where they were killed", async () => {
    let [open, most, opens] = [0, 0, 0];
    const later = {
      ...{ shape: [COUNT, FEATURES] as const, dtype: told.dtype },
      open() {
        most = Math.max(most, ++open);
        opens++;
        return Promise.resolve({ ...told, close: () => Promise.resolve(void open--) });
      },
    };
    const create = (y_ = y) =>
      new ProbeSweep(gpu(), {
        layers: [0, 1, 2].map((layer) => ({ layer, features: later })),
        labels: { told: y_ },
        probes: [{ kind: "mlp", options: { ...small, learningRate: 0.05 } }, { kind: "logistic" }],
      }, { out: "memory:killed-sweep" });
    const cancel = new AbortController();
    const fractions: number[] = [];
    await expect(
      create().run({
        signal: cancel.signal,
        onProgress: ({ fraction }) => {
          fractions.push(fraction);
          if (fraction > 0.5) cancel.abort(new Error("killed"));
        },
      }),
    ).rejects.toThrow("killed");
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    const passes: string[] = [];
    const result = await create().run({
      onProgress: ({ plan, pass }) => passes.push(`${plan}: ${pass}`),
    });
    expect(result.rows.map(({ auroc }) => auroc)).toEqual(Array(6).fill(1));
    expect(passes.some((pass) => pass.startsWith("sweep: layer 2 mlp, train mlp"))).toBe(true);
    expect(passes.some((pass) => pass.startsWith("sweep: layer 0 mlp, train mlp"))).toBe(false);
    expect([open, most]).toEqual([0, 1]);
    // to compare them with those of before, and for each of 6 parts, of which one was killed
    expect(opens).toBe(3 + 3 + 7);
    const again: string[] = [];
    expect(await create().run({ onProgress: ({ pass }) => again.push(pass) })).toEqual(result);
    expect(again.some((pass) => pass.includes("train"))).toBe(false);
    await expect(create(y.map((label) => 1 - label)).run()).rejects.toThrow(
      "Cannot go on with memory:killed-sweep: its results are of other input",
    );
  });

  it("say what they take as a whole, and refuse it before anything is read", () => {
    const input = {
      layers: [3, 4].map((layer) => ({ layer, features: told, tokens })),
      ...{ labels: y, probes: [{ kind: "logistic" }, { kind: "attention", options: small }] },
    };
    const sweep = new ProbeSweep(gpu(), input);
    expect(sweep.explain()).toMatch(/Series "sweep": 4 parts on .*\n(.*\n)*.*logistic 0 +2/);
    expect(sweep.projected.gpu).toBeGreaterThan(0);
    const wide = fromTypedArray(new Float32Array(COUNT * 3e6), [COUNT, 3e6]);
    expect(() =>
      new ProbeSweep(gpu(), { ...input, layers: [{ layer: 1, features: wide, tokens }] })
    )
      .toThrow(/Cannot plan "logistic probe": tiles of \d+ rows need 24/);
  });

  it("have null and a reason where a probe cannot be fitted, and the other probes all the same", async () => {
    const large = Float64Array.from(told.values as Float32Array, (value) => value * 1e25);
    const { rows } = await new ProbeSweep(gpu(), {
      layers: [{ layer: 1, features: fromTypedArray(large, [COUNT, FEATURES]) }],
      ...{ labels: y, probes: [{ kind: "mass_mean" }, { kind: "logistic" }] },
    }).run();
    expect(rows[0]).toMatchObject({ kind: "mass_mean", auroc: null, recall: null });
    expect(rows[0]!.reason).toMatch(/^in the fit: Cannot fit a probe: row 0, feature 0 is .*e\+25/);
    expect(rows[1]).toMatchObject({ kind: "logistic", auroc: 1, reason: null });
  });

  it("have null and a reason where samples of the test lie too far from those of the fit", async () => {
    const swept = async (values: Float64Array) =>
      await new ProbeSweep(gpu(), {
        layers: [{ layer: 1, features: fromTypedArray(values, [COUNT, FEATURES]) }],
        ...{ labels: y, probes: [{ kind: "logistic" }] },
      }).run();
    const plain = Float64Array.from(told.values as Float32Array);
    const { test } = await swept(plain);
    const { rows } = await swept(plain.fill(1e300, test[3]! * FEATURES, test[3]! * FEATURES + 1));
    expect(rows[0]).toMatchObject({ kind: "logistic", auroc: null });
    expect(rows[0]!.reason).toMatch(/^in the test: Cannot predict: row 3, feature 0 is 1e\+300/);
  });

  it("end with an error where no probe can be fitted", async () => {
    const broken = Float32Array.from(told.values as Float32Array);
    broken[5] = NaN;
    const sweep = new ProbeSweep(gpu(), {
      layers: [{ layer: 1, features: fromTypedArray(broken, [COUNT, FEATURES]) }],
      ...{ labels: y, probes: [{ kind: "mass_mean" }, { kind: "logistic" }] },
    });
    await expect(sweep.run()).rejects.toThrow(
      /^Cannot sweep: in the fit: Cannot fit a probe: row \d+, feature \d+ is NaN, wanted finite numbers/,
    );
  });

  it("have null and a reason where one logit is beyond f32, for that probe alone", () => {
    const columns = labelColumns(Uint8Array.of(0, 1, 0, 1), 4, "sweep");
    const job = { kind: "mlp", members: [{ c: 1 }, { c: 2 }] };
    const logits = Float32Array.of(0, 1, 2, Infinity, -1, 0, 3, 4);
    const test = Uint32Array.of(0, 1, 2, 3);
    const [one, two] = rowsOf(5, job, { columns, test, reasons: [null, null], logits });
    expect(one).toMatchObject({ auroc: 1, reason: null });
    expect(two).toMatchObject({
      ...{ layer: 5, kind: "mlp", options: { c: 2 }, auroc: null, averagePrecision: null },
      ...{ recall: null, partialAuroc: null },
      reason: "the logit of sample 1 is beyond what f32 holds",
    });
  });

  it("make rows when it is their turn, once, and only where they are not there", async () => {
    const acts = collect({ 1: tokens.rows.values as Float32Array }, {
      ...{ dims: "blsh", shape: tokens.rows.shape as number[], offsets: tokens.offsets },
      detectionMask: tokens.detected!,
    });
    const pooled = acts.selectLayers(1).meanPool();
    const rows = [];
    for (const out of [undefined, "memory:made-sweep", "memory:made-sweep"]) {
      const result = await new ProbeSweep(gpu(), {
        layers: [{ layer: 1, features: featuresLater(pooled) }],
        ...{ labels: y, probes: [{ kind: "logistic" }, { kind: "mass_mean" }] },
      }, out === undefined ? {} : { out }).run();
      rows.push(result.rows);
    }
    expect(rows[1]).toEqual(rows[0]);
    expect(rows[2]).toEqual(rows[0]);
    expect(acts.bytesRead).toBe(2 * pooled.reading().forced);
  });

  it("cut many probes into jobs, which changes none of them", async () => {
    const rates = Array.from({ length: 35 }, (_, i) => 0.01 + 0.001 * i);
    const create = (learningRate: number[]) =>
      new ProbeSweep(gpu(), {
        layers: [{ layer: 1, features: noise }],
        labels: y,
        probes: [{ kind: "mlp", options: { hidden: 2, epochs: 2, learningRate, seed: [4, 5] } }],
      });
    const passes = new Set<string>();
    const { rows } = await create(rates).run({
      onProgress: ({ pass, passIndex }) => passes.add(`${pass} ${passIndex}`),
    });
    expect(rows.length).toBe(70);
    const picked = (learningRate: unknown, seed: unknown) => (row: typeof rows[number]) =>
      row.options.learningRate === learningRate && row.options.seed === seed;
    const few = await create([rates[30]!]).run();
    for (const seed of [4, 5]) {
      expect(rows.find(picked(rates[30], seed))).toEqual(few.rows.find(picked(rates[30], seed)));
    }
    expect([...passes].filter((pass) => pass.includes("train")).length).toBeGreaterThan(1);
  });

  it("refuse what they cannot do before they begin", () => {
    const input = { layers: [{ layer: 1, features: told }], labels: y };
    const sweep = (kind: string, options = {}) => () =>
      new ProbeSweep(gpu(), { ...input, probes: [{ kind, options }] });
    expect(sweep("atention")).toThrow(
      'Cannot sweep: there is no probe of kind "atention", wanted one of logistic, mass_mean, mlp',
    );
    expect(sweep("attention")).toThrow(
      'Cannot sweep: layer 1 has no tokens, which probes of kind "attention" want',
    );
    expect(sweep("mlp", { hiden: 3 })).toThrow('there is no option "hiden", "hidden" may be meant');
    expect(sweep("mlp", { hidden: [3, 0] })).toThrow("hidden is 0, wanted a whole number from 1");
  });

  it("refuse a layer whose name would lead out of their folder", () => {
    const input = { labels: y, probes: [{ kind: "logistic" }] };
    const layers = [{ layer: "../x.npy", features: told }];
    expect(() => new ProbeSweep(gpu(), { ...input, layers }, { out: "memory:sweep-name" }))
      .toThrow('a layer is called "../x.npy", wanted a name without slashes');
  });

  it("refuse labels that are null, which is no 0", () => {
    const missing = Array.from(y, (label, i) => i === 5 ? null : label) as unknown as number[];
    expect(() =>
      new ProbeSweep(gpu(), {
        layers: [{ layer: 3, features: told }],
        ...{ labels: missing, probes: [{ kind: "logistic" }] },
      })
    ).toThrow('label 5 of column "label" is null, wanted 0 or 1');
  });

  it("refuse layers of other samples than there are labels, and layers that come twice", () => {
    const sweep = (...layers: { layer: number; features: typeof told }[]) => () =>
      new ProbeSweep(gpu(), { layers, labels: y, probes: [{ kind: "logistic" }] });
    expect(sweep({ layer: 7, features: rows(12).data })).toThrow(
      "Cannot sweep: layer 7 has 12 samples, there are 40 labels",
    );
    expect(sweep({ layer: 7, features: told }, { layer: 7, features: noise })).toThrow(
      "Cannot sweep: layer 7 is there twice, wanted each once",
    );
  });
});
