import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import { KMeans, openKMeans } from "../../src/cluster/kmeans.ts";
import { openPca } from "../../src/decompose/pca.ts";
import { partialKey } from "../../src/store/place.ts";
import { vqAssign } from "../reference/vq_assign.ts";
import { blobs } from "../support/blobs.ts";
import { hasAnswered, runCli } from "../support/cli.ts";
import { lendGpu } from "../support/gpu.ts";
import { runtime } from "../support/runtime.ts";
import { contents } from "../support/small_decode.ts";

const [ROWS, FEATURES, K] = [200, 4, 3];
const problem = blobs({ rows: ROWS, features: FEATURES, blobs: K, spread: 0.2 });
let folder: string;
const file = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-cluster-${runtime}-`));
  await writeFile(file("points.npy"), encodeNpy(problem.points, [ROWS, FEATURES]));
  const init = Float64Array.from(problem.points.subarray(0, K * FEATURES));
  await writeFile(file("init.npy"), encodeNpy(init, [K, FEATURES]));
  const image = Uint8Array.from({ length: 12 * 10 * 3 }, (_, i) => 37 * i % 256);
  await writeFile(file("image.npy"), encodeNpy(image, [12, 10, 3]));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function refused(args: string[], code: number, message: RegExp) {
  const run = await runCli([...args, "--json", "--quiet"]);
  expect(JSON.parse(run.stdout).error.message).toMatch(message);
  expect(run.code).toBe(code);
}

describe("sluice kmeans", () => {
  it("clusters rows, stores what it found and returns it when it is there", async () => {
    const out = file("kmeans.zarr");
    const args = [
      "kmeans",
      "--input",
      file("points.npy"),
      "--init",
      file("init.npy"),
      "--out",
      out,
    ];
    const run = await runCli([...args, "--json"]);
    expect(run.code).toBe(0);
    const summary = JSON.parse(run.stdout);
    expect(summary).toMatchObject({ rows: ROWS, features: FEATURES, k: K, converged: true });
    expect(summary.peakBytes.gpu).toBe(summary.projectedBytes.gpu);
    expect(run.stderr).toMatch(/Plan "kmeans": 200 rows/);
    const stored = await openKMeans(out);
    expect(stored.inertia).toBe(summary.inertia);
    expect(stored.iterations).toBe(summary.iterations);
    const ids = await readAll(await openArray(`${out}/ids`));
    expect([...ids]).toEqual([...vqAssign(problem.points, stored.centroids, FEATURES).ids]);
    const again = await runCli(args);
    expect(again.code).toBe(0);
    expect(again.stdout).toMatch(/already finished/);
    await refused([...args, "--max-iter", "1"], 5, /the result of another plan/);
    await refused(
      ["pca", "--input", file("points.npy"), "--components", "2", "--out", out],
      5,
      /another/,
    );
  });

  it("takes its seed, tolerance and metric from flags, and has the defaults of KMeans", async () => {
    const facts = async (...more: string[]) => {
      const args = ["kmeans", "--input", file("points.npy"), "--k", "5", "--n-init", "1"];
      const run = await runCli([...args, ...more, "--json", "--quiet"]);
      expect(run.code).toBe(0);
      const { inertia, iterations, emptyClusters } = JSON.parse(run.stdout);
      expect(emptyClusters).toBe(0);
      return { inertia, iterations };
    };
    const usual = await facts();
    const gpu = await lendGpu();
    const points = fromTypedArray(problem.points, [ROWS, FEATURES]);
    const { inertia, iterations } = await new KMeans({ k: 5, inits: 1 }).fit(gpu, points).run();
    gpu.close();
    expect(usual).toEqual({ inertia, iterations });
    expect(await facts("--seed", "42")).toEqual(usual);
    expect(await facts("--seed", "7")).not.toEqual(usual);
    expect((await facts("--tolerance", "1000")).iterations).toBe(1);
    // of directions, none farther than 2 from another
    const spherical = await facts("--spherical");
    expect(spherical.inertia).not.toBe(usual.inertia);
    expect(spherical.inertia).toBeLessThan(4 * ROWS);
    await refused(["kmeans", "--input", file("points.npy"), "--k", "2", "--seed", "-1"], 2, /seed/);
  });

  it("goes on where it was killed, to the same bytes", async (context) => {
    if (runtime === "deno") context.skip("a fit is killed in Node; what goes on is the same");
    const args = (inits: number, out: string) => [
      ...["kmeans", "--input", file("points.npy"), "--k", "24", "--max-iter", "5"],
      ...["--n-init", String(inits), "--out", out],
    ];
    // one that takes seconds, on any machine
    let [inits, out, killed] = [7, "", false];
    while (!killed) {
      inits *= 2;
      out = file(`killed-${inits}.zarr`);
      let timer: ReturnType<typeof setInterval> | undefined;
      const run = await runCli(args(inits, out), {
        onStderr(_, kill) {
          // once there is somewhere to go on
          const log = partialKey(`${out}.journal/log/steps`);
          timer ??= setInterval(
            () => existsSync(log) && statSync(log).size > 0 && kill("SIGKILL"),
            20,
          );
        },
      });
      clearInterval(timer);
      killed = run.code === null;
    }
    const between = await runCli(["check", out]);
    // how far it came is for the machine to say
    const [, pass] = /unfinished: run the same plan again, it goes on in pass "(seed|iterate)"/
      .exec(between.stdout)!;
    expect(between.code).toBe(1);
    const again = await runCli(args(inits, out));
    expect(again.code).toBe(0);
    expect(again.stdout).toMatch(
      new RegExp(`went on in pass "${pass}"( after \\d+ sweeps)? at row 0`),
    );
    expect(existsSync(`${out}.journal`)).toBe(false);
    const whole = file("never-killed.zarr");
    await runCli(args(inits, whole));
    expect(await contents(out)).toEqual(await contents(whole));
  });

  it("says on SIGINT whether it can go on", async () => {
    const args = ["kmeans", "--input", file("points.npy"), "--k", "24", "--n-init", "100"];
    const interrupted = async (wanted: RegExp, ...more: string[]) => {
      const run = await runCli([...args, ...more], {
        stopAt: /seed \(2\/4\)/,
        onStop: (kill) => kill("SIGINT"),
      });
      expect(run.stderr).toMatch(hasAnswered(run) ? wanted : /Cancelled: /);
    };
    const out = ["--out", file("interrupted.zarr")];
    await interrupted(/Cancelled: nothing was kept, for want of --out/);
    await interrupted(/run the same command again to go on\n/, ...out);
    await interrupted(/to go on, without --overwrite\n/, ...out, "--overwrite");
  });

  it("says what is wrong with its options: code 2; over budget: code 3", async () => {
    const input = ["kmeans", "--input", file("points.npy")];
    await refused(input, 2, /--k is missing/);
    await refused(
      [...input, "--k", "500"],
      2,
      /200 rows, wanted at least as many as clusters, 500/,
    );
    await refused([...input, "--k", "2", "--init", file("init.npy")], 2, /--k is 2, --init has 3/);
    await refused([...input, "--k", "2", "--patches", "8"], 2, /--patches: got "8"/);
    await refused(["kmeans", "--input", file("none.npy"), "--k", "2"], 2, /no such file/);
    await refused([...input, "--k", "3", "--budget", "1KiB"], 3, /the budget is 1.00 KiB/);
  });
});

describe("sluice pca", () => {
  it("finds components of the patches of an image, exactly and by batches", async () => {
    const input = ["--input", file("image.npy"), "--patches", "3x3", "--components", "2"];
    const [out, batches] = [file("pca.zarr"), file("batches.zarr")];
    const run = await runCli(["pca", ...input, "--out", out, "--json", "--quiet"]);
    expect(run.code).toBe(0);
    const summary = JSON.parse(run.stdout);
    expect(summary).toMatchObject({ rows: 80, features: 27, components: 2, residual: 0 });
    const stored = await openPca(out);
    expect([...stored.explainedVariance]).toEqual(summary.explainedVariance);
    expect(stored.scores!.shape).toEqual([80, 2]);
    const other = await runCli([
      "pca",
      ...input,
      "--incremental",
      "--batch-rows",
      "80",
      "--out",
      batches,
    ]);
    expect(other.code).toBe(0);
    expect(other.stdout).toMatch(/2 components of 80 rows x 27 features/);
    // one batch of all rows is the whole of it
    const approximate = await openPca(batches);
    stored.explainedVariance.forEach((variance, i) =>
      expect(Math.abs(approximate.explainedVariance[i]! / variance - 1)).toBeLessThan(1e-5)
    );
    await refused(["pca", ...input, "--batch-rows", "5"], 2, /without --incremental/);
    await refused(["pca", ...input, "--keep", "5"], 2, /--keep is given without --incremental/);
    await refused(
      ["pca", ...input, "--incremental", "--keep", "1"],
      2,
      /keep is 1, wanted a whole/,
    );
    await refused(["pca", ...input.slice(0, 4)], 2, /--components is missing/);
  });

  it("takes the frames before a target as rows, that do not cross segments", async () => {
    await writeFile(file("segments.npy"), encodeNpy(Int32Array.of(0, 90), [2]));
    const input = ["--input", file("points.npy"), "--context", "3"];
    const segments = ["--segments", file("segments.npy")];
    const facts = async (args: string[]) => {
      const run = await runCli([...args, "--json", "--quiet"]);
      expect(run.code).toBe(0);
      return JSON.parse(run.stdout);
    };
    const out = file("contexts.zarr");
    const flat = await facts(["pca", ...input, ...segments, "--components", "2", "--out", out]);
    expect(flat).toMatchObject({ rows: ROWS - 2 * 3, features: 3 * FEATURES, components: 2 });
    expect((await openPca(out)).scores!.shape).toEqual([flat.rows, 2]);
    const means = await facts([
      "kmeans",
      ...input,
      ...["--k", "2", "--n-init", "1", "--lag", "2", "--first-target", "9"],
    ]);
    expect(means).toMatchObject({ rows: ROWS - 9, features: FEATURES });
    const wanted = ["--components", "2"];
    await refused(["pca", ...input, ...wanted, "--context-mode", "max"], 2, /mode is "max"/);
    await refused(["pca", ...input, ...wanted, "--patches", "2x2"], 2, /wanted one of them/);
    await refused(["pca", ...input.slice(0, 2), ...wanted, "--lag", "2"], 2, /without --context/);
  });
});
