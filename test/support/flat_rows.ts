/** Resident memory of a prediction and a projection of rows, and of ten times as many, from their processes. */

import type { FileHandle } from "node:fs/promises";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { NOTHING_KEPT, runProcess } from "./cli_process.ts";
import { seeded } from "./random.ts";
import { runtime } from "./runtime.ts";
import { npyHeader } from "./window_frames.ts";

const FEATURES = 16;
const BLOCK = 10_000;
/** What collectors of garbage leave to chance. */
const SLACK_BYTES = 24 * 2 ** 20;
/** Tiles so large that what a run counts outweighs what a runtime takes for itself. */
const LARGE_TILE_ROWS = 2 ** 19;
/** Resident memory grows by as much as is counted, within this factor either way. */
const COUNTED = 1.2;

/** Writes rows as they are made. */
async function writeRows(
  place: string,
  rows: number,
  valueOf: (row: number, feature: number) => number,
): Promise<void> {
  const file: FileHandle = await open(place, "w");
  await file.write(npyHeader("<f4", [rows, FEATURES]));
  for (let start = 0; start < rows; start += BLOCK) {
    const values = Float32Array.from(
      { length: Math.min(BLOCK, rows - start) * FEATURES },
      (_, i) => valueOf(start + Math.floor(i / FEATURES), i % FEATURES),
    );
    await file.write(new Uint8Array(values.buffer));
  }
  await file.close();
}

/** @param rows Few, and more than two of the large tiles. */
export async function expectFlatRows(rows: readonly [few: number, many: number]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-rows-${runtime}-`));
  const place = (name: string) => join(folder, name);
  const fileOf = (name: string | number) => place(`${name}.npy`);
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await runProcess([...args, "--json", "--quiet"], {
      env: NOTHING_KEPT,
    });
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  const apply = async (command: string, input: string | number, tiles: readonly string[] = []) => {
    const to = ["--input", fileOf(input), "--out", place(`${command}-out`), "--overwrite"];
    const result = await run(command, place(`${command}-model`), ...to, ...tiles);
    const { peakResidentBytes: resident, peakBytes, projectedBytes } = result;
    expect(peakBytes.host).toBeLessThanOrEqual(projectedBytes.host);
    // memory of a software adapter is the process's own
    return { resident, counted: peakBytes.host + peakBytes.gpu };
  };
  /** Compares what large tiles are counted to need with what they take. */
  const expectCounted = async (command: string, input: string | number) => {
    const usual = await apply(command, input);
    const large = await apply(command, input, ["--tile-rows", String(LARGE_TILE_ROWS)]);
    const grown = large.resident - usual.resident;
    const counted = large.counted - usual.counted;
    console.log(
      `${runtime}: ${command} of ${input} in tiles of ${LARGE_TILE_ROWS} rows: resident memory ` +
        `grows by ${(grown / counted).toFixed(2)} of the ${
          Math.round(counted / 2 ** 20)
        } MiB counted`,
    );
    expect(grown).toBeLessThan(counted * COUNTED);
    expect(grown).toBeGreaterThan(counted / COUNTED);
  };
  try {
    for (const count of [2 * BLOCK, ...rows]) {
      const random = seeded(count);
      // eight groups
      await writeRows(fileOf(count), count, (row) => random() + 3 * (row % 8));
    }
    const once = ["--n-init", "1", "--max-iter", "3"];
    const few = ["--input", fileOf(2 * BLOCK)];
    await run("kmeans", ...few, "--k", "16", ...once, "--out", place("predict-model"));
    await run("pca", ...few, "--components", "8", "--no-scores", "--out", place("transform-model"));
    for (const command of ["predict", "transform"]) {
      const resident = [];
      for (const count of rows) resident.push((await apply(command, count)).resident);
      const [before, after] = resident.map((bytes) => Math.round(bytes / 2 ** 20));
      console.log(`${runtime}: ${command} of ${rows} rows, resident ${before} and ${after} MiB`);
      expect(resident[1]! - resident[0]!).toBeLessThan(SLACK_BYTES);
      await expectCounted(command, rows[1]);
    }

    // every row is decided in f64: as far from one centroid as from the other
    await rm(place("predict-model"), { recursive: true });
    await writeRows(fileOf("pair"), 2 * BLOCK, (row) => row % 2 === 0 ? 1 : -1);
    await writeRows(fileOf("ties"), rows[1], (_, feature) => feature % 2 === 0 ? 1 : -1);
    const pair = ["--input", fileOf("pair")];
    await run("kmeans", ...pair, "--k", "2", ...once, "--out", place("predict-model"));
    await expectCounted("predict", "ties");
  } finally {
    await rm(folder, { recursive: true });
  }
}
