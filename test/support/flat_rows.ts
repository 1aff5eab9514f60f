/** Resident memory of a prediction and a projection of rows, and of ten times as many, from their processes. */

import type { FileHandle } from "node:fs/promises";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { NOTHING_KEPT, runCli } from "./cli.ts";
import { seeded } from "./random.ts";
import { runtime } from "./runtime.ts";
import { npyHeader } from "./window_frames.ts";

const FEATURES = 16;
const BLOCK = 10_000;
/** What collectors of garbage leave to chance. */
const SLACK_BYTES = 24 * 2 ** 20;

/** Rows in eight groups, written as they are made. */
async function writeRows(file: FileHandle, rows: number): Promise<void> {
  const random = seeded(rows);
  await file.write(npyHeader("<f4", [rows, FEATURES]));
  for (let row = 0; row < rows; row += BLOCK) {
    const values = Float32Array.from(
      { length: BLOCK * FEATURES },
      (_, i) => random() + 3 * (Math.floor(i / FEATURES) % 8),
    );
    await file.write(new Uint8Array(values.buffer));
  }
}

export async function expectFlatRows(rows: readonly [few: number, many: number]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-rows-${runtime}-`));
  const place = (name: string) => join(folder, name);
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCli([...args, "--json", "--quiet"], {
      env: NOTHING_KEPT,
    });
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  try {
    for (const count of [2 * BLOCK, ...rows]) {
      const file = await open(place(`${count}.npy`), "w");
      await writeRows(file, count);
      await file.close();
    }
    const few = ["--input", place(`${2 * BLOCK}.npy`)];
    await run(
      "kmeans",
      ...few,
      "--k",
      "16",
      "--n-init",
      "1",
      "--max-iter",
      "3",
      "--out",
      place("k"),
    );
    await run("pca", ...few, "--components", "8", "--no-scores", "--out", place("p"));
    for (const [command, model] of [["predict", "k"], ["transform", "p"]] as const) {
      const resident: number[] = [];
      for (const count of rows) {
        const input = ["--input", place(`${count}.npy`)];
        const out = place(`${command}-${count}`);
        const { peakResidentBytes, peakBytes, projectedBytes } = await run(
          command,
          place(model),
          ...input,
          ...["--out", out],
        );
        resident.push(peakResidentBytes);
        expect(peakBytes.host).toBeLessThanOrEqual(projectedBytes.host);
      }
      const [before, after] = resident.map((bytes) => Math.round(bytes / 2 ** 20));
      console.log(`${runtime}: ${command} of ${rows} rows, resident ${before} and ${after} MiB`);
      expect(resident[1]! - resident[0]!).toBeLessThan(SLACK_BYTES);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}
