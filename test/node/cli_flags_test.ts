import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fastestThreads } from "../../src/gpu/threads.ts";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { openGpu } from "../../src/gpu/device.ts";
import type { DecodeOptions, DecodeResult } from "../../src/hmm/decoder.ts";
import { continuous, sortedSpikes } from "../../src/hmm/decoder.ts";
import type { Plan } from "../../src/stream/plan.ts";
import { windows } from "../../src/windows/windows.ts";
import { blobs } from "../support/blobs.ts";
import { runCli, writeRecording } from "../support/cli.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";
import { someFrames } from "../support/window_frames.ts";

let folder: string;
let inputs: string[];
const recording = smallRecording({ seconds: 4 });
const file = (name: string) => join(folder, name);
const there = (name: string) => access(file(name)).then(() => true, () => false);

const [ROWS, FEATURES] = [200, 4];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-flags-${runtime}-`));
  inputs = await writeRecording(folder, recording);
  const { points } = blobs({ rows: ROWS, features: FEATURES, blobs: 3, spread: 0.2 });
  await writeFile(file("points.npy"), encodeNpy(points, [ROWS, FEATURES]));
  await writeFile(file("frames.npy"), encodeNpy(someFrames(500, 6), [500, 6]));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a command that must end with a code, 0 when not given; returns what it says. */
async function sluice(args: readonly string[], code = 0) {
  const run = await runCli([...args, "--json", "--quiet"]);
  expect(run.code, run.stdout + run.stderr).toBe(code);
  return JSON.parse(run.stdout);
}

async function values(name: string): Promise<number[]> {
  const array = await openArray(file(name));
  try {
    return Array.from(await readAll(array) as ArrayLike<number>, Number);
  } finally {
    await array.close();
  }
}

function largestDifference(a: readonly number[], b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

/** A parameter of a stored decode, wherever among its attributes. */
function parameter(attributes: unknown, name: string): unknown {
  if (typeof attributes === "string" && attributes.startsWith("{")) {
    return parameter(JSON.parse(attributes), name);
  }
  if (typeof attributes !== "object" || attributes === null) return undefined;
  const own = attributes as Record<string, unknown>;
  if (name in own) return own[name];
  return Object.values(own).map((value) => parameter(value, name))
    .find((value) => value !== undefined);
}

/** The decode that the command line makes of the recording, but for its flags. */
async function withDecode<Value>(
  options: Partial<DecodeOptions> & { out: string; adapter?: string },
  use: (plan: Plan<DecodeResult>, gpu: Gpu) => Promise<Value>,
): Promise<Value> {
  const { position, spikes } = recording;
  const decoder = sortedSpikes({
    position,
    spikes: { times: spikes.times, units: Float64Array.from(spikes.units) },
    states: continuous({ movementVar: 6 }),
    binSize: 3,
    positionStd: 3,
  });
  const { adapter, ...choices } = options;
  const gpu = await openGpu();
  const device = gpu as { adapter: typeof gpu.adapter };
  if (adapter !== undefined) device.adapter = { ...gpu.adapter, name: adapter };
  try {
    return await use(decoder.smooth(gpu, { time: { step: 0.02 }, ...choices }), gpu);
  } finally {
    gpu.close();
  }
}

describe("flags of sluice decode", () => {
  it("choose what is stored and how it is computed", async () => {
    await withDecode({ out: file("plain.zarr"), lanes: 1 }, async (plan) => {
      await (await plan.run()).close();
    });
    const said = await sluice([
      ...["decode", ...inputs, "--out", file("flags.zarr")],
      ...["--no-posterior", "--zarr-format", "2", "--summaries", "map,entropy"],
      ...["--operator", "sparse", "--lanes", "2", "--burn-in-rows", "64"],
    ]);
    expect([await there("flags.zarr/zarr.json"), await there("flags.zarr/.zgroup")])
      .toEqual([false, true]);
    expect(await there("plain.zarr/acausal_posterior")).toBe(true);
    expect(await there("flags.zarr/acausal_posterior")).toBe(false);
    expect(await there("plain.zarr/acausal_entropy")).toBe(false);
    const attributes = JSON.parse(await readFile(file("flags.zarr/.zattrs"), "utf8"));
    expect(parameter(attributes, "operator")).toBe("sparse");
    expect(parameter(attributes, "burn_in_rows")).toBe(64);
    expect(said.lanes.count).toBe(2);

    // the same probabilities, however they were computed: lanes meet within 1e-5 or so
    const posterior = await values("plain.zarr/acausal_posterior");
    const width = posterior.length / 200;
    const rows = Array.from(
      { length: 200 },
      (_, row) => posterior.slice(row * width, (row + 1) * width),
    );
    const bins = await values("flags.zarr/acausal_map_bin");
    const likeliest = rows.map((own, row) => Math.max(...own) - own[bins[row]!]!);
    expect(Math.max(...likeliest)).toBeLessThan(1e-4);
    const entropies = rows.map((own) =>
      -own.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0)
    );
    expect(largestDifference(await values("flags.zarr/acausal_entropy"), entropies))
      .toBeLessThan(1e-3);
  });

  it("--allow-adapter-change goes on with what another adapter began", async () => {
    const out = file("adapter.zarr");
    const sizes = { tileRows: 20, chunkRows: 20, lanes: 1 };
    await withDecode(
      { out, adapter: "An Abacus", ...sizes },
      async (plan, gpu) => {
        // what it submits to measure an adapter does not count
        await fastestThreads(gpu);
        const { queue } = gpu.device;
        const cancel = new AbortController();
        const submit = queue.submit.bind(queue);
        let submits = 0;
        queue.submit = (commands) => {
          if (++submits === 8) cancel.abort();
          return submit(commands);
        };
        await expect(plan.run({ signal: cancel.signal })).rejects.toThrow(/abort/i);
      },
    );
    const args = [
      ...["decode", ...inputs, "--tile-rows", "20", "--chunk-rows", "20", "--lanes", "1"],
      ...["--out", out],
    ];
    const run = await runCli([...args, "--json", "--quiet"]);
    expect(run.code).not.toBe(0);
    expect(JSON.parse(run.stdout).error.message).toContain("An Abacus");
    const said = await sluice([...args, "--allow-adapter-change"]);
    expect(said.rows).toBe(200);
    const { attributes } = JSON.parse(await readFile(`${out}/zarr.json`, "utf8"));
    expect([attributes.complete, attributes.adapter]).toEqual([1, "An Abacus"]);
  });
});

describe("flags of sluice pca", () => {
  const pca = (name: string, ...more: string[]) =>
    sluice([
      ...["pca", "--input", file("points.npy"), "--components", "2", "--out", file(name)],
      ...more,
    ]);

  it("--whiten gives scores a deviation of 1, --no-scores leaves them out", async () => {
    await Promise.all([pca("white.zarr", "--whiten"), pca("none.zarr", "--no-scores")]);
    const scores = await values("white.zarr/scores");
    expect(scores.length).toBe(2 * ROWS);
    for (const d of [0, 1]) {
      const squares = scores.reduce((sum, score, i) => sum + (i % 2 === d ? score ** 2 : 0), 0);
      expect(Math.abs(squares / (ROWS - 1) - 1)).toBeLessThan(1e-5);
    }
    expect(await there("none.zarr/scores")).toBe(false);
    expect(await values("none.zarr/components")).toEqual(await values("white.zarr/components"));
  });
});

describe("flags of sluice windows", () => {
  const info = (
    ...more: string[]
  ) => ["windows", "info", file("frames.npy"), "--size", "10", "--batch", "32", ...more];

  it("--hold, --prefetch and --stride are those of windows(), --host-budget the host's", async () => {
    const said = await sluice(
      info("--no-gpu", "--frames-in", "host", "--hold", "f16", "--prefetch", "5", "--stride", "7"),
    );
    const frames = fromTypedArray(someFrames(500, 6), [500, 6]);
    const bytes = (stride: number, hold: "float16" | "float32", prefetch: number) =>
      windows(frames, { size: 10, stride })
        .batches({ size: 32, shuffle: 0, framesIn: "host", hold, prefetch }).projected;
    // (500 - 10) / 7 and the first
    expect([said.windows, said.batches]).toEqual([71, 3]);
    expect(said.projectedBytes).toEqual(bytes(7, "float16", 5));
    for (const other of [bytes(7, "float32", 5), bytes(7, "float16", 2)]) {
      expect(said.projectedBytes).not.toEqual(other);
    }
    const refused = await sluice(info("--host-budget", "1KiB"), 3);
    expect(refused.error.message).toMatch(/1024 B|1.00 KiB/);
  });
});
