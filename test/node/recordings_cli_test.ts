import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import { runCli } from "../support/cli.ts";
import { libraryArrays, libraryFile } from "../support/library_files.ts";
import { runtime } from "../support/runtime.ts";

const MODEL = ["--bin-size", "5", "--position-std", "5", "--movement-var", "9", "--step", "0.1"];
const SERIES = "processing/behavior/Position";
const { times, position, spike_times, spike_units } = libraryArrays("nwb");

let folder: string;
let places: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-recordings-${runtime}-`));
  for (
    const name of [
      "stamps.nwb",
      "steady.nwb",
      "two.nwb",
      "latest.h5",
      "zstd.parquet",
      "x.safetensors",
    ]
  ) {
    await writeFile(join(folder, name), await libraryFile(name));
  }
  const arrays = { times, position, spike_times, spike_units };
  for (const [name, array] of Object.entries(arrays)) {
    await writeFile(join(folder, `${name}.npy`), encodeNpy(array!.values));
  }
  places = ["--position-times", "times.npy", "--position", "position.npy"]
    .map((arg) => arg.endsWith(".npy") ? join(folder, arg) : arg);
  await writeSorting();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The same spikes as samples at 30 kHz, with a unit that is noise between them. */
async function writeSorting(): Promise<void> {
  const spikes = Array.from(spike_times!.values as Float64Array, (time, i) => [
    Math.round(time * 30_000),
    Number(spike_units!.values[i]),
  ]);
  for (let i = 0; i < 60; i++) spikes.push([30_000_000 + 4321 * i, 44]);
  spikes.sort(([a], [b]) => a! - b!);
  const phy = join(folder, "phy");
  await mkdir(phy);
  const files = {
    "spike_times.npy": encodeNpy(BigInt64Array.from(spikes, ([sample]) => BigInt(sample!))),
    "spike_clusters.npy": encodeNpy(Int32Array.from(spikes, ([, unit]) => unit!)),
    "params.py": "sample_rate = 30000.0\n",
    "cluster_group.tsv": "cluster_id\tgroup\n7\tgood\n2\tgood\n9\tgood\n44\tnoise\n",
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(phy, name), content);
}

const inFolder = (args: readonly string[]) => args.map((arg) => arg.replace(/^@/, `${folder}/`));

let outputs = 0;
async function decode(...args: string[]) {
  const out = join(folder, `out-${outputs++}.zarr`);
  const run = await runCli(["decode", ...inFolder(args), ...MODEL, "--out", out, "--json"]);
  return { ...run, answer: JSON.parse(run.stdout) };
}

describe("sluice decode RECORDING", () => {
  let wanted: { marginalLogLikelihood: number; unitIds: number[]; rows: number };

  beforeAll(async () => {
    const spikes = ["--spike-times", "@spike_times.npy", "--spike-units", "@spike_units.npy"];
    const { code, answer } = await decode(...spikes, ...places);
    expect(code).toBe(0);
    wanted = answer;
    expect(wanted.unitIds).toEqual([2, 7, 9]);
  });

  it.each([
    ["an NWB file with timestamps", ["@stamps.nwb"], /position in cm from .*stamps.nwb/],
    ["an NWB file with a start and a rate", ["@steady.nwb"], /182 spikes of 3 units/],
    [
      "one position of an NWB file that has two",
      ["@two.nwb", "--position", `@two.nwb/${SERIES}/tail`],
      /two.nwb\/processing\/behavior\/Position\/tail/,
    ],
    [
      "spikes of an NWB file, and a position beside it",
      ["@two.nwb", "--position", "@position.npy", "--position-times", "@times.npy"],
      /two.nwb\/units/,
    ],
    [
      "arrays in files",
      [
        "--spike-times",
        "@stamps.nwb/units/spike_times",
        "--spike-units",
        "@spike_units.npy",
        "--position-times",
        `@steady.nwb/${SERIES}/led/timestamps`,
        "--position",
        `@steady.nwb/${SERIES}/led`,
      ],
      /Plan "decode"/,
    ],
  ])("gives for %s what plain arrays give", async (_, args, note) => {
    const { code, answer, stderr } = await decode(...args);
    expect(code).toBe(0);
    expect(answer.unitIds).toEqual(wanted.unitIds);
    expect(answer.marginalLogLikelihood).toBe(wanted.marginalLogLikelihood);
    expect(stderr).toMatch(note);
    expect(stderr.includes("were not ascending")).toBe(args.includes("--spike-times"));
  });

  it("gives for a folder of phy what its good units give, and says so", async () => {
    const { code, answer, stderr } = await decode("@phy", ...places);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /182 spikes of the 3 units of 4 that are good by cluster_group.tsv, from .*phy, at 30000 samples/,
    );
    expect(answer.unitIds).toEqual(wanted.unitIds);
    // times are rounded to samples
    expect(answer.marginalLogLikelihood).toBeCloseTo(wanted.marginalLogLikelihood, 6);
    const all = await decode("@phy", "--units", "all", ...places);
    expect(all.answer.unitIds).toEqual([2, 7, 9, 44]);
    expect(all.stderr).toMatch(/242 spikes of all 4 units/);
  });

  it.each([
    [
      "an NWB file with two positions",
      ["@two.nwb"],
      /it has 2 positions .*--position .*head or --position .*tail/,
    ],
    ["a file that is no recording", ["@latest.h5"], /it is no NWB file; name its arrays/],
    ["a folder that is none", ["@"], /wanted an NWB file .* or a folder of Kilosort or phy/],
    [
      "a folder of phy without a position",
      ["@phy"],
      /phy" has no position, wanted --position-times and --position/,
    ],
    ["units of an NWB file", ["@stamps.nwb", "--units", "good"], /--units is for folders/],
    ["units of no recording", ["--units", "all"], /--units is for folders/],
    [
      "no position",
      ["--spike-times", "@a.npy", "--spike-units", "@b.npy"],
      /--position-times and --position are missing/,
    ],
    ["texts for a position", [
      "@stamps.nwb",
      "--position",
      "@latest.h5/texts",
      "--position-times",
      "@times.npy",
    ], /it holds texts/],
    ["an array of absurd shape", [
      "@stamps.nwb",
      "--position",
      "@latest.h5/absurd",
      "--position-times",
      "@times.npy",
    ], /shape \[1125899906842624, 6\] takes .*wanted at most 2.00 GiB/],
  ])("refuses %s, and says what to type", async (_, args, message) => {
    const { code, answer } = await decode(...args);
    expect(answer.error.message).toMatch(message);
    expect(code).toBe(2);
  });
});

describe("sluice info FILE", () => {
  const info = (...args: string[]) => runCli(["info", ...inFolder(args)]);

  it("shows arrays with shapes and types, and what may be typed next", async () => {
    const { code, stdout } = await info("@two.nwb");
    expect(code).toBe(0);
    expect(stdout).toMatch(/a recording in NWB, with units, 2 positions/);
    expect(stdout).toMatch(/two.nwb\/units\/spike_times +\[182\] +float64/);
    expect(stdout).toMatch(/sluice decode .*two.nwb --position .*Position\/head --bin-size S/);
    const { stdout: sorting } = await info("@phy");
    expect(sorting).toMatch(
      /242 spikes of 4 units, 3 of them good by cluster_group.tsv, 30000 samples/,
    );
    expect(sorting).toMatch(/sluice decode .*phy --position-times PT --position P/);
  });

  it("tells programs the same", async () => {
    const { stdout } = await info("@zstd.parquet", "--json");
    const { arrays, next } = JSON.parse(stdout);
    expect(arrays).toContainEqual({
      place: `${folder}/zstd.parquet/observation.state`,
      shape: [30, 4],
      dtype: "float32",
    });
    expect(arrays.find(({ place }: { place: string }) => place.endsWith("/text")).refused)
      .toMatch(/BYTE_ARRAY UTF8/);
    expect(next[0]).toBe(
      `sluice kmeans --input ${folder}/zstd.parquet/observation.state --k 16 --out PLACE`,
    );
    const part = JSON.parse((await info("@latest.h5/deep", "--json")).stdout);
    expect(part.arrays.map(({ place }: { place: string }) => place)).toEqual(
      ["chunked", "growing", "gzip"].map((name) => `${folder}/latest.h5/deep/er/${name}`),
    );
  });

  it("writes out what would turn the terminal's colours or the direction of text", async () => {
    for (const args of [[], ["--json"]]) {
      const { stdout } = await info("@latest.h5", ...args);
      expect(stdout).toContain("evil\\u001b[31m\\u202e");
      // deno-lint-ignore no-control-regex -- that is what must not be there
      expect(stdout).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/);
    }
    const { code, stderr } = await info("@latest.h5/\x1b[2Jx");
    expect(code).toBe(2);
    expect(stderr).toContain("\\u001b[2Jx");
    expect(stderr).not.toContain("\x1b");
  });

  it("refuses what it cannot list", async () => {
    const { code, stderr } = await info("@");
    expect(code).toBe(2);
    expect(stderr).toMatch(/wanted a file in .npy, .npz, .* or a folder of Kilosort or phy/);
    const only = await info("@latest.h5/lzf");
    expect([only.code, only.stdout]).toEqual([2, ""]);
    expect(only.stderr).toMatch(/latest.h5\/lzf": its chunks are compressed by lzf/);
  });
});
