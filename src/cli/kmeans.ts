/**
 * `sluice kmeans`.
 *
 * @module
 */

import { openArray, readAll } from "../array/array.ts";
import type { StoredKMeans } from "../cluster/kmeans.ts";
import { KMeans } from "../cluster/kmeans.ts";
import type { CommandContext } from "./main.ts";
import { fitOptions, given, inputHelp, runFit, runHelp } from "./points.ts";
import { Options, UsageError } from "./usage.ts";

export const kmeansHelp = `Usage: sluice kmeans --input X --k K [options]

k-means over rows larger than memory: greedy k-means++, Lloyd's iterations, the best of several runs.
Rows are read once an iteration, or once in all where they fit the budget.

${inputHelp}Model:
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
${runHelp}`;

const TYPES = fitOptions(
  ["k", "init", "seed", "n-init", "max-iter", "tolerance"],
  ["spherical"],
);

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
    spherical: options.flag("spherical"),
    ...(init && { init: init.values }),
    ...given({
      seed: options.number("seed"),
      inits: options.number("n-init"),
      maxIterations: options.number("max-iter"),
      tolerance: options.number("tolerance"),
    }),
  });
  await runFit(options, signal, {
    mode: "mean",
    plan: (gpu, points, choices) => model.fit(gpu, points, choices),
    facts: ({ inertia, iterations, converged, nearTies, emptyClusters }) => ({
      k,
      inertia,
      iterations,
      converged,
      nearTies,
      emptyClusters,
    }),
    lines: (result, shape) => describe(result, shape, k, options.text("out")),
  });
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

/** What there is to tell, whether or not it is stored. */
type KMeansFacts = Omit<StoredKMeans, "ids" | "distances" | "place" | "model" | "close">;

function describe(
  { inertia, iterations, converged, nearTies, emptyClusters }: KMeansFacts,
  [rows, features]: readonly number[],
  k: number,
  out: string | undefined,
): string[] {
  const lines = [
    `${out ?? "kmeans"}: ${rows} rows x ${features} features in ${k} clusters`,
    `inertia ${inertia.toPrecision(8)} after ${iterations} iterations` +
    (converged ? "" : ", which were not enough for the centroids to stand still"),
  ];
  if (nearTies > 0) lines.push(`${nearTies} rows were too close to call in f32, decided in f64`);
  if (emptyClusters > 0) {
    lines.push(`${emptyClusters} of ${k} clusters have no rows: fewer rows than that differ`);
  }
  return lines;
}
