/**
 * Runs whose results are kept: whoever moves code about, and means to change no result, sees here whether
 * one has changed.
 */

import { openGpu } from "../../src/mod.ts";
import type { Gpu } from "../../src/mod.ts";
import { ANALYSES } from "./kept_runs/analyses.ts";
import { BATCH_RUNS } from "./kept_runs/batches.ts";
import { CLUSTERS } from "./kept_runs/clusters.ts";
import { COMMANDS } from "./kept_runs/commands.ts";
import { COMPONENTS } from "./kept_runs/components.ts";
import { DECODES } from "./kept_runs/decodes.ts";
import type { Bench, KeptRun } from "./kept_runs/kept.ts";

export const KEPT_RUNS: readonly KeptRun[] = [
  ...DECODES,
  ...CLUSTERS,
  ...COMPONENTS,
  ...BATCH_RUNS,
  ...ANALYSES,
  ...COMMANDS,
];

/** What runs are given, and what takes it away again. */
export async function openBench(): Promise<Bench & { close(): Promise<void> }> {
  const gpu = await openGpu({ budget: "256 MiB" });
  const others = new Map<number | string, Gpu>();
  const folders: string[] = [];
  let places = 0;
  return {
    gpu,
    async withBudget(budget) {
      const known = others.get(budget) ?? await openGpu({ budget });
      others.set(budget, known);
      return known;
    },
    place: () => `memory:kept-runs/${places++}`,
    async folder() {
      const { mkdtemp } = await import("node:fs/promises");
      const { tmpdir } = await import("node:os");
      folders.push(await mkdtemp(`${tmpdir()}/sluice-kept-runs-`));
      return folders.at(-1)!;
    },
    async close() {
      const { rm } = await import("node:fs/promises");
      for (const folder of folders) await rm(folder, { recursive: true });
      for (const device of [...others.values(), gpu]) await device.close();
    },
  };
}
