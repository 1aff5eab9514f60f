/** `sluice cpa` that is killed at any moment, again and again, and goes on: Node only. */

import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect } from "vitest";
import { runCli } from "./cli.ts";
import { madeCells, putCells } from "./cpa_cells.ts";
import { seeded } from "./random.ts";

/** What was killed so often is left alone to finish. */
const MOST_KILLS = 5;

const COLUMNS = [
  ...["--perturbation-key", "given", "--dosage-key", "dose", "--control-group", "ctrl"],
  ...["--categorical-covariates", "cell", "--batch-key", "plate", "--split-key", "split"],
];
const SMALL = [
  ...["--latent", "4", "--batch-size", "32", "--encoder-layers", "1", "--encoder-width", "8"],
  ...["--decoder-layers", "1", "--decoder-width", "8", "--adversary-layers", "1"],
  ...["--adversary-width", "4"],
];

export interface KillCounts {
  kills: number;
  /** Runs that went on with what an earlier one had stored. */
  resumed: number;
  /** Results, all with the same bytes. */
  lives: number;
}

export async function killCpa(
  action: "train" | "predict",
  kills: number,
  seed: number,
): Promise<KillCounts> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-cpa-kills-"));
  const random = seeded(seed);
  const counts: KillCounts = { kills: 0, resumed: 0, lives: 0 };
  try {
    const [cells, genes] = action === "train" ? [600, 40] : [5000, 1000];
    const adata = join(folder, "cells.zarr");
    await putCells(`file:${adata}`, madeCells(cells, genes));
    const model = join(folder, "model.zarr");
    const train = ["cpa", "train", "--adata", adata, ...COLUMNS, ...SMALL, "--epochs"];
    if (action === "predict") await finished([...train, "1", "--out", model]);
    const argsOf = (out: string) =>
      action === "train"
        ? [...train, "150", "--patience", "1000", "--out", out]
        : ["cpa", "predict", model, "--adata", adata, "--reconstruct", "--out", out];
    const whole = join(folder, "whole.zarr");
    const began = performance.now();
    await finished(argsOf(whole));
    const milliseconds = performance.now() - began;
    const wanted = await contentsOf(whole);
    const others = await readdir(folder);
    // half of all at any moment, half once something is stored that can be gone on with
    const killLater = async (kill: (signal: "SIGKILL") => void, isOver: () => boolean) => {
      const isAnywhere = random() < 0.5;
      const log = join(folder, `${counts.lives}.zarr.journal`, "log/steps.partial");
      while (!isAnywhere && !isOver() && !(existsSync(log) && statSync(log).size > 0)) {
        await wait(20);
      }
      await wait(random() * (isAnywhere ? milliseconds : 1000));
      if (!isOver()) kill("SIGKILL");
    };
    while (counts.kills < kills) {
      const out = join(folder, `${counts.lives}.zarr`);
      for (let lives = 0;; lives++) {
        const dies = lives < MOST_KILLS && counts.kills < kills;
        let isOver = false;
        const run = runCli([...argsOf(out), "--json"], {
          onStart: (kill) => {
            if (dies) void killLater(kill, () => isOver);
          },
        });
        const { code, signal, stdout, stderr } = await run;
        isOver = true;
        if (signal === "SIGKILL") {
          counts.kills++;
          continue;
        }
        expect(code, stderr).toBe(0);
        if (JSON.parse(stdout).resumed) counts.resumed++;
        break;
      }
      expect(await contentsOf(out)).toEqual(wanted);
      await rm(out, { recursive: true });
      // nor does a life leave anything beside it
      expect(await readdir(folder)).toEqual(others);
      counts.lives++;
    }
    return counts;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function finished(args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCli([...args, "--quiet"]);
  expect(code, stderr).toBe(0);
}

async function contentsOf(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    found[file.slice(folder.length)] = createHash("sha256").update(await readFile(file))
      .digest("hex");
  }
  return found;
}
