import { writeFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import type { ConditionConfig } from "../../src/condition/condition.ts";
import { run } from "../../src/condition/condition.ts";
import { readTable } from "../../src/io/table.ts";
import { runCli } from "../support/cli.ts";
import { lendGpu } from "../support/gpu.ts";
import { smallCorpus, writeGroups } from "../support/corpus.ts";
import { runtime } from "../support/runtime.ts";

const PARQUET = "test/fixtures/latents_index.parquet";
const corpus = smallCorpus("cycle");
let folder: string;
const file = (name: string) => join(folder, name);
let config: Record<string, unknown>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-condition-${runtime}-`));
  const { frames, energy, features, utterances } = corpus;
  await writeFile(file("frames.npy"), encodeNpy(frames, [energy.length, features]));
  await writeFile(file("energy.npy"), encodeNpy(energy));
  const segments = Int32Array.from(utterances, ({ start }) => start);
  await writeFile(file("segments.npy"), encodeNpy(segments));
  const speakers = utterances.map(({ speaker }) => speaker);
  await writeFile(file("speakers.json"), JSON.stringify(speakers));
  await writeGroups(corpus, file("latents.zarr"), 2);
  config = {
    input: {
      frames: file("frames.npy"),
      segments: file("segments.npy"),
      speakers: file("speakers.json"),
      energy: file("energy.npy"),
    },
    out: file("out"),
    window: 3,
    lags: [1],
    conditions: [{ name: "mean_vq4", context: "mean", clusters: 4, inits: 2 }],
    minClusterSize: 20,
    minSpeakerRows: 40,
  };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function condition(changes: Record<string, unknown> = {}, ...args: string[]) {
  await writeFile(file("config.json"), JSON.stringify({ ...config, ...changes }));
  return await runCli(["condition", file("config.json"), ...args]);
}

describe("sluice condition", () => {
  it("analyses one array and a store of groups alike, and refuses other results", async () => {
    const run = await condition({}, "--json");
    expect(run.stderr).toMatch(/^Series "condition": 1 part on .*\n(.*\n)*mean_vq4 +1\n/);
    expect(run.stderr).toMatch(/lag 1 mean_vq4, kmeans iterate/);
    expect(run.code).toBe(0);
    const own = JSON.parse(run.stdout);
    expect(own).toMatchObject({ passed: true, features: 6, utterances: 18 });
    expect(own.conditions[0].evalRatio).toBeLessThan(0.1);
    expect(await readFile(file("out/report.html"), "utf8")).toMatch(/<svg/);

    const groups = { input: { latents: file("latents.zarr"), index: PARQUET }, out: file("other") };
    const other = await condition(groups, "--quiet");
    expect(other.code).toBe(0);
    expect(other.stderr).toBe("");
    expect(other.stdout).toMatch(/other: passed; train \d+ rows of 4 speakers/);
    const tables = ["out", "other"].map((name) => readTable(`${file(name)}/tables.csv`));
    expect(await tables[0]).toEqual(await tables[1]);

    const refused = await condition({ seed: 43 }, "--json", "--quiet");
    expect(JSON.parse(refused.stdout).error.message).toMatch(/the results of another analysis/);
    expect(refused.code).toBe(5);
  });

  it("goes on after a kill with what was not finished", async () => {
    const changes = { out: file("killed"), lags: [1, 2] };
    await writeFile(file("killed.json"), JSON.stringify({ ...config, ...changes }));
    const args = ["condition", file("killed.json")];
    const killed = await runCli(args, {
      stopAt: /lag 2 mean_vq4/,
      onStop: (kill) => kill("SIGKILL"),
    });
    expect(killed.code).not.toBe(0);
    const again = await runCli(args);
    expect(again.code).toBe(0);
    expect(again.stderr).not.toMatch(/lag 1/);
    expect(again.stderr).toMatch(/lag 2/);
    const { results } = JSON.parse(await readFile(file("killed/metrics.json"), "utf8"));
    expect(results.map(({ lag }: { lag: number }) => lag)).toEqual([1, 2]);
  });

  it("tells an input that has changed from what it was, and copies it again to overwrite", async () => {
    const [latents, out] = [file("changing.zarr"), file("changing")];
    // names that mean something in addresses, to shells or on other systems
    const utterances = corpus.utterances.map((own, i) => ({
      ...own,
      id: `${own.id} ${["50%25", "#1", "a?b", "c\\d", "%", "é"][i % 6]}`,
    }));
    await writeGroups({ ...corpus, utterances }, latents, 2);
    const changes = { input: { latents }, out };
    const run = async (...args: string[]) => {
      const { code, stdout } = await condition(changes, "--json", "--quiet", ...args);
      return { code, ...JSON.parse(stdout) };
    };
    const before = await run();
    expect(before).toMatchObject({ code: 0, utterances: 18 });
    // one value of one group, at the same size and time
    const chunk = join(latents, utterances[7]!.id, "x", "0.0");
    const { mtime, atime } = await stat(chunk);
    const bytes = new Uint8Array(await readFile(chunk));
    // a sign in frame 10, which is a target
    const sign = 4 * (10 * corpus.features + 1) + 3;
    bytes[sign]! ^= 0x80;
    await writeFile(chunk, bytes);
    await utimes(chunk, atime, mtime);
    const refused = await run();
    expect(refused.code).toBe(5);
    expect(refused.error.message).toMatch(
      /Cannot go on with ".*changing.zarr": results are there of other frames, energies or names/,
    );
    const after = await run("--overwrite");
    expect(after.code).toBe(0);
    expect(after.conditions).not.toEqual(before.conditions);
    // as it was, which it is known to be by what is in it
    bytes[sign]! ^= 0x80;
    await writeFile(chunk, bytes);
    expect((await run()).code).toBe(5);
    expect((await run("--overwrite")).conditions).toEqual(before.conditions);
    await utimes(chunk, new Date(), new Date());
    expect(await run()).toEqual(before);
  });

  it("takes lists of speakers and utterances, and says what a misspelt option may mean", async () => {
    // two utterances of s1 are too short, and the third is held out
    const changes = {
      out: file("named"),
      speakers: { train: ["s0", "s1", "s2"], eval: ["s4", "s5"] },
      holdout: [3],
      minSeconds: 3,
      frameRate: 12.5,
    };
    const run = await condition(changes, "--quiet");
    expect(run.code).toBe(0);
    const short = corpus.utterances.filter(({ start, end }) => end - start < 37.5).length;
    expect(run.stdout).toMatch(
      new RegExp(
        `train \\d+ rows of 2 speakers, holdout \\d+ rows of 1 .* less ${short} that are too`,
      ),
    );
    const splits = JSON.parse(await readFile(file("named/splits.json"), "utf8"));
    expect(splits).toEqual({
      train_speakers: ["s0", "s1", "s2"],
      eval_speakers: ["s4", "s5"],
      holdout_utterances: [3],
    });
    const misspelt = await condition({ out: file("misspelt"), holdOut: 0 }, "--json", "--quiet");
    expect(misspelt.code).toBe(2);
    expect(JSON.parse(misspelt.stdout).error.message).toMatch(
      /there is no option "holdOut", "holdout" may be meant/,
    );
  });

  it("says what is wrong: code 2; over budget: code 3", async () => {
    const refused = async (changes: Record<string, unknown>, code: number, message: RegExp) => {
      const run = await condition(
        { out: file("refused"), ...changes },
        "--json",
        "--quiet",
        "--budget",
        "4KiB",
      );
      expect(JSON.parse(run.stdout).error.message).toMatch(message);
      expect(run.code).toBe(code);
    };
    await refused({ lags: [0] }, 2, /lags\[0\] is 0/);
    await refused(
      { input: { frames: file("none.npy"), segments: [0], speakers: [1] } },
      2,
      /no such file/,
    );
    await refused({}, 3, /the budget is 4.00 KiB/);
    const args = ["--json", "--quiet", "--host-budget", "1KiB"];
    const host = await condition({ out: file("refused") }, ...args);
    expect(JSON.parse(host.stdout).error.message).toMatch(/of host memory, .*1.00 KiB/);
    expect(host.code).toBe(3);
  });
});

describe("condition.run()", () => {
  it("reads files that lie still for a digest once, and leaves nothing of them in the results", async () => {
    const [latents, out] = [file("still.zarr"), file("still")];
    const { now } = Date;
    const before = now();
    await writeGroups(corpus, latents, 2);
    const own = { ...config, input: { latents }, out } as unknown as ConditionConfig;
    const gpu = await lendGpu();
    const passesOf = async (changes: Partial<ConditionConfig> = {}) => {
      const passes = new Set<string>();
      await run(gpu, { ...own, ...changes }, { onProgress: ({ pass }) => passes.add(pass) });
      return [...passes].filter((pass) => /compare|copy|stored/.test(pass));
    };
    try {
      // written a moment ago, files may be written again at what is the same time to their clock
      Date.now = () => before;
      expect(await passesOf()).toEqual(["prepare, copy", "done, stored"]);
      // an hour later they have lain still
      Date.now = () => now() + 3600_000;
      expect(await passesOf()).toEqual(["prepare, compare", "done, stored"]);
      expect(await passesOf()).toEqual(["done, stored"]);
      expect(await readdir(`${out}.journal`)).toEqual(["input.json"]);
      // of one array too
      const arrays = { input: own.input, out: file("still array") };
      arrays.input = config.input as ConditionConfig["input"];
      expect(await passesOf(arrays)).toEqual(["prepare, compare", "done, stored"]);
      expect(await passesOf(arrays)).toEqual(["done, stored"]);
      const bytes = await readFile(file("energy.npy"));
      await writeFile(file("energy.npy"), bytes);
      expect(await passesOf(arrays)).toEqual(["prepare, compare", "done, stored"]);
      // equal runs are equal bytes, whenever their files were written
      const [copied, fresh] = [file("copied.zarr"), file("fresh")];
      await writeGroups(corpus, copied, 2);
      await passesOf({ input: { latents: copied }, out: fresh });
      const names = (await readdir(out, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
      expect(names.length).toBeGreaterThan(10);
      for (const name of names) {
        expect(await readFile(name), name).toEqual(await readFile(name.replace(out, fresh)));
      }
    } finally {
      Date.now = now;
      gpu.close();
    }
  });

  it("stores nothing of files that change while it runs", async () => {
    const [frames, out] = [file("moving.npy"), file("moving")];
    const bytes = await readFile(file("frames.npy"));
    await writeFile(frames, bytes);
    const input = { ...config.input as object, frames } as ConditionConfig["input"];
    const gpu = await lendGpu();
    try {
      const running = run(gpu, { ...config, input, out } as unknown as ConditionConfig, {
        onProgress: ({ pass }) => {
          if (/lag 1.*deltas/.test(pass)) writeFileSync(frames, bytes.fill(1, bytes.length - 1));
        },
      });
      await expect(running).rejects.toThrow(
        /"\/.*moving.npy": its files changed while they were read/,
      );
      expect(await readdir(out)).toEqual(["condition.json", "models"]);
    } finally {
      gpu.close();
    }
  });
});

describe("readTable()", () => {
  it("reads parquet as pyarrow writes it", async () => {
    const rows = await readTable(PARQUET);
    expect(rows.length).toBe(18);
    expect(rows[2]).toEqual({
      utterance_id: "s0-u2",
      speaker_id: "s0",
      n_frames: "41",
      duration: "",
    });
    expect(rows[17]).toEqual({
      utterance_id: "s5-u2",
      speaker_id: "s5",
      n_frames: "44",
      duration: "1.36",
    });
  });
});
