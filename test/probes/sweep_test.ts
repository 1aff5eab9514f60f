import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { chosenRows, chosenSamples } from "../../src/feed/chosen.ts";
import { AttentionProbe } from "../../src/probes/attention.ts";
import { LogisticProbe } from "../../src/probes/probes.ts";
import { formatSweep, ProbeSweep } from "../../src/probes/sweep.ts";
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
    const lazily = () => {
      most = Math.max(most, ++open);
      opens++;
      return Promise.resolve({ ...told, close: () => Promise.resolve(void open--) });
    };
    const create = () =>
      new ProbeSweep(gpu(), {
        layers: [0, 1, 2].map((layer) => ({ layer, features: lazily })),
        labels: { told: y },
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
      onProgress: ({ plan, pass }) => passes.push(`${plan} ${pass}`),
    });
    expect(result.rows.map(({ auroc }) => auroc)).toEqual(Array(6).fill(1));
    expect(passes.filter((pass) => pass.startsWith("train mlp")).length).toBeGreaterThan(0);
    expect([open, most]).toEqual([0, 1]);
    expect(opens).toBeLessThanOrEqual(6);
    const again: string[] = [];
    await create().run({ onProgress: ({ plan }) => again.push(plan) });
    expect(again.some((plan) => plan.startsWith("train"))).toBe(false);
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
      onProgress: ({ plan, fraction }) => passes.add(`${plan} ${Math.floor(3 * fraction)}`),
    });
    expect(rows.length).toBe(70);
    const picked = (learningRate: unknown, seed: unknown) => (row: typeof rows[number]) =>
      row.options.learningRate === learningRate && row.options.seed === seed;
    const few = await create([rates[30]!]).run();
    for (const seed of [4, 5]) {
      expect(rows.find(picked(rates[30], seed))).toEqual(few.rows.find(picked(rates[30], seed)));
    }
    expect([...passes].filter((pass) => pass.startsWith("train")).length).toBeGreaterThan(1);
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

  it("refuse layers of other samples than there are labels", async () => {
    const sweep = new ProbeSweep(gpu(), {
      layers: [{ layer: 7, features: rows(12).data }],
      labels: y,
      probes: [{ kind: "logistic" }],
    });
    await expect(sweep.run()).rejects.toThrow(
      "Cannot sweep: layer 7 has 12 samples, there are 40 labels",
    );
  });
});
