import { MODEL_FORMAT } from "../../src/condition/models.ts";
import { openStored } from "../../src/stream/places.ts";
import type { NumericArray } from "../../src/types.ts";
import { arrayNames } from "../../src/zarr/group.ts";
import { beforeAll, describe, expect, it } from "vitest";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import type { ConditionConfig, ConditionReport } from "../../src/condition/condition.ts";
import { plan, run } from "../../src/condition/condition.ts";
import { BudgetError } from "../../src/errors.ts";
import { openStore } from "../../src/store/open_store.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import { conditioning } from "../reference/conditioning.ts";
import { vqAssign } from "../reference/vq_assign.ts";
import type { SmallCorpus } from "../support/corpus.ts";
import { smallCorpus, writeGroups } from "../support/corpus.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { removeAfterAll } from "../support/kept_states.ts";
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
  places.push(`memory:condition_test/${places.length} ${name}`);
  return places.at(-1)!;
}
removeAfterAll("memory:condition_test");

/** A group of one array, as any program may leave it. */
async function writeFrames(place: string): Promise<void> {
  const store = await openStore(place, { mode: "write" });
  const dims = ["frame", "feature"];
  const frames = {
    name: "frames",
    dtype: "float32" as const,
    shape: [4, 2],
    chunkShape: [4, 2],
    dims,
  };
  await writeArray(store, frames, Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  await writeGroup(store, { attributes: {}, arrays: [frames] });
  await store.close();
}

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

/** The analysis that others are compared with, and how far it said it was. */
const firstPlace = newPlace("planted");
let first: ConditionReport;
const seen: number[] = [];

beforeAll(async () => {
  first = await run(gpu(), configOf(planted, firstPlace), {
    onProgress: ({ fraction }) => seen.push(fraction),
  });
});

/** All arrays of a stored model. */
async function readModel(place: string): Promise<Record<string, NumericArray>> {
  const stored = await openStored(place, MODEL_FORMAT);
  const store = await openStore(place);
  const names = await arrayNames(store, 3);
  await store.close();
  return Object.fromEntries(
    await Promise.all(names.map(async (name: string) => [name, await stored.read(name)] as const)),
  );
}

describe("condition.run()", () => {
  it("finds the past that was planted, as its definition does with the stored centroids", async () => {
    const out = firstPlace;
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
    const arrays = await readModel(`${out}/models/lag2_mean_vq4.zarr`);
    const { features, frames } = planted;
    const contexts: number[] = [];
    const deltas: number[][] = [];
    planted.utterances.forEach(({ speaker, start, end }, i) => {
      if (!splits.train_speakers.includes(speaker)) return;
      if (splits.holdout_utterances.includes(i)) return;
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
    const out = firstPlace;
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
      // the copy is what is read from then on, once it is known to be that of the same groups
      const passes = new Set<string>();
      const onProgress = ({ pass }: { pass: string }) => passes.add(pass);
      await run(gpu(), config, { onProgress });
      expect([...passes]).toEqual(["prepare, compare", "done, stored"]);
      passes.clear();
      await run(gpu(), { ...config, minClusterSize: 30 }, { overwrite: true, onProgress });
      expect([...passes]).toContain("prepare, copy");
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
    await expect(analyse(["a,b,-1\n"])).rejects.toThrow('"a" has "-1" frames');
    await expect(analyse(["a,b,\n"])).rejects.toThrow('it has no n_frames of "a"');
    await expect(analyse(["a,,3\n"])).rejects.toThrow('it has no speaker_id of "a"');
    await expect(analyse(["a,b,3\n", "a,b,3\n"])).rejects.toThrow('"a" is in it twice');
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
    expect(await filesOf(out)).toEqual(await filesOf(firstPlace));
    // and once more, with nothing to do
    passes.clear();
    const again = await run(gpu(), configOf(planted, out), {
      onProgress: ({ pass }) => passes.add(pass),
    });
    expect(again).toEqual(first);
    expect([...passes]).toEqual(["prepare, compare", "done, stored"]);
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
    const write = (key: string, text: string) => store.set(key, new TextEncoder().encode(text));
    await write("/notes.txt", "a");
    const refused = async () => {
      for (const overwrite of [false, true]) {
        await expect(run(gpu(), { ...config, out: strange }, { overwrite })).rejects.toThrow(
          "it holds files that are no results",
        );
      }
    };
    await refused();
    // what only has our name
    for (const text of ['{ "input": {} }', "null", "{"]) {
      await write("/condition.json", text);
      await refused();
    }
    await store.delete("/condition.json");
    await store.delete("/notes.txt");
    // what somebody put beside results stays there
    await run(gpu(), { ...config, out: strange });
    await write("/notes.txt", "b");
    await write("/models/lag9_old.zarr/zarr.json", "{}");
    await run(gpu(), { ...other, out: strange }, { overwrite: true });
    const keys = [...(await filesOf(strange)).keys()];
    expect(keys).toContain("/notes.txt");
    expect(keys).not.toContain("/models/lag9_old.zarr/zarr.json");
    expect(keys.filter((key) => key !== "/notes.txt")).toEqual([...(await filesOf(out)).keys()]);
  });

  it("leaves frames.zarr alone where that is somebody else's, such as the input", async () => {
    const folder = newPlace("beside the input");
    const latents = `${folder}/frames.zarr`;
    await writeGroups(planted, latents, 3);
    const arrays = newPlace("beside arrays");
    await writeFrames(`${arrays}/frames.zarr`);
    const others = newPlace("beside others");
    await writeGroups(planted, `${others}/frames.zarr`, 3);
    const isOwn = `Cannot write to ${folder}: ${latents} is read`;
    const isOthers = (out: string) =>
      `Cannot copy frames to ${out}/frames.zarr: it holds something else, name another place`;
    for (
      const [out, message] of [
        [folder, isOwn],
        [arrays, isOthers(arrays)],
        [others, isOthers(others)],
      ] as const
    ) {
      const files = await filesOf(out);
      for (const overwrite of [false, true]) {
        const config = { ...configOf(planted, out, ONE), input: { latents } };
        await expect(run(gpu(), config, { overwrite })).rejects.toThrow(message);
        expect(await filesOf(out)).toEqual(files);
      }
    }
  });

  it("says what is wrong with a configuration or an input before any work", async () => {
    const refused = async (more: Record<string, unknown>, message: string | RegExp) => {
      const config = { ...configOf(planted, newPlace("refused")), ...more };
      await expect(run(gpu(), config as ConditionConfig)).rejects.toThrow(message);
    };
    const input = inputOf(planted);
    const flat = { name: "a", context: "flat" };
    await refused(
      { lag: 1 },
      'there is no option "lag", "lags" may be meant, wanted one of input, out',
    );
    await refused({ holdouts: 0 }, 'there is no option "holdouts", "holdout" may be meant');
    await refused({ Seed: 1 }, '"seed" may be meant');
    await refused({ colour: 1 }, 'there is no option "colour", wanted one of');
    await refused({ lags: [0] }, "lags[0] is 0, wanted a whole number from 1");
    await refused({ out: "" }, 'out is "", wanted a place');
    await refused({ input: {} }, "input has none of latents and frames");
    await refused({ conditions: [flat] }, "a has none of clusters and quartile");
    await refused({ conditions: [{ ...flat, quartile: true }] }, "a has no components");
    await refused({ conditions: [{ ...flat, context: "max", clusters: 2 }] }, 'is "max"');
    await refused({ slices: ["loud"] }, 'slices[0] is "loud", wanted one of');
    await refused({ slices: ["medail"] }, 'slices[0] is "medail", "medial" may be meant');
    await refused({ shuffle: "nunpy" }, 'shuffle is "nunpy", "numpy" may be meant');
    await refused(
      { energyMedian: "all" },
      'energyMedian is "all", wanted one of frames, rows',
    );
    await refused(
      { thresholds: { ration: 1 } },
      'there is no option "thresholds.ration", "ratio" may be meant',
    );
    await refused(
      { conditions: [{ ...flat, quartile: true, components: 16 }] },
      "a has 16 components, which are 4^16 = 4,294,967,296 bins; ids of 32 bits tell 4^15 apart",
    );
    await refused({ minSeconds: 3 }, "minSeconds is 3 and frameRate is missing");
    await refused({ frameRate: 12.5 }, "frameRate is 12.5 and minSeconds is missing");
    await refused(
      { frameRate: 0, minSeconds: 3 },
      "frameRate is 0, wanted a number above 0",
    );
    await refused(
      { frameRate: 2, minSeconds: 50 },
      "all 18 utterances are shorter than 50 s at 2 frames a second",
    );
    await refused({ input: { ...input, index: "a.csv" } }, "input has both of index and segments");
    await refused({ input: { ...input, energy: 3 } }, "input.energy is 3, wanted a place");
    await refused({ trainShare: 1 }, "trainShare is 1, wanted a number from 0 below 1");
    await refused({ trainShare: 0.01 }, "of 6 speakers 0 are train and 6 eval");
    await refused({ speakers: { train: ["s1"], eval: ["s9"] } }, 'no utterance of "s9"');
    await refused({ speakers: { train: ["s1"], eval: ["s1"] } }, '"s1" is in train and eval twice');
    await refused(
      { speakers: { train: [1], eval: ["1"] } },
      'speakers 1 and "1" are in train and eval, wanted names of one kind',
    );
    await refused(
      { speakers: { train: [0.5], eval: ["s1"] } },
      "speakers.train[0] is 0.5, wanted a name",
    );
    await refused(
      { speakers: { train: [1], eval: ["s1"] } },
      "the speaker 1 is named, a number; in",
    );
    await refused(
      { holdout: ["1"] },
      'the train utterance "1" is named, a text; in the input they',
    );
    await refused({ holdout: [99] }, "there is no train utterance 99 to hold out");
    await refused(
      { holdout: [null] },
      "holdout[0] is null, wanted a name: a text or a whole",
    );
    await refused(
      { input: { ...input, speakers: [null, ...input.speakers.slice(1)] } },
      "that of segment 0 is null, wanted a text or a whole number",
    );
    await refused(
      { input: { ...input, speakers: [1, "1", ...input.speakers.slice(2)] } },
      'speaker is 1 of segment 0 and "1" of segment 1, wanted numbers or texts alone',
    );
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

  it("refuses a speaker that is nobody, or two that differ in kind alone", async () => {
    const refused = async (
      speakerId: (speaker: string) => unknown,
      message: string | RegExp,
    ) => {
      const latents = newPlace("nobody");
      await writeGroups(planted, latents, 2, { speakerId });
      const config = {
        ...configOf(planted, newPlace("refused speakers"), ONE),
        input: { latents },
      };
      await expect(run(gpu(), config)).rejects.toThrow(message);
    };
    const only = (value: unknown) => (speaker: string) => speaker === "s2" ? value : speaker;
    await refused(only(null), 's2-u0": its speaker_id is null, wanted a text or a whole number');
    await refused(only(""), 's2-u0": its speaker_id is "", wanted a text');
    await refused(only(true), 's2-u0" is true, wanted a text or a whole number');
    await refused(only(1.5), 's2-u0" is 1.5, wanted a text or a whole number up to 2^53');
    await refused(only(2 ** 60), "wanted a text or a whole number up to 2^53");
    await refused(
      only(3),
      'speaker_id is 3 of "s2-u0" and "s0" of "s0-u0", wanted numbers or texts',
    );
  });

  for (const format of [2, 3] as const) {
    it(`reads zarr ${format} as Python writes it, with names of any letters`, async () => {
      const rename = (id: string, i: number) =>
        `${id} ${["50%25", "#1", "a?b", "c\\d", "ü&+", "%"][i % 6]}`;
      const utterances = planted.utterances.map((own, i) => ({ ...own, id: rename(own.id, i) }));
      const latents = newPlace(`odd${format}`);
      await writeGroups({ ...planted, utterances }, latents, format);
      const store = await openStore(latents, { mode: "write" });
      // json.dumps({"snr": float("nan")}) and the like, in groups and in arrays
      const change = async (key: string, from: RegExp, to: string) => {
        const text = new TextDecoder().decode(await store.get(key));
        expect(text).toMatch(from);
        await store.set(key, new TextEncoder().encode(text.replace(from, to)));
      };
      const nan = '"snr": NaN, "gain": [-Infinity, Infinity], "say": "NaN \\" NaN", ';
      for (const { id } of utterances.slice(0, 3)) {
        await change(
          format === 3 ? `/${id}/zarr.json` : `/${id}/.zattrs`,
          /"speaker_id"/,
          `${nan}"speaker_id"`,
        );
        if (format === 2) await change(`/${id}/x/.zattrs`, /\{/, `{${nan}`);
        else await change(`/${id}/x/zarr.json`, /"attributes": ?\{/, `"attributes": {"snr": NaN`);
      }
      const config = {
        ...configOf(planted, newPlace(`oddly named${format}`), ONE),
        input: { latents },
      };
      const report = await run(gpu(), config);
      expect(numbersOf(report)).toEqual(numbersOf(first, "mean_vq4"));
      // and nothing that Python has no speaker for
      const key = format === 3
        ? `/${utterances[4]!.id}/zarr.json`
        : `/${utterances[4]!.id}/.zattrs`;
      await change(key, /"speaker_id": ?"s1"/, '"speaker_id": NaN');
      await expect(run(gpu(), { ...config, out: newPlace("nan") })).rejects.toThrow(
        "its speaker_id is null",
      );
    });
  }

  it("leaves out utterances without frames, and those that are too short, and counts them", async () => {
    const utterances = [
      ...planted.utterances,
      { id: "s0-u9", speaker: "s0", start: 0, end: 0 },
      { id: "s9-u0", speaker: "s9", start: 0, end: 0 },
    ];
    const wanted = numbersOf(first, "mean_vq4");
    for (const format of [2, 3] as const) {
      const latents = newPlace(`empty${format}`);
      await writeGroups({ ...planted, utterances }, latents, format);
      const config = {
        ...configOf(planted, newPlace(`emptied${format}`), ONE),
        input: { latents },
      };
      const report = await run(gpu(), config);
      expect(report.skipped).toEqual({ empty: 2, short: 0 });
      expect(numbersOf(report)).toEqual(wanted);
    }
    // of one array: a segment that ends where it begins
    const input = inputOf(planted);
    const segments = [
      ...input.segments.slice(0, 3),
      ...input.segments.slice(2),
      planted.energy.length,
    ];
    const speakers = [...input.speakers.slice(0, 3), ...input.speakers.slice(2), "s9"];
    const report = await run(gpu(), {
      ...configOf(planted, newPlace("emptied"), ONE),
      input: { ...input, segments, speakers },
    });
    expect(report.skipped).toEqual({ empty: 2, short: 0 });
    expect(report.utterances).toBe(18);
    expect(numbersOf(report)).toEqual(wanted);
    // 41 frames are 2.05 s at 20 frames a second, and not too short
    const lengths = planted.utterances.map(({ start, end }) => end - start);
    const short = lengths.filter((frames) => frames < 41).length;
    expect(lengths).toContain(41);
    const long = await run(gpu(), {
      ...configOf(planted, newPlace("long"), ONE),
      minSeconds: 2.05,
      frameRate: 20,
    });
    expect(long.skipped).toEqual({ empty: 0, short });
    expect(long.utterances).toBe(18);
    const used = Object.values(long.splits).reduce((sum, split) => sum + split.utterances, 0);
    expect(used).toBe(18 - short);
  });

  it("refuses an index that its groups contradict, and names the first", async () => {
    const latents = newPlace("indexed groups");
    await writeGroups(planted, latents, 2);
    type Row = Record<string, unknown>;
    const table: Row[] = planted.utterances.map(({ id, speaker, start, end }) => ({
      utterance_id: id,
      speaker_id: speaker,
      n_frames: end - start,
    }));
    const analyse = async (rows: Row[], kind = "json") => {
      const folder = newPlace("index of groups");
      const store = await openStore(folder, { mode: "write" });
      const names = ["utterance_id", "speaker_id", "n_frames"];
      const text = kind === "json" ? JSON.stringify(rows) : [
        names.join(),
        ...rows.map((row) => names.map((name) => row[name] ?? "").join()),
      ].join("\n");
      await store.set(`/index.${kind}`, new TextEncoder().encode(text));
      const input = { latents, index: `${folder}/index.${kind}` };
      return await run(gpu(), { ...configOf(planted, newPlace("by index"), ONE), input });
    };
    const changed = (at: number, changes: Row) =>
      table.map((row, i) => i === at ? { ...row, ...changes } : row);
    for (const kind of ["json", "csv"]) {
      expect(numbersOf(await analyse(table, kind))).toEqual(numbersOf(first, "mean_vq4"));
      await expect(analyse(changed(4, { n_frames: 7 }), kind)).rejects.toThrow(
        /says that "s1-u1" has 7 frames, its group has \d\d/,
      );
      await expect(analyse(changed(7, { speaker_id: "s5" }), kind)).rejects.toThrow(
        'says that "s2-u1" is of speaker "s5", its group says "s2"',
      );
      await expect(analyse(changed(2, { utterance_id: "s7-u7" }), kind)).rejects.toThrow(
        'it has "s7-u7", of which there is no group',
      );
      await expect(analyse(table.slice(1), kind)).rejects.toThrow(
        'it has no "s0-u0", of which there is a group',
      );
      await expect(analyse(changed(2, { utterance_id: null }), kind)).rejects.toThrow(
        "row 2 has no utterance_id",
      );
      // what it does not tell, the group does
      const silent = table.map((row) => ({ ...row, speaker_id: null, n_frames: null }));
      expect(numbersOf(await analyse(silent, kind))).toEqual(numbersOf(first, "mean_vq4"));
    }
    await expect(analyse(changed(3, { speaker_id: 1 }))).rejects.toThrow(
      'is of speaker 1, its group says "s1"',
    );
    await expect(analyse([["s0-u0"] as unknown as Row])).rejects.toThrow(
      "it has no column utterance_id",
    );
  });

  it("tells numbers from texts among the names of speakers and utterances", async () => {
    const latents = newPlace("numbered");
    await writeGroups(planted, latents, 2, { speakerId: (speaker) => Number(speaker.slice(1)) });
    const folder = newPlace("numbers");
    const table = planted.utterances.map(({ id, speaker }) => `${id},${speaker.slice(1)}\n`).join(
      "",
    );
    const store = await openStore(folder, { mode: "write" });
    await store.set("/index.csv", new TextEncoder().encode(`utterance_id,speaker_id\n${table}`));
    const analyse = async (more: Partial<ConditionConfig>) => {
      const config = {
        ...configOf(planted, newPlace("by number"), ONE),
        input: { latents },
        ...more,
      };
      return await run(gpu(), config);
    };
    const splits = { train: [0, 1, 2, 3], eval: [4] };
    const holdout = ["s1-u1", "s3-u0"];
    const report = await analyse({ speakers: splits, holdout });
    expect(report.splits).toMatchObject({
      train: { utterances: 10, speakers: 4 },
      holdout: { utterances: 2, speakers: 2 },
      eval: { utterances: 3, speakers: 1 },
    });
    expect(JSON.parse(await readText(places.at(-1)!, "/splits.json"))).toEqual({
      train_speakers: [0, 1, 2, 3],
      eval_speakers: [4],
      holdout_utterances: holdout,
    });
    // a table of text does not tell, and neither contradicts numbers nor makes them texts
    const index = `${folder}/index.csv`;
    const told = await analyse({ speakers: splits, holdout, input: { latents, index } });
    expect(numbersOf(told)).toEqual(numbersOf(report));
    await expect(analyse({ speakers: { train: ["0"], eval: ["4"] } })).rejects.toThrow(
      'the speaker "0" is named, a text; in the input they are numbers, as 0',
    );
    await expect(analyse({ holdout: [1] })).rejects.toThrow(
      "the train utterance 1 is named, a number",
    );
    await expect(analyse({ speakers: splits, holdout: ["s5-u0"] })).rejects.toThrow(
      'there is no train utterance "s5-u0" to hold out',
    );
    // without a name
    expect((await analyse({ holdout: [] })).splits.holdout!.utterances).toBe(0);
  });

  describe("an input that has changed", () => {
    const many = smallCorpus("cycle", { speakers: 8, utterances: 5 });
    /** Utterance 7 of 40, of which none but the first and every few were once looked at. */
    const changedCorpus = (): SmallCorpus => {
      const frames = many.frames.slice();
      const { start, end } = many.utterances[7]!;
      for (let at = start * 6; at < end * 6; at++) frames[at]! *= -1;
      return { ...many, frames };
    };

    it("is told from what it was in any of its groups", async () => {
      const latents = newPlace("forty");
      await writeGroups(many, latents, 2);
      const config = { ...configOf(many, newPlace("of forty"), ONE), input: { latents } };
      const before = await run(gpu(), config);
      const files = await filesOf(config.out);
      await writeGroups(changedCorpus(), latents, 2);
      await expect(run(gpu(), config)).rejects.toThrow(
        `Cannot go on with "${latents}": results are there of other frames, energies or names than it ` +
          "has now",
      );
      expect(await filesOf(config.out)).toEqual(files);
      const after = await run(gpu(), config, { overwrite: true });
      expect(numbersOf(after)).not.toEqual(numbersOf(before));
      const fresh = { ...config, out: newPlace("fresh") };
      expect(numbersOf(await run(gpu(), fresh))).toEqual(numbersOf(after));
      expect(await filesOf(config.out)).toEqual(await filesOf(fresh.out));
      // as it was before, it has changed once more
      await writeGroups(many, latents, 2);
      await expect(run(gpu(), config)).rejects.toThrow("other frames, energies or names");
    });

    it("is told by energies, speakers and lengths too, and of arrays", async () => {
      const analyse = (corpus: SmallCorpus, overwrite = false) =>
        run(gpu(), configOf(corpus, places.at(-1)!, ONE), { overwrite });
      newPlace("of arrays");
      const before = await analyse(many);
      expect(await analyse(many)).toEqual(before);
      const energy = many.energy.slice();
      energy[many.utterances[33]!.start + 20]! += 1;
      const utterances = many.utterances.map((own, i) => i === 9 ? { ...own, speaker: "s7" } : own);
      const shifted = many.utterances.map((own, i) =>
        i === 20 ? { ...own, end: own.end + 1 } : i === 21 ? { ...own, start: own.start + 1 } : own
      );
      for (
        const other of [
          changedCorpus(),
          { ...many, energy },
          { ...many, utterances },
          { ...many, utterances: shifted },
        ]
      ) {
        await expect(analyse(other)).rejects.toThrow("other frames, energies or names");
      }
      const after = await analyse(changedCorpus(), true);
      expect(numbersOf(after)).not.toEqual(numbersOf(before));
      await expect(analyse(many)).rejects.toThrow("other frames, energies or names");
    });

    it("is not gone on with", async () => {
      const latents = newPlace("interrupted groups");
      await writeGroups(many, latents, 2);
      const interrupt = async (out: string, pattern: RegExp) => {
        const config = { ...configOf(many, out, { ...ONE, lags: [1, 2] }), input: { latents } };
        const cancel = new AbortController();
        const running = run(gpu(), config, {
          signal: cancel.signal,
          onProgress: ({ pass }) => pattern.test(pass) && cancel.abort(new Error("enough")),
        });
        await expect(running).rejects.toThrow("enough");
        return config;
      };
      const copying = await interrupt(newPlace("copying"), /prepare, copy/);
      const begun = await interrupt(newPlace("begun"), /lag 2/);
      await writeGroups(changedCorpus(), latents, 2);
      await expect(run(gpu(), begun)).rejects.toThrow("other frames, energies or names");
      const fresh = newPlace("anew");
      const wanted = await run(gpu(), { ...begun, out: fresh });
      expect(await run(gpu(), begun, { overwrite: true })).toEqual(wanted);
      expect(await filesOf(begun.out)).toEqual(await filesOf(fresh));
      // a copy without results is made again
      expect(await run(gpu(), copying)).toEqual(wanted);
      expect(await filesOf(copying.out)).toEqual(await filesOf(fresh));
    });
  });

  it("keeps to a budget, and says what it needs", async () => {
    const small = await lendGpu({ budget: "300 KiB" });
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

  it("says what every condition takes before a frame is read, and takes no more", async () => {
    const own = configOf(planted, newPlace("planned"));
    const { frames } = inputOf(planted);
    let reads = 0;
    const counted = {
      ...frames,
      read: (...args: Parameters<typeof frames.read>) => {
        reads++;
        return frames.read(...args);
      },
    };
    const latents = newPlace("planned groups");
    await writeGroups(planted, latents, 3);
    for (const input of [{ ...inputOf(planted), frames: counted }, { latents }]) {
      const out = newPlace("planned");
      const analysis = await plan(gpu(), { ...own, input, out });
      try {
        expect(reads).toBe(0);
        expect([...(await filesOf(out)).keys()]).toEqual([]);
        const table = analysis.explain();
        expect(table).toMatch(/^Series "condition": 6 parts on /);
        // two lags of each
        for (const { name } of CONDITIONS!) expect(table).toMatch(new RegExp(`\\n${name} +2\\n`));
        const ofPca = table.slice(table.indexOf("\npca2_vq4"), table.indexOf("\npca2_quartile"));
        const works = ofPca.split("\n").slice(2).map((line) => /^ {2}(\S.*?) {2,}/.exec(line)?.[1]);
        expect(works).toEqual([
          "scores, ids and slices, all the while",
          "pca",
          "pca transform",
          "kmeans",
          "kmeans predict",
          "moments",
          "at most",
        ]);
        const { projected } = analysis;
        const most = { gpu: 0, host: 0 };
        const report = await analysis.run({
          onProgress: () => {
            const { reserved } = gpu().ledger;
            most.gpu = Math.max(most.gpu, reserved.gpu);
            most.host = Math.max(most.host, reserved.host);
          },
        });
        expect(numbersOf(report)).toEqual(numbersOf(first));
        expect(most).toEqual(projected);
      } finally {
        await analysis.close();
      }
      reads = 0;
    }
  });

  it("counts the bins of 13 to 15 components that have rows, or says how many would fit", async () => {
    const wide = smallCorpus("cycle", { speakers: 9, utterances: 6, features: 24, seed: 4 });
    const quartiles = [13, 15].map((components) => ({
      name: `pca${components}_quartile`,
      context: "flat" as const,
      components,
      quartile: true,
    }));
    const conditions = { lags: [1], conditions: quartiles, minClusterSize: 1 };
    const { results } = await run(gpu(), configOf(wide, newPlace("bins"), conditions));
    for (const [i, { clusters, effectiveClusters, train, eval: other }] of results.entries()) {
      const { components } = quartiles[i]!;
      expect(clusters).toBe(4 ** components);
      const { rows, clusters: taken } = train.slices.all!;
      // every bin that has a train row counts, and every train row is in one
      expect([rows, taken]).toEqual([train.rows, effectiveClusters]);
      expect(effectiveClusters).toBeLessThanOrEqual(train.rows);
      expect(other.slices.all!.rows).toBeLessThanOrEqual(other.rows);
      const arrays = await readModel(
        `${places.at(-1)!}/models/lag1_pca${components}_quartile.zarr`,
      );
      const ids = [...arrays.cluster_ids as Int32Array];
      expect(ids).toEqual(ids.slice().sort((a, b) => a - b));
      expect(ids.at(-1)!).toBeGreaterThan(4 ** 12);
      expect((arrays.cluster_rows as Float64Array).reduce((sum, count) => sum + count)).toBe(
        train.rows,
      );
    }
    const tight = await lendGpu({ budget: { gpu: "64 MiB", host: "2 MiB" } });
    try {
      const out = newPlace("tight");
      const refusal = run(tight, configOf(wide, out, conditions));
      await expect(refusal).rejects.toThrow(BudgetError);
      const message = String(await refusal.catch(String));
      const pattern = new RegExp(
        "Cannot analyse pca13_quartile: up to [\\d,]+ clusters of at least 1 of [\\d,]+ rows need \\d\\.\\d+ MiB of host " +
          "memory, \\d\\.\\d+ MiB of the budget of 2.00 MiB is free; [\\d,]+ would fit \\(minClusterSize (\\d+)\\)",
      );
      expect(message).toMatch(pattern);
      expect([...(await filesOf(out)).keys()]).toEqual([]);
      const minClusterSize = Number(pattern.exec(message)![1]);
      const one = { ...conditions, conditions: quartiles.slice(0, 1), minClusterSize };
      expect((await run(tight, configOf(wide, out, one))).results.length).toBe(1);
      expect(tight.ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
    } finally {
      tight.close();
    }
  });

  it("refuses tables of 2 GiB and more where nothing is said of the host, before it reads", async () => {
    const [rows, features] = [4_000_000, 512];
    let reads = 0;
    const frames = {
      shape: [rows, features],
      dtype: "float32" as const,
      dims: undefined,
      chunkRows: 1000,
      read: () => Promise.reject(new Error(`read ${++reads}`)),
      close: () => Promise.resolve(),
    };
    const input = { frames, segments: [0, rows / 2], speakers: ["a", "b"] };
    const analyse = (minClusterSize: number, components: number) => {
      const conditions = [{ name: "bins", context: "mean" as const, components, quartile: true }];
      const speakers = { train: ["a"], eval: ["b"] };
      const out = newPlace("huge");
      return run(gpu(), {
        input,
        out,
        speakers,
        holdout: 0,
        lags: [1],
        conditions,
        minClusterSize,
      });
    };
    await expect(analyse(1, 13)).rejects.toThrow(
      /up to 1,999,992 clusters of at least 1 of 1,999,992 rows need \d+\.?\d* GiB of host memory, .* GiB is free/,
    );
    expect(reads).toBe(0);
    // what fits is begun
    await expect(analyse(100, 13)).rejects.toThrow("read 1");
  });
});
