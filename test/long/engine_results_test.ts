import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import { cliCommand } from "../support/cli_process.ts";
import { runCli } from "../support/cli.ts";
import type { TestRedis, TestSlurm, TestWorkers } from "../support/engines.ts";
import { seeded } from "../support/random.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";

const ROWS = 600_000;
const RECORDINGS = 8;

const support = runtime === "chromium" ? undefined : await import("../support/engines.ts");
const noPrograms = "browsers start no programs";
const noSlurm = support ? support.whyMissing("slurmctld", "slurmd", "munged") : noPrograms;
const noRedis = support ? support.whyMissing("redis-server") : noPrograms;
let folder: string;

const cli = async (...args: string[]) => {
  const { code, stdout, stderr } = await runCli([...args, "--quiet"], { cwd: folder });
  expect([args[0], code, stderr]).toEqual([args[0], 0, expect.anything()]);
  return stdout;
};

/** Bytes of all files of a result. */
const filesOf = (name: string) =>
  Object.fromEntries(
    readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name: file }) => join(parentPath, file))
      .map((file) => [file.slice(join(folder, name).length), readFileSync(file, "latin1")]),
  );

/** Rows that parts share, and commands that are parts. */
const CONFIGS: Record<string, { outs: string[]; parts: string[] }> = {
  scores: { outs: ["scores.zarr"], parts: ["--parts", "3"] },
  centres: { outs: ["centres.zarr"], parts: ["--parts", "3"] },
  components: { outs: ["components.zarr"], parts: ["--parts", "3"] },
  lanes: { outs: ["lanes.zarr"], parts: ["--parts", "3"] },
  recordings: {
    outs: Array.from({ length: RECORDINGS }, (_, i) => `r${i}.zarr`),
    parts: [],
  },
};
const alone: Record<string, Record<string, string>> = {};

beforeAll(async () => {
  if (!support) return;
  folder = mkdtempSync(join(tmpdir(), "sluice-engine-results-"));
  const random = seeded(5);
  const write = (name: string, rows: number) =>
    writeFileSync(
      join(folder, `${name}.npy`),
      encodeNpy(Float32Array.from({ length: 4 * rows }, () => random()), [rows, 4]),
    );
  write("fit", 2000);
  write("rows", ROWS);
  // more than a section for each part
  write("points", 13_000);
  for (let i = 0; i < RECORDINGS; i++) write(`r${i}`, 500 + i);
  await cli("pca", "--input", "fit.npy", "--components", "4", "--out", "fit.zarr");
  const transform = (
    input: string,
    out: string,
  ) => ["transform", "fit.zarr", "--input", input, "--out", out];
  const kmeans = "kmeans --k 5 --n-init 1 --max-iter 8 --tolerance 0 --input points.npy".split(" ");
  const pca = "pca --components 2 --input points.npy".split(" ");
  const commands = {
    centres: [[...kmeans, "--out", "centres.zarr"]],
    components: [[...pca, "--out", "components.zarr"]],
    lanes: [[...writeRecording(), "--out", "lanes.zarr"]],
    scores: [transform("rows.npy", "scores.zarr")],
    recordings: CONFIGS.recordings!.outs.map((out, i) => transform(`r${i}.npy`, out)),
  };
  for (const [name, own] of Object.entries(commands)) {
    const config = { ...own.length > 1 && { place: name }, commands: own };
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(config));
    for (const command of own) {
      const out = command.at(-1)!;
      await cli(...command);
      alone[out] = filesOf(out);
    }
  }
  const { attributes } = JSON.parse(alone["lanes.zarr"]!["/zarr.json"]!);
  // of one lane, until it met what it had left
  expect(JSON.parse(attributes.lanes).redone_rows).toBe(1024);
});

