import { afterAll, describe, expect, it } from "vitest";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { readResult } from "../../src/array/result_store.ts";
import type { ConditionConfig, ConditionReport } from "../../src/condition/condition.ts";
import { run } from "../../src/condition/condition.ts";
import { BudgetError } from "../../src/errors.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { openStore } from "../../src/store/store.ts";
import { conditioning } from "../reference/conditioning.ts";
import { vqAssign } from "../reference/vq_assign.ts";
import type { SmallCorpus } from "../support/corpus.ts";
import { smallCorpus, writeGroups } from "../support/corpus.ts";
import { useGpu } from "../support/gpu.ts";
import { recordNumbers } from "../support/record.ts";

const gpu = useGpu();
const W = 3;
const planted = smallCorpus("cycle");
const CONDITIONS: ConditionConfig["conditions"] = [
  { name: "mean_vq4", context: "mean", clusters: 4, inits: 1 },
  { name: "pca2_vq4", context: "flat", components: 2, clusters: 4, inits: 1 },
  { name: "pca2_quartile", context: "flat", components: 2, quartile: true },
];
const SETTINGS = {
  window: W,
  lags: [1, 2],
  conditions: CONDITIONS,
  minClusterSize: 20,
  minSpeakerRows: 40,
};

function inputOf({ frames, features, energy, utterances }: SmallCorpus) {
  return {
    frames: fromTypedArray(frames, [energy.length, features]),
    energy: fromTypedArray(energy),
    segments: utterances.map(({ start }) => start),
    speakers: utterances.map(({ speaker }) => speaker),
  };
}

function configOf(
  corpus: SmallCorpus,
  out: string,
  more: Partial<ConditionConfig> = {},
): ConditionConfig {
  return { ...SETTINGS, input: inputOf(corpus), out, ...more };
}

const places: string[] = [];
function newPlace(name: string): string {
  places.push(`memory:condition_test/${name}`);
  return places.at(-1)!;
}
afterAll(async () => {
  for (const place of places) {
    const store = await openStore(place, { mode: "write" });
    await store.deleteAll();
    await store.close();
  }
});

/** Files of a folder, by key. */
async function filesOf(place: string): Promise<Map<string, string>> {
  const store = await openStore(place);
  const files = new Map<string, string>();
  for (const key of await store.list("/")) {
    files.set(key, [...(await store.get(key))!].join());
  }
  await store.close();
  return files;
}

async function readText(place: string, key: string): Promise<string> {
  const store = await openStore(place);
  const text = new TextDecoder().decode(await store.get(key));
  await store.close();
  return text;
}

const ONE = { conditions: [CONDITIONS![0]!] };

/** What a report says of a condition, whatever the others are. */
function numbersOf({ results, splits }: ConditionReport, name?: string) {
  const own = results.filter(({ condition }) => name === undefined || condition === name);
  return { results: own, splits };
}

let first: ConditionReport;

