import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import { runProcess } from "../support/cli_process.ts";
import { filesAt } from "../support/parts.ts";
import { seeded } from "../support/random.ts";

// distances to so many centroids fill a file with 1,497 rows
const [ROWS, CENTROIDS] = [9000, 700];
let folder: string;
let alone: Record<string, string>;

const run = (args: readonly string[], options = {}) =>
  runProcess(args, { cwd: folder, ...options });
const transform = (out: string) =>
  ["transform", "fit.zarr", "--input", "x.npy", "--out", out] as const;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-parts-local-"));
  const random = seeded(11);
  const points = (rows: number) => Float32Array.from({ length: 3 * rows }, () => 3 * random());
  await writeFile(join(folder, "x.npy"), encodeNpy(points(ROWS), [ROWS, 3]));
  await writeFile(join(folder, "c.npy"), encodeNpy(points(CENTROIDS), [CENTROIDS, 3]));
  const fit = ["kmeans", "--k", `${CENTROIDS}`, "--init", "c.npy", "--max-iter", "0"];
  expect((await run([...fit, "--input", "c.npy", "--out", "fit.zarr"])).code).toBe(0);
  expect((await run(transform("alone.zarr"))).code).toBe(0);
  alone = await filesAt(join(folder, "alone.zarr"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("sluice submit --on local", () => {
  it("stores what one alone does, though it is killed and its parts live on beside those of the next", async () => {
    await writeFile(
      join(folder, "parts.json"),
      JSON.stringify({ commands: [transform("parts.zarr")] }),
    );
    const submit = ["submit", "parts.json", "--on", "local", "--parts", "5", "--workers", "2"];
    const killed = await run(submit, {
      onStderr: (text: string, kill: (signal: string) => void) => {
        if (/rows\/distances: 5 of 5/.test(text)) kill("SIGKILL");
      },
    });
    expect(killed.signal).toBe("SIGKILL");
    // engines start parts in other folders, and people name places from theirs
    await mkdir(join(folder, "elsewhere"));
    const other = { cwd: join(folder, "elsewhere") };
    expect((await run(["part", "../parts.zarr", "begin"], other)).stdout).toMatch(/: was done/);
    expect((await run(["part", "../parts.zarr", "rows/distances", "4"], other)).code).toBe(0);
    const status = await run(["status", "parts.zarr", "--json"]);
    expect(JSON.parse(status.stdout)).toMatchObject({ done: false });
    expect((await run(submit)).code).toBe(0);
    expect((await run(["status", "parts.zarr"])).code).toBe(0);
    expect(await filesAt(join(folder, "parts.zarr"))).toEqual(alone);
  });

  it("ends at once where another try does not help, with what the part said", async () => {
    await writeFile(
      join(folder, "many.json"),
      JSON.stringify({ commands: [transform("many.zarr")] }),
    );
    const { code, stderr } = await run(["submit", "many.json", "--parts", "8"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/in 8 parts: its 9000 rows are 7 times 1497.*wanted at most 7 parts/);
    expect(stderr).not.toMatch(/round 2/);
  });
});
