import { writeFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import type { EngineOptions, Job } from "../../src/cli/engines/engine.ts";
import { local } from "../../src/cli/engines/local.ts";
import { readPartCommands } from "../../src/cli/part_commands.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { OutputConflictError } from "../../src/errors.ts";
import { createOnce, markerKey } from "../../src/parts/markers.ts";
import { openParts, PLAN_KEY, readPartPlan } from "../../src/parts/part_plan.ts";
import { encodeSealed } from "../../src/parts/sealed.ts";
import { submitPlan } from "../../src/parts/submit_plan.ts";
import { openStore } from "../../src/store/open_store.ts";
import { StoreView } from "../../src/store/store_view.ts";
import { runCli } from "../support/cli.ts";
import type { FitAt } from "../support/fits.ts";
import { kmeansAt, pcaAt } from "../support/fits.ts";
import { useGpu } from "../support/gpu.ts";
import type { SharedOptions } from "../support/parts.ts";
import { filesAt, PartsAt, sharedPlan } from "../support/parts.ts";
import { seeded } from "../support/random.ts";
import { startS3Server } from "../support/s3_server.ts";

const gpu = useGpu();
let folder: string;
let alone: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-parts-"));
  const place = "memory:parts_test/alone";
  await sharedPlan(gpu(), place).run();
  alone = await filesAt(place);
});
afterAll(() => rm(folder, { recursive: true }));

async function expectSame(place: string): Promise<void> {
  const parts = await PartsAt.submit(place, 3, () => sharedPlan(gpu(), place));
  await parts.run("begin");
  const twins = await Promise.all([0, 1, 1, 2].map((part) => parts.run("rows/roots", part)));
  expect(twins.filter(({ isOwn }) => isOwn)).toHaveLength(3);
  await parts.runAll();
  expect(await filesAt(place)).toEqual(alone);
}

/** Fits in parts, the last first, and compares with one alone. */
async function expectSameFits(folder: string): Promise<void> {
  const fits: Record<string, FitAt> = {
    kmeans: kmeansAt(gpu(), { k: 3, inits: 1, maxIterations: 2, tolerance: 0 }),
    pca: pcaAt(gpu(), 4),
  };
  for (const [name, fit] of Object.entries(fits)) {
    const alone = `memory:parts_test/alone ${name} of ${folder}`;
    await fit(alone).run();
    const place = `${folder}/${name}.zarr`;
    const parts = await PartsAt.submit(place, 3, () => fit(place));
    await parts.runAll();
    expect(await filesAt(place)).toEqual(await filesAt(alone));
    expect(await parts.store.list("/results")).toEqual([]);
  }
}