describe("condition.run()", () => {
  it("finds the past that was planted, as its definition does with the stored centroids", async () => {
    const out = newPlace("planted");
    const seen: number[] = [];
    first = await run(gpu(), configOf(planted, out), {
      onProgress: ({ fraction }) => seen.push(fraction),
    });
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.every((fraction, i) => fraction <= 1 && fraction >= (seen[i - 1] ?? 0))).toBe(true);
    expect(first.results.map(({ lag, condition }) => `${lag} ${condition}`)).toEqual(
      [1, 2].flatMap((lag) => CONDITIONS!.map(({ name }) => `${lag} ${name}`)),
    );
    expect(first.passed).toBe(true);
    for (const { condition, train, eval: evaluation, passed } of first.results) {
      if (condition === "mean_vq4") expect(passed).toBe(true);
      expect(train.slices.all!.ratio).toBeLessThan(0.2);
      expect(evaluation.slices.all!.ratio).toBeLessThan(0.2);
      expect(train.control.ratio).toBeGreaterThan(0.9);
      expect(train.speakers.length).toBe(4);
      expect(evaluation.speakers.length).toBe(2);
    }

    const splits = JSON.parse(await readText(out, "/splits.json"));
    expect(splits.train_speakers.length).toBe(4);
    expect(splits.holdout_utterances.length).toBe(1);
    const { arrays } = await readResult(`${out}/models/lag2_mean_vq4.zarr`, "condition");
    const { features, frames } = planted;
    const contexts: number[] = [];
    const deltas: number[][] = [];
    planted.utterances.forEach(({ speaker, start, end }, i) => {
      if (!splits.train_speakers.includes(speaker)) return;
      if (splits.holdout_utterances.includes(String(i))) return;
      for (let t = start + W - 1 + 2; t < end; t++) {
        const x = (frame: number, d: number) => frames[frame * features + d]!;
        for (let d = 0; d < features; d++) {
          contexts.push((x(t - 4, d) + x(t - 3, d) + x(t - 2, d)) / W);
        }
        deltas.push(
          Array.from(
            { length: features },
            (_, d) =>
              (x(t, d) - x(t - 1, d) - (arrays.normalizer_mean as Float32Array)[d]!) /
              (arrays.normalizer_std as Float32Array)[d]!,
          ),
        );
      }
    });
    const { ids } = vqAssign(
      Float32Array.from(contexts),
      arrays.centroids as Float32Array,
      features,
    );
    const twin = conditioning(deltas, [...ids]);
    const own = first.results[3]!.train.slices.all!;
    expect(own.rows).toBe(deltas.length);
    expect(Math.abs(own.ratio - twin.ratio)).toBeLessThan(1e-9);
    expect(Math.abs(own.conditionalEntropy - twin.conditionalEntropy)).toBeLessThan(1e-9);
    expect(arrays.delta_mean!.length).toBe(arrays.cluster_ids!.length * features);
    await recordNumbers(
      "condition_planted",
      first.results.flatMap(({ train, eval: other }) => [
        train.slices.all!.ratio,
        other.slices.all!.ratio,
      ]),
    );
  });

  it("tells what it found in tables, decisions and a page", async () => {
    const out = places[0]!;
    const metrics = JSON.parse(await readText(out, "/metrics.json"));
    expect(metrics.splits.train.rows + metrics.splits.holdout.rows + metrics.splits.eval.rows)
      .toBe(planted.energy.length - 18 * (W + 1));
    const decision = JSON.parse(await readText(out, "/decision.json"));
    expect(decision.passed).toBe(true);
    expect(decision.conditions.length).toBe(6);
    const lines = (await readText(out, "/tables.csv")).trim().split("\n");
    // three splits of three slices and a control
    expect(lines.length).toBe(1 + 6 * 3 * 4);
    expect(lines[0]).toMatch(/^lag,condition,split,slice,rows,clusters,ratio,expected_ratio,/);
    expect(lines[1]).toMatch(/^1,mean_vq4,train,all,\d+,4,0\.\d+/);
    expect((await readText(out, "/speakers.csv")).trim().split("\n").length).toBeGreaterThan(6 * 6);
    const page = await readText(out, "/report.html");
    expect(page.match(/<svg/g)!.length).toBe(3 + 6);
    expect(page).not.toMatch(/NaN|undefined|https?:/);
  });

  it("fails where the past tells nothing", async () => {
    const config = configOf(smallCorpus("walk"), newPlace("walk"), { lags: [1], ...ONE });
    const { passed, results } = await run(gpu(), config);
    expect(passed).toBe(false);
    for (const { train, checks } of results) {
      expect(train.slices.all!.ratio).toBeGreaterThan(0.9);
      expect(checks.find(({ name }) => name === "train ratio")!.passed).toBe(false);
    }
  });

  for (const format of [2, 3] as const) {
    it(`gives the same numbers for groups of zarr ${format}, which it copies once`, async () => {
      const latents = newPlace(`latents${format}`);
      await writeGroups(planted, latents, format);
      const out = newPlace(`groups${format}`);
      const config = { ...configOf(planted, out, ONE), input: { latents } };
      expect(numbersOf(await run(gpu(), config))).toEqual(numbersOf(first, "mean_vq4"));
      const copied = await openArray(`${out}/frames.zarr/frames`);
      expect(await readAll(copied)).toEqual(planted.frames);
      if (format === 3) return;
      // the copy is what is read from then on
      const passes = new Set<string>();
      const other = { ...config, minClusterSize: 30 };
      await run(gpu(), other, {
        overwrite: true,
        onProgress: ({ pass }) => passes.add(pass),
      });
      expect([...passes]).not.toContain("prepare, copy");
    });
  }

  it("takes utterances of one array from an index too", async () => {
    const folder = newPlace("index");
    const table = planted.utterances.map(({ id, speaker, start, end }) =>
      `${id},${speaker},${end - start}\n`
    );
    const { frames, energy } = inputOf(planted);
    const analyse = async (rows: string[]) => {
      const store = await openStore(folder, { mode: "write" });
      const text = `utterance_id,speaker_id,n_frames\n${rows.join("")}`;
      await store.set("/index.csv", new TextEncoder().encode(text));
      const input = { frames, energy, index: `${folder}/index.csv` };
      return await run(gpu(), { ...configOf(planted, newPlace("indexed"), ONE), input });
    };
    expect(numbersOf(await analyse(table))).toEqual(numbersOf(first, "mean_vq4"));
    const splits = JSON.parse(await readText(places.at(-1)!, "/splits.json"));
    expect(splits.holdout_utterances[0]).toMatch(/^s\d-u\d$/);
    await expect(analyse(table.slice(1))).rejects.toThrow(/utterances have \d+ frames together/);
    await expect(analyse(["a,b,0\n"])).rejects.toThrow('"a" has "0" frames');
    await expect(analyse([])).rejects.toThrow("it has no rows");
  });

  it("goes on where it was interrupted, to the same files", async () => {
    const out = newPlace("interrupted");
    for (
      const pattern of [/prepare/, /lag 1 mean_vq4, deltas/, /lag 1 pca2_vq4.*iterate/, /lag 2/]
    ) {
      const cancel = new AbortController();
      const running = run(gpu(), configOf(planted, out), {
        signal: cancel.signal,
        onProgress: ({ pass }) => pattern.test(pass) && cancel.abort(new Error("enough")),
      });
      await expect(running).rejects.toThrow("enough");
      expect(gpu().ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
    }
    const passes = new Set<string>();
    await run(gpu(), configOf(planted, out), { onProgress: ({ pass }) => passes.add(pass) });
    expect([...passes].some((pass) => /lag 1/.test(pass))).toBe(false);
    expect(await filesOf(out)).toEqual(await filesOf(places[0]!));
    // and once more, with nothing to do
    passes.clear();
    const again = await run(gpu(), configOf(planted, out), {
      onProgress: ({ pass }) => passes.add(pass),
    });
    expect(again).toEqual(first);
    expect([...passes]).toEqual(["done, stored"]);
  });

  it("refuses a place that holds something else, and replaces results when it is told to", async () => {
    const out = newPlace("conflict");
    const config = configOf(planted, out, ONE);
    await run(gpu(), config);
    const other = { ...config, seed: 43 };
    await expect(run(gpu(), other)).rejects.toThrow("it holds the results of another analysis");
    const replaced = await run(gpu(), other, { overwrite: true });
    expect(replaced.results[0]!.train.control).not.toEqual(first.results[0]!.train.control);
    const strange = newPlace("strange");
    const store = await openStore(strange, { mode: "write" });
    await store.set("/notes.txt", new Uint8Array(1));
    await expect(run(gpu(), { ...config, out: strange })).rejects.toThrow(
      "it holds files that are no results",
    );
  });

  it("says what is wrong with a configuration or an input before any work", async () => {
    const refused = async (more: Record<string, unknown>, message: string | RegExp) => {
      const config = { ...configOf(planted, newPlace("refused")), ...more };
      await expect(run(gpu(), config as ConditionConfig)).rejects.toThrow(message);
    };
    const input = inputOf(planted);
    const flat = { name: "a", context: "flat" };
    await refused({ lag: 1 }, '"lag" of the configuration is not known, wanted one of input, out');
    await refused({ lags: [0] }, "a lag is 0, wanted a whole number from 1");
    await refused({ out: "" }, "out is missing");
    await refused({ input: {} }, "input has none of latents and frames");
    await refused({ conditions: [flat] }, "a has none of clusters and quartile");
    await refused({ conditions: [{ ...flat, quartile: true }] }, "a has no components");
    await refused({ conditions: [{ ...flat, context: "max", clusters: 2 }] }, 'is "max"');
    await refused({ slices: ["loud"] }, 'slice "loud" is not known');
    await refused({ thresholds: { ration: 1 } }, '"ration" of thresholds is not known');
    await refused({ trainShare: 1 }, "trainShare is 1, wanted a number from 0 below 1");
    await refused({ trainShare: 0.01 }, "of 6 speakers 0 are train and 6 eval");
    await refused({ speakers: { train: ["s1"], eval: ["s9"] } }, 'no utterance of "s9"');
    await refused(
      { window: 60 },
      "Cannot analyse train: none of its 11 utterances has more than 61",
    );
    await refused({ input: { ...input, energy: undefined }, slices: ["high_energy"] }, "has none");
    await refused({ input: { ...input, speakers: ["a"] } }, "there are 18 segments and 1 speakers");
    const segments = [...input.segments];
    segments[17] = planted.energy.length + 5;
    await refused(
      { input: { ...input, segments } },
      /segment 1\d has the frames from .* within the/,
    );
    await refused({ input: { latents: "memory:condition_test/none" } }, "it holds no zarr groups");
    const frames = planted.frames.slice();
    frames[(planted.utterances[4]!.start + 2) * 6 + 3] = NaN;
    const broken = fromTypedArray(frames, [planted.energy.length, 6]);
    await refused({ input: { ...input, frames: broken } }, /"4": frame 2, feature 3 is NaN/);
  });

  it("says which group is not as it should be", async () => {
    const latents = newPlace("broken");
    await writeGroups(planted, latents, 3);
    const config = { ...configOf(planted, newPlace("refused groups")), input: { latents } };
    const store = await openStore(latents, { mode: "write" });
    await store.deleteAll("/s1-u1/x");
    await expect(run(gpu(), config)).rejects.toThrow('s1-u1": it has no array x');
    await store.deleteAll("/s1-u1");
    await store.deleteAll("/s2-u0/energy");
    await expect(run(gpu(), config)).rejects.toThrow('"s2-u0" has no energy, "s0-u0" has one');
  });

  it("keeps to a budget, and says what it needs", async () => {
    const small = await openGpu({ budget: "300 KiB" });
    try {
      const config = configOf(planted, newPlace("budget"), { conditions: [CONDITIONS![1]!] });
      expect(numbersOf(await run(small, config))).toEqual(numbersOf(first, "pca2_vq4"));
      const wide = { name: "wide", context: "flat" as const, clusters: 200 };
      await expect(run(small, { ...config, out: newPlace("wide"), conditions: [wide] }))
        .rejects.toThrow(BudgetError);
      // before groups are copied
      const [latents, out] = [newPlace("large groups"), newPlace("large")];
      await writeGroups(planted, latents, 3);
      await expect(run(small, { ...config, input: { latents }, out, conditions: [wide] }))
        .rejects.toThrow(BudgetError);
      expect([...(await filesOf(out)).keys()]).toEqual([]);
    } finally {
      small.close();
    }
  });
});
