/**
 * Decoding at the size that made people run out of memory: 1,976,441 rows of 2 ms over two discrete
 * states of 73 x 73 bins, simulated. `seed-scale` decodes all of it, `seed-scale-part` as much as takes
 * minutes in software, from which it extrapolates. Both print Markdown and a JSON line a case, and run
 * only when they are named.
 */

import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { peakResidentBytes } from "../src/cli/resident.ts";
import type { DecodeOptions } from "../src/hmm/decoder.ts";
import { contFrag, simulateSession, sortedSpikes } from "../src/hmm/decoder.ts";
import { formatBytes, formatSeconds, formatTable } from "../src/math/format.ts";
import { openGpu } from "../src/mod.ts";
import type { ResultRow } from "./results.ts";

const STEP = 0.002;
const ROWS = 1_976_441;
const BUDGET = "256 MiB";
const PART = { posterior: 20_000, summaries: 200_000 };

interface Case {
  name: string;
  rows: number;
  options: Partial<DecodeOptions>;
}

const casesOf = (rows: typeof PART): Case[] => [
  {
    name: "posterior as u16",
    rows: rows.posterior,
    options: { dtype: "u16" },
  },
  {
    name: "summaries alone",
    rows: rows.summaries,
    options: { posterior: false, summaries: ["map", "mean", "entropy", "hpd", "logNormaliser"] },
  },
];

export const seedScaleBench = {
  name: "seed-scale",
  run: () => decodeAll(casesOf({ posterior: ROWS, summaries: ROWS })),
};

export const seedScalePartBench = {
  name: "seed-scale-part",
  run: () => decodeAll(casesOf(PART)),
};

async function decodeAll(cases: readonly Case[]): Promise<ResultRow[]> {
  const session = simulateSession({ seed: 1, seconds: ROWS * STEP, arena: [146, 146] });
  const decoder = sortedSpikes({
    ...session,
    states: contFrag({ movementVar: 6 }),
    binSize: 2,
  });
  const states = 2 * decoder.grid.interiorIndex.length;
  const gpu = await openGpu({ budget: BUDGET });
  const whole = decoder.smooth(gpu, {
    time: { stop: ROWS * STEP, step: STEP },
    out: "memory:seed-scale",
  });
  console.log(`\n${whole.explain()}\n`);
  const folder = await mkdtemp(join(tmpdir(), "sluice-seed-scale-"));
  const table = [[
    `${states} states, budget ${BUDGET}`,
    "rows",
    "wall",
    "ms a row",
    "GPU peak / promised",
    "host peak / promised",
    "resident",
    "files",
    "filter and smoother as f32 in memory",
    `${ROWS} rows take`,
  ]];
  const results: ResultRow[] = [];
  try {
    for (const { name, rows, options } of cases) {
      const out = join(folder, "decode.zarr");
      const plan = decoder.smooth(gpu, {
        time: { stop: rows * STEP, step: STEP },
        out,
        overwrite: true,
        ...options,
      });
      const result = await plan.run();
      const { peakBytes, projectedBytes, seconds, lanes } = result;
      await result.close();
      const files = await bytesOf(out);
      const resident = peakResidentBytes();
      const total = seconds.total!;
      table.push([
        name,
        String(rows),
        formatSeconds(total),
        (1000 * total / rows).toFixed(2),
        `${formatBytes(peakBytes.gpu)} / ${formatBytes(projectedBytes.gpu)}`,
        `${formatBytes(peakBytes.host)} / ${formatBytes(projectedBytes.host)}`,
        formatBytes(resident),
        formatBytes(files),
        formatBytes(2 * 4 * rows * states),
        rows === ROWS ? "" : `${formatSeconds(total * ROWS / rows)}, extrapolated`,
      ]);
      results.push({
        bench: "seed-scale",
        case: `${name}, ${rows} rows`,
        states,
        lanes,
        seconds,
        peakBytes,
        projectedBytes,
        resident,
        files,
      });
      await rm(out, { recursive: true });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
    gpu.close();
  }
  console.log(`\n${formatTable(table)}\n`);
  return results;
}

async function bytesOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true })) {
    const found = await stat(join(folder, entry));
    if (found.isFile()) bytes += found.size;
  }
  return bytes;
}
