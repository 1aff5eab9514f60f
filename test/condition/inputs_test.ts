import { beforeAll, describe, expect, it } from "vitest";
import type { ConditionConfig, ConditionReport } from "../../src/condition/condition.ts";
import { run } from "../../src/condition/condition.ts";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { openStore } from "../../src/store/open_store.ts";
import { writeGroups } from "../support/corpus.ts";
import { useGpu } from "../support/gpu.ts";
import { removeAfterAll } from "../support/kept_states.ts";
import {
  configOf,
  inputOf,
  numbersOf,
  ONE,
  placesOf,
  planted,
  readText,
} from "../support/small_conditioning.ts";

const gpu = useGpu();
const { newPlace, lastPlace } = placesOf("condition_inputs");
removeAfterAll("memory:condition_inputs");

/** The analysis that others are compared with. */
let first: ConditionReport;
beforeAll(async () => {
  first = await run(gpu(), configOf(planted, newPlace("planted")));
});

describe("what condition.run() reads", () => {
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
    const splits = JSON.parse(await readText(lastPlace(), "/splits.json"));
    expect(splits.holdout_utterances[0]).toMatch(/^s\d-u\d$/);
    await expect(analyse(table.slice(1))).rejects.toThrow(/utterances have \d+ frames together/);
    await expect(analyse(["a,b,-1\n"])).rejects.toThrow('"a" has "-1" frames');
    await expect(analyse(["a,b,\n"])).rejects.toThrow('it has no n_frames of "a"');
    await expect(analyse(["a,,3\n"])).rejects.toThrow('it has no speaker_id of "a"');
    await expect(analyse(["a,b,3\n", "a,b,3\n"])).rejects.toThrow('"a" is in it twice');
    await expect(analyse([])).rejects.toThrow("it has no rows");
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
    expect(JSON.parse(await readText(lastPlace(), "/splits.json"))).toEqual({
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
});