describe("parts of a plan", () => {
  it("come to the same in files, and leave nothing but plan and markers beside them", async () => {
    const place = join(folder, "files.zarr");
    await expectSame(place);
    const left = await readdir(`${place}.journal`, { recursive: true });
    const wanted = [
      "begin/000000",
      "finish/000000",
      ...[0, 1, 2].map((i) => `rows/roots/00000${i}`),
    ];
    expect(left.filter((name) => /\d{6}/.test(name)).sort()).toEqual(
      wanted.map((name) => join("done", name)).sort(),
    );
    expect(left.filter((name) => /partial|results|lock/.test(name))).toEqual([]);
  });

  it("leave nothing half-written of attempts that were killed, and what others have there", async () => {
    const place = join(folder, "killed.zarr");
    const parts = await PartsAt.submit(place, 3, () => sharedPlan(gpu(), place));
    await parts.runAll("finish");
    const id = crypto.randomUUID();
    const others = [`roots/c/2.${id}`, "roots/c/2.partial"];
    for (const name of [...others, `zarr.json.${id}.partial`, `roots/c/3.${id}.partial`]) {
      await writeFile(join(place, name), "half");
    }
    await parts.runAll();
    const there = await readdir(place, { recursive: true });
    expect(there.filter((name) => /partial|-/.test(name)).sort()).toEqual(
      others.map((name) => join(name)).sort(),
    );
  });

  it("of fits come to the same in files", async () => {
    await expectSameFits(join(folder, "fits"));
    const { code, stdout } = await runCli(["status", join(folder, "fits/kmeans.zarr"), "--json"]);
    expect(code).toBe(0);
    // of turns the last alone
    const names = [
      "begin",
      "rows/seed",
      "rows/iterate/1",
      "merge/iterate/1",
      "rows/assign",
      "finish",
    ];
    const { stages } = JSON.parse(stdout) as { stages: { stage: string }[] };
    expect(stages.map(({ stage }) => stage)).toEqual(names);
  });

  it("come to the same in a bucket, and are refused in one that replaces what is there", async () => {
    const [server, careless] = [await startS3Server(), await startS3Server()];
    const { endpoint, region, keys } = server.settings;
    vi.stubEnv("AWS_ENDPOINT_URL", endpoint!);
    vi.stubEnv("AWS_REGION", region);
    vi.stubEnv("AWS_ACCESS_KEY_ID", keys!.accessKeyId);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", keys!.secretAccessKey);
    try {
      await expectSame("s3://bucket/parts/x.zarr");
      await expectSameFits("s3://bucket/fits");
      careless.heedsConditions = false;
      vi.stubEnv("AWS_ENDPOINT_URL", careless.settings.endpoint!);
      await expect(openParts("s3://bucket/x.zarr", "write")).rejects.toThrow(
        /the server replaced an object that was to be made only once/,
      );
    } finally {
      vi.unstubAllEnvs();
      await server.close();
      await careless.close();
    }
  });

  it("are refused where a store cannot make a file only once", async () => {
    const store = new StoreView(await openStore("memory:parts_test/plain"));
    const plain = Object.create(store, { create: { value: undefined } });
    await expect(createOnce(plain, "/x", Uint8Array.of(1))).rejects.toThrow(
      /cannot make a file only where there is none/,
    );
  });

  it("are one plan though two submit it at once; another plan is refused", async () => {
    const store = await openParts("memory:parts_test/two.zarr", "write");
    const plan = { commands: [["kmeans", "--out", "two.zarr"]], folder: "/", count: 2 };
    const both = await Promise.all([submitPlan(store, plan), submitPlan(store, plan)]);
    expect(both.sort()).toEqual([false, true]);
    await expect(submitPlan(store, { ...plan, count: 3 })).rejects.toThrow(OutputConflictError);
  });

  it("do not count as done what another plan marked, whose file is gone", async () => {
    const store = await openParts("memory:parts_test/gone.zarr", "write");
    const plan = {
      commands: [["kmeans", "--out", "a"], ["kmeans", "--out", "b"]],
      folder: "/",
      count: 1,
    };
    await submitPlan(store, plan);
    const { hash } = await readPartPlan(store);
    await store.set(markerKey("commands", 0), encodeSealed({ plan: hash }));
    await store.delete(PLAN_KEY);
    await expect(submitPlan(store, { ...plan, folder: "/other" })).rejects.toThrow(
      /commands\/000000 is of another plan, wanted none or this one's; remove/,
    );
    expect(await submitPlan(store, plan)).toBe(true);
  });

  it("are refused by another version than cut the plan", async () => {
    const place = "memory:parts_test/old.zarr";
    const parts = await PartsAt.submit(place, 2, () => sharedPlan(gpu(), place));
    const text = new TextDecoder().decode(await parts.store.get(PLAN_KEY));
    const set = (from: string, to: string) =>
      parts.store.set(PLAN_KEY, new TextEncoder().encode(text.replace(from, to)));
    await set('"sluice":"', '"sluice":"9.');
    await expect(parts.run("begin")).rejects.toThrow(/the plan was cut by version 9/);
    await set('"parts":{"version":1', '"parts":{"version":2');
    await expect(parts.run("begin")).rejects.toThrow(/has layout 2, this version knows 1/);
    await set('"count":2', '"count":3');
    await expect(parts.run("begin")).rejects.toThrow(/is damaged, wanted what its own hash is of/);
    await set("{", "");
    await expect(parts.run("begin")).rejects.toThrow(/is damaged, wanted JSON/);
  });
});

