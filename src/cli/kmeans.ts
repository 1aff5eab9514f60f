/**
 * `sluice kmeans`.
 *
 * @module
 */

import process from "node:process";
import { openArray, readAll } from "../array/array.ts";
import type { KMeansResult } from "../cluster/kmeans.ts";
import { KMeans } from "../cluster/kmeans.ts";
import { openGpu } from "../gpu/device.ts";
import type { CommandContext } from "./main.ts";
import { describeRun, given, openPoints, POINTS_OPTIONS, pointsHelp } from "./points.ts";
import { ProgressPrinter } from "./progress.ts";
import { peakResidentBytes } from "./resident.ts";
import { Options, UsageError } from "./usage.ts";

export const kmeansHelp = `Usage: sluice kmeans --input X --k K [options]

k-means over rows larger than memory: greedy k-means++, Lloyd's iterations, the best of several runs.
Rows are read once an iteration, or once in all where they fit the budget.

${pointsHelp}Model:
  --k K                clusters
  --init C             first centroids, [K, features] f32 or f64; one run. Default: drawn
  --seed N             seed of the first centroids (default 42)
  --n-init N           runs, of which the best is kept (default 10)
  --max-iter N         iterations of a run at most (default 100)
  --tolerance T        a run ends when centroids move less, relative to the variance (default 1e-4)
  --spherical          compare directions: rows and centroids have length 1
Output and memory:
  --out PLACE          zarr group with centroids, ids and distances; inertia and iterations are its
                       attributes
  --overwrite          replace a result that is already there
  --tile-rows N        rows on the GPU at a time (default: what the budget allows)
  --budget SIZE        GPU memory allowed, device and staging (default 512MiB)
  --adapter NAME       part of an adapter's name, or "software"
  --json, --quiet
`;

const TYPES = Object.fromEntries([
  ...[
    ...POINTS_OPTIONS,
    "k",
    "init",
    "seed",
    "n-init",
    "max-iter",
    "tolerance",
    "out",
    "tile-rows",
    "budget",
  ].map((name) => [name, { type: "string" as const }]),
  ...["spherical", "overwrite"].map((name) => [name, { type: "boolean" as const }]),
]);

export async function kmeans({ args, signal }: CommandContext): Promise<void> {
  const options = new Options(args, TYPES);
  const init = await readInit(options);
  const k = options.number("k") ?? init?.k;
  if (k === undefined) throw new UsageError("Cannot run: --k is missing");
  if (init && init.k !== k) {
    throw new UsageError(`Cannot cluster: --k is ${k}, --init has ${init.k} rows`);
  }
  const model = new KMeans({
    k,
    seed: options.number("seed") ?? 42,
    spherical: options.flag("spherical"),
    ...(init && { init: init.values }),
    ...given({
      inits: options.number("n-init"),
      maxIterations: options.number("max-iter"),
      tolerance: options.number("tolerance"),
    }),
  });
  const points = await openPoints(options);
  const adapter = options.text("adapter");
  const json = options.flag("json");
  const quiet = options.flag("quiet");
  const printer = new ProgressPrinter(quiet);
  try {
    const gpu = await openGpu({
      budget: options.text("budget") ?? "512MiB",
      ...given({ adapter }),
    });
    try {
      const out = options.text("out");
      const plan = model.fit(gpu, points, {
        overwrite: options.flag("overwrite"),
        ...given({ out }),
        ...given({ tileRows: options.number("tile-rows") }),
      });
      if (!quiet) process.stderr.write(`${plan.explain()}\n`);
      const result = await plan.run({ signal, onProgress: printer.show });
      printer.end();
      const [rows, features] = points.shape as [number, number];
      const facts = { rows, features, k, ...summary(result), adapter: gpu.adapter.name };
      console.log(json ? JSON.stringify(facts) : describe(facts, result, out));
    } finally {
      printer.end();
      gpu.close();
    }
  } finally {
    await points.close();
  }
}

async function readInit(
  options: Options,
): Promise<{ k: number; values: Float64Array } | undefined> {
  const path = options.text("init");
  if (path === undefined) return undefined;
  const array = await openArray(path);
  try {
    if (array.shape.length !== 2) {
      throw new UsageError(
        `Cannot cluster: --init has shape [${array.shape}], wanted [k, features]`,
      );
    }
    const values = await readAll(array);
    return { k: array.shape[0]!, values: Float64Array.from(values as ArrayLike<number>, Number) };
  } finally {
    await array.close();
  }
}

function summary(result: KMeansResult) {
  const { inertia, iterations, converged, nearTies, projectedBytes, peakBytes, seconds } = result;
  return {
    inertia,
    iterations,
    converged,
    nearTies,
    projectedBytes,
    peakBytes,
    // of the whole process, as the system saw it; software adapters keep GPU memory in it
    peakResidentBytes: peakResidentBytes(),
    seconds,
  };
}

function describe(
  { rows, features, k }: { rows: number; features: number; k: number },
  result: KMeansResult,
  out: string | undefined,
): string {
  const { inertia, iterations, converged, nearTies } = result;
  const lines = [`${out ?? "kmeans"}: ${rows} rows x ${features} features in ${k} clusters`];
  lines.push(
    `inertia ${inertia.toPrecision(8)} after ${iterations} iterations` +
      (converged ? "" : ", which were not enough for the centroids to stand still"),
  );
  if (nearTies > 0) lines.push(`${nearTies} rows were too close to call in f32, decided in f64`);
  lines.push(describeRun(result));
  return lines.join("\n");
}