/** A recording in which nothing fires before one of eight lanes: it starts wrong. Gives a decode of it. */
function writeRecording(): string[] {
  const { position, spikes } = smallRecording({ seconds: 184.3 });
  const isHeard = (_: unknown, i: number) => spikes.times[i]! < 109 || spikes.times[i]! > 117;
  const arrays = {
    "position-times": position.times,
    position: position.values,
    "spike-times": spikes.times.filter(isHeard),
    "spike-units": Int32Array.from(spikes.units.filter(isHeard)),
  };
  const flags = Object.entries(arrays).flatMap(([name, values]) => {
    writeFileSync(join(folder, `${name}.npy`), encodeNpy(values, [values.length]));
    return [`--${name}`, `${name}.npy`];
  });
  const model = "--bin-size 4 --position-std 3 --movement-var 1 --step 0.02 --lanes 8";
  return ["decode", ...flags, ...model.split(" "), "--burn-in-rows", "384"];
}

afterAll(() => {
  if (support) rmSync(folder, { recursive: true, force: true });
});

/** Has an engine make all anew, and compares. */
async function expectSame(on: string, ...options: string[]): Promise<void> {
  for (const name of Object.keys(CONFIGS)) await expectSameOf(name, on, ...options);
}

async function expectSameOf(name: string, on: string, ...options: string[]): Promise<void> {
  const { outs, parts } = CONFIGS[name]!;
  for (const file of readdirSync(folder)) {
    const isOf = outs.some((out) => file === out || file.startsWith(`${out}.`));
    if (isOf || file.startsWith(`${name}.journal`)) {
      rmSync(join(folder, file), { recursive: true });
    }
  }
  await cli("submit", `${name}.json`, ...parts, "--on", on, ...options);
  await support!.untilDone(join(folder, outs.length > 1 ? name : outs[0]!));
  for (const out of outs) expect([out, filesOf(out)]).toEqual([out, alone[out]]);
}

describe("results by way of Slurm", () => {
  if (noSlurm !== undefined) {
    it("are those of one process", (context) => context.skip(noSlurm));
    return;
  }
  let slurm: TestSlurm;
  beforeAll(async () => {
    mkdirSync(join(folder, "slurm"));
    slurm = await support!.TestSlurm.start(join(folder, "slurm"));
  });
  afterAll(() => slurm.stop());

  for (const on of ["slurm", "slurm-steps"]) {
    it(`are those of one process, byte by byte, on ${on}`, async () => {
      await expectSame(on, "--sbatch", "--mem=100");
    });
  }
});

describe("results by way of BullMQ", () => {
  if (noRedis !== undefined) {
    it("are those of one process", (context) => context.skip(noRedis));
    return;
  }
  let redis: TestRedis;
  let workers: TestWorkers;
  beforeAll(async () => {
    redis = await support!.TestRedis.start(join(folder, "redis"));
    const options = ["--queue", redis.url, "--lock", "20"];
    workers = new support!.TestWorkers(folder, options, "cli");
  });
  afterAll(async () => {
    await workers.stop();
    await redis.kill();
  });

  // another adapter may end with other last bits
  it("are those of one process, byte by byte, by a warm worker", async () => {
    await workers.want(runtime as "node" | "deno");
    await expectSame("bullmq", "--queue", redis.url);
  });
});

describe("results by way of processes here", () => {
  it("are those of one process, byte by byte, of lanes", async (context) => {
    if (!support) return context.skip(noPrograms);
    await expectSameOf("lanes", "local", "--workers", "2");
  });
});

describe("results by way of GNU parallel", () => {
  it("are those of one process, byte by byte", async (context) => {
    const missing = support ? support.whyMissing("parallel") : noPrograms;
    if (missing !== undefined) return context.skip(missing);
    for (const file of readdirSync(folder)) {
      if (/^scores\.zarr/.test(file)) rmSync(join(folder, file), { recursive: true });
    }
    await cli("submit", "scores.json", "--parts", "3", "--on", "none");
    for (const [stage, parts] of [["begin", "0"], ["rows/project", "0 1 2"], ["finish", "0"]]) {
      const part = cliCommand(["part", "scores.zarr", stage!]);
      const args = ["--retries", "3", ...part, ":::", ...parts!.split(" ")];
      execFileSync("parallel", args, { cwd: folder, stdio: "pipe" });
    }
    expect(filesOf("scores.zarr")).toEqual(alone["scores.zarr"]);
  });
});