describe("files that parts read", () => {
  /** A plan that reads a file, and how often all of it was looked at. */
  const reading = async (name: string) => {
    const file = join(folder, `${name}.npy`);
    const place = join(folder, `${name}.zarr`);
    await writeFile(file, "1");
    const looks: unknown[] = [];
    const plan = (options: SharedOptions = {}) => {
      const shared = sharedPlan(gpu(), place, options);
      const look = async ({ known }: { known?: unknown }) => {
        looks.push(known);
        const told = known ?? await readFile(file, "utf8");
        return { digest: String(told), told };
      };
      Object.assign(shared.made.task, { feeds: [{ places: [file], look }] });
      return shared;
    };
    return { file, looks, plan, parts: await PartsAt.submit(place, 3, plan) };
  };

  it("are looked at once, and anew where they were written to: what changed is refused, until it is as it was", async () => {
    const { file, looks, parts } = await reading("between");
    await parts.run("begin");
    await parts.run("rows/roots", 0);
    expect(looks).toEqual([undefined, "1"]);
    await writeFile(file, "2");
    await expect(parts.run("rows/roots", 1)).rejects.toThrow(/what it reads, or how, is not what/);
    await writeFile(file, "1");
    expect((await parts.run("rows/roots", 1)).isOwn).toBe(true);
    expect(looks.slice(2)).toEqual([undefined, undefined]);
  });

  it("end a plan when they change under a part, though they change back", async () => {
    const { file, plan, parts } = await reading("meanwhile");
    await parts.run("begin");
    const onTile = () => writeFileSync(file, "1");
    await expect(parts.run("rows/roots", 1, () => plan({ onTile }))).rejects.toThrow(
      /was changed while it was read; remove the result and its journal, and submit again/,
    );
    await expect(parts.run("finish")).rejects.toThrow(/stages is missing; remove the result/);
  });
});

describe("sluice part", () => {
  const random = seeded(3);
  const points = (rows: number) => Float32Array.from({ length: 2 * rows }, () => random());
  const json = (stdout: string) => JSON.parse(stdout.trim().split("\n").at(-1)!);

  it("runs commands, a part each, as they run alone; a file of JSON says which", async () => {
    const files = ["a", "b"];
    for (const name of files) {
      await writeFile(join(folder, `${name}.npy`), encodeNpy(points(90), [90, 2]));
    }
    const command = (
      name: string,
      out: string,
    ) => ["kmeans", "--k", "3", "--input", join(folder, `${name}.npy`), "--out", join(folder, out)];
    for (const name of files) {
      expect((await runCli(command(name, `${name}-alone.zarr`))).code).toBe(0);
    }
    const place = join(folder, "all");
    const commands = files.map((name) => command(name, `${name}.zarr`));
    const store = await openParts(place, "write");
    await submitPlan(store, { commands, folder: process.cwd(), count: 1 });
    await store.close();
    vi.stubEnv("SLURM_PROCID", "7");
    vi.stubEnv("SLURM_ARRAY_TASK_ID", "1");
    expect((await runCli(["part", place, "commands"])).code).toBe(0);
    vi.unstubAllEnvs();
    const half = await runCli(["status", place, "--json"]);
    expect(half.code).toBe(1);
    expect(json(half.stdout)).toMatchObject({
      done: false,
      stages: [{ stage: "commands", parts: 2, missing: [0] }],
    });
    expect((await runCli(["part", place, "commands"])).stderr).toMatch(/its number is not given/);
    expect((await runCli(["part", place, "commands", "0"])).code).toBe(0);
    const again = await runCli(["part", place, "commands", "0", "--json"]);
    expect(json(again.stdout)).toMatchObject({ isOwn: false, part: 0 });
    expect((await runCli(["status", place])).code).toBe(0);
    expect((await runCli(["submit", place])).stdout).toMatch(/: all parts are done/);
    for (const name of files) {
      expect(await filesAt(join(folder, `${name}.zarr`))).toEqual(
        await filesAt(join(folder, `${name}-alone.zarr`)),
      );
    }
    await rm(join(folder, "b.zarr"), { recursive: true });
    expect((await runCli(["submit", place])).stderr).toMatch(
      /b.zarr is gone, though .* remove .*all/,
    );
  });

  it("ends commands before their work where rows cannot be shared, and says why", async () => {
    const input = join(folder, "c.npy");
    await writeFile(input, encodeNpy(points(60), [60, 2]));
    const out = join(folder, "batches.zarr");
    const store = await openParts(out, "write");
    const pca = ["pca", "--incremental", "--components", "2", "--input", input, "--out", out];
    await submitPlan(store, { commands: [pca], folder: process.cwd(), count: 2 });
    await store.close();
    const { code, stderr } = await runCli(["part", out, "begin"]);
    expect(stderr).toMatch(
      /Cannot run "incremental pca" in parts: pass "batches" goes on from the rows before, wanted rows that/,
    );
    expect(code).toBe(2);
    await expect(readFile(join(out, "zarr.json"))).rejects.toThrow();
  });

  it("refuses a plan that was copied from beside another result", async () => {
    const place = join(folder, "copied.zarr");
    const store = await openParts(place, "write");
    const commands = [["predict", "fit.zarr", "--out", join(folder, "original.zarr")]];
    await submitPlan(store, { commands, folder: process.cwd(), count: 2 });
    await store.close();
    const { code, stderr } = await runCli(["part", place, "begin"]);
    expect(stderr).toMatch(/the plan beside .*copied.zarr writes to .*original.zarr, wanted one/);
    expect(code).toBe(6);
  });
});

