import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import { readTable } from "../../src/io/table.ts";
import { runCli } from "../support/cli.ts";
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
    expect(run.stderr).toMatch(/lag 1 mean_vq4, kmeans iterate/);
    expect(run.code).toBe(0);
    const own = JSON.parse(run.stdout);
    expect(own).toMatchObject({ passed: true, features: 6, utterances: 18 });
    expect(own.conditions[0].evalRatio).toBeLessThan(0.1);
    expect(await readFile(file("out/report.html"), "utf8")).toMatch(/<svg/);

    const groups = { input: { latents: file("latents.zarr"), index: PARQUET }, out: file("other") };
    const other = await condition(groups, "--quiet");
    expect(other.code).toBe(0);
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
      onStderr: (text, kill) => /lag 2 mean_vq4/.test(text) && kill("SIGKILL"),
    });
    expect(killed.code).not.toBe(0);
    const again = await runCli(args);
    expect(again.code).toBe(0);
    expect(again.stderr).not.toMatch(/lag 1/);
    expect(again.stderr).toMatch(/lag 2/);
    const { results } = JSON.parse(await readFile(file("killed/metrics.json"), "utf8"));
    expect(results.map(({ lag }: { lag: number }) => lag)).toEqual([1, 2]);
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
    await refused({ lags: [0] }, 2, /a lag is 0/);
    await refused(
      { input: { frames: file("none.npy"), segments: [0], speakers: [1] } },
      2,
      /no such file/,
    );
    await refused({}, 3, /the budget is 4.00 KiB/);
  });
});

describe("readTable()", () => {
  it("reads parquet as pyarrow writes it", async () => {
    const rows = await readTable(PARQUET);
    expect(rows.length).toBe(18);
    expect(rows[2]).toEqual({
      utterance_id: "s0-u2",
      speaker_id: "s0",
      n_frames: "38",
      duration: "",
    });
    expect(rows[17]).toEqual({
      utterance_id: "s5-u2",
      speaker_id: "s5",
      n_frames: "53",
      duration: "1.36",
    });
  });
});
