/**
 * How time and memory grow with each size of a problem: slopes of their logarithms, 1 where twice the
 * size takes twice as much, 0 where it takes no more. Under a budget that all of them fill.
 */

import { openGpu } from "../src/gpu/device.ts";
import type { Gpu } from "../src/mod.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import type { MemoryBytes } from "../src/types.ts";
import { median } from "./harness.ts";
import type { PipelineRow } from "./pipelines.ts";
import { runDecode, runKMeans, runPca } from "./pipelines.ts";
import type { ResultRow } from "./results.ts";

interface Growth {
  what: string;
  sizes: number[];
  run(gpu: Gpu, size: number): Promise<PipelineRow>;
  /** What the size is by the row, where that is not what `run` was given. */
  sizeOf?(row: PipelineRow): number;
}

/** State bins of a decode. */
const width = ({ case: what }: PipelineRow) => Number(/x (\d+) state bins/.exec(what)![1]);

function growths({ adapter }: Gpu): Growth[] {
  const scale = adapter.software ? 1 : 32;
  return [
    {
      what: "decode, rows",
      sizes: [30, 60, 120].map((seconds) => scale * seconds),
      run: (gpu, seconds) => runDecode(gpu, { seconds, chunkRows: CHUNK_ROWS }),
      sizeOf: ({ rows }) => rows as number,
    },
    {
      what: "decode, state bins",
      sizes: [40, 60, 90],
      run: (gpu, edge) => runDecode(gpu, { seconds: 60 * scale, edge, chunkRows: CHUNK_ROWS }),
      sizeOf: width,
    },
    {
      what: "kmeans, rows",
      sizes: [4096, 8192, 16384].map((rows) => scale * rows),
      run: (gpu, rows) => runKMeans(gpu, { rows, features: 64, k: 16 }),
    },
    {
      what: "kmeans, codes",
      sizes: [16, 32, 64],
      run: (gpu, k) => runKMeans(gpu, { rows: 4096 * scale, features: 64, k }),
    },
    {
      what: "kmeans, features",
      sizes: [32, 64, 128],
      run: (gpu, features) => runKMeans(gpu, { rows: 4096 * scale, features, k: 16 }),
    },
    {
      what: "pca, rows",
      sizes: [8192, 16384, 32768].map((rows) => scale * rows),
      run: (gpu, rows) => runPca(gpu, { rows, features: 64 }),
    },
    {
      what: "pca, features",
      sizes: [64, 128, 256],
      run: (gpu, features) => runPca(gpu, { rows: 4096 * scale, features }),
    },
  ];
}

const REPEATS = 3;
/** Of posteriors on disk, which would otherwise be cut by how long they are. */
const CHUNK_ROWS = 256;
/** Less than problems would take: tiles then are as small as they have to be. */
const BUDGET = "12 MiB";

/** Slope of the least-squares line through points of logarithms. */
function slope(x: readonly number[], y: readonly number[]): number {
  const [u, v] = [x.map(Math.log), y.map(Math.log)];
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  const [center, height] = [mean(u), mean(v)];
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const offsets = u.map((value) => value - center);
  return dot(offsets, v.map((value) => value - height)) / dot(offsets, offsets);
}

/** Runs every problem at three sizes: medians of three. */
export async function runGrowthBench({ adapter }: Gpu): Promise<ResultRow[]> {
  const gpu = await openGpu({ adapter: adapter.name, budget: BUDGET });
  const rows: ResultRow[] = [];
  const table = [["grows", "from", "to", "seconds", "slope", "GPU", "slope", "host", "slope"]];
  try {
    for (const { what, sizes, run, sizeOf } of growths(gpu)) {
      // compiles
      await run(gpu, sizes[0]!);
      const found: { size: number; seconds: number; peak: MemoryBytes }[] = [];
      for (const size of sizes) {
        const runs: PipelineRow[] = [];
        for (let i = 0; i < REPEATS; i++) runs.push(await run(gpu, size));
        found.push({
          size: sizeOf?.(runs[0]!) ?? size,
          seconds: median(runs.map(({ total }) => total as number)),
          peak: runs[0]!.peakBytes as MemoryBytes,
        });
      }
      const series = {
        seconds: found.map(({ seconds }) => seconds),
        gpu: found.map(({ peak }) => peak.gpu),
        host: found.map(({ peak }) => peak.host),
      };
      const own = found.map(({ size }) => size);
      const slopes = Object.fromEntries(
        Object.entries(series).map(([name, values]) => [name, slope(own, values)]),
      ) as Record<keyof typeof series, number>;
      const span = (values: number[], format: (value: number) => string) =>
        [values[0]!, values.at(-1)!].map(format).join(" to ");
      table.push([
        what,
        ...[own[0]!, own.at(-1)!].map(String),
        span(series.seconds, (seconds) => `${seconds.toFixed(2)} s`),
        slopes.seconds.toFixed(2),
        span(series.gpu, formatBytes),
        slopes.gpu.toFixed(2),
        span(series.host, formatBytes),
        slopes.host.toFixed(2),
      ]);
      rows.push({ bench: "growth", case: what, sizes: own, ...series, slopes });
    }
  } finally {
    gpu.close();
  }
  console.log(`growth under ${BUDGET} on ${adapter.name}\n${formatTable(table)}\n`);
  return rows;
}