describe("sluice submit", () => {
  it("refuses what is no list of commands, and says what it wants", async () => {
    const file = join(folder, "config.json");
    const refusal = async (config: unknown) => {
      await writeFile(file, typeof config === "string" ? config : JSON.stringify(config));
      const found = await readPartCommands(file, COMMANDS).catch((error: Error) => error);
      expect(found).toBeInstanceOf(UsageError);
      return (found as Error).message;
    };
    const kmeans = (out: string) => ["kmeans", "--k", "2", "--input", "x.npy", "--out", out];
    expect(await refusal("{")).toMatch(/JSON/);
    expect(await refusal({ commands: [] })).toMatch(/it lists no commands/);
    expect(await refusal({ commands: [kmeans("a")], plays: 1 })).toMatch(/it has "plays"/);
    expect(await refusal({ commands: [["kmean", "--out", "a"]] })).toMatch(/"kmeans" may be meant/);
    expect(await refusal({ commands: [kmeans("a").slice(0, -2)] })).toMatch(/has no --out/);
    expect(await refusal({ commands: [[...kmeans("a"), "--overwrite"]] })).toMatch(/overwriting/);
    expect(await refusal({ commands: [kmeans("a"), kmeans("a")], place: "b" })).toMatch(
      /two commands write to a/,
    );
    expect(await refusal({ commands: [kmeans("a"), kmeans("./x/../a/")], place: "b" })).toMatch(
      /two commands write to .\/x/,
    );
    expect(await refusal({ commands: [[...kmeans("a"), "--out=b"]] })).toMatch(/has --out twice/);
    expect(await refusal({ commands: [kmeans("memory:a")] })).toMatch(
      /memory:a is nowhere that other processes write to/,
    );
    expect(await refusal({ commands: [kmeans("a"), kmeans("b")] })).toMatch(/and no place/);
    expect(await refusal({ commands: [kmeans("a"), kmeans("b")], place: "b" })).toMatch(
      /its place, b, is what a command writes to/,
    );
    for (const words of [["em"], ["cpa", "predict", "model.zarr", "--reconstruct"]]) {
      expect(await refusal({ commands: [[...words, "--out", "a"]] })).toMatch(
        /no rows that parts share, as decode, kmeans, pca, predict and transform have/,
      );
    }
    const two = { commands: [kmeans("a"), kmeans("b")], place: "c" };
    await writeFile(file, JSON.stringify(two));
    expect((await runCli(["submit", file, "--parts", "3"])).stderr).toMatch(
      /wanted --parts 2 or none/,
    );
  });

  it("on this machine passes on what parts warn of, and says what failed", async () => {
    const lines: string[] = [];
    const said = "process.stderr.write('warning: of two adapters\\n'); process.exit(3 * round)";
    const job = (round: number): Job => ({
      ...{ place: "x", folder, again: () => [] },
      command: () => [process.execPath, "-e", `const round = ${round}; ${said}`],
      next: () => Promise.resolve({ done: false, stage: "finish", parts: 1, missing: [0] }),
    });
    const options: EngineOptions = {
      ...{ workers: 1, rounds: 1, signal: new AbortController().signal, choices: {} },
      onLine: (line) => void lines.push(line),
    };
    await expect(local.submit(job(0), options)).rejects.toThrow(/after 1 rounds 1 of 1 parts/);
    await expect(local.submit(job(1), options)).rejects.toThrow(
      /Cannot go on at x: it ended with 3/,
    );
    const started = ["finish: 1 of 1 parts", "warning: of two adapters"];
    expect(lines).toEqual([...started, ...started, "part 0 of finish failed: it ended with 3"]);
  });
});
