/**
 * `sluice kmeans`.
 *
 * @module
 */

import type { OpenArrayOptions } from "../array/array.ts";
import { openArray, readAll } from "../array/array.ts";
import type { StoredKMeans } from "../cluster/kmeans.ts";
import { KMeans } from "../cluster/kmeans.ts";
import { kmeansOptions } from "../cluster/kmeans_options.ts";
import { outputChoices } from "../stream/choices.ts";
import type { CommandContext } from "./usage.ts";
import { fitRunOptions, inputOptions, runFit } from "./points.ts";
import { CommandLine, helpOf, inputChoices, UsageError } from "./usage.ts";

const { out } = outputChoices;

export const kmeansSections = {
  Input: inputOptions,
  Model: kmeansOptions.options,
  "Output and memory": {
    out: {
      ...out,
      helps:
        "zarr group with centroids, ids and distances; inertia and iterations are its attributes",
    },
    ...fitRunOptions,
  },
};

export const kmeansHelp = `Usage: sluice kmeans --input X --k K [options]

k-means over rows larger than memory: greedy k-means++, Lloyd's iterations, the best of several runs.
Rows are read once an iteration, or once in all where they fit the budget.

${helpOf(kmeansSections)}`;

export async function kmeans({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, kmeansSections);
  line.need(line.text("init") === undefined ? ["input", "k"] : ["input"]);
  const init = await readInit(line.text("init"), inputChoices(line, signal));
  const told = line.read(kmeansOptions.options, init && { k: init.k });
  if (init && init.k !== told.k) {
    throw new UsageError(`Cannot cluster: --k is ${told.k}, --init has ${init.k} rows`);
  }
  const model = new KMeans({ ...told, ...(init && { init: init.values }) });
  await runFit(line, signal, {
    mode: "mean",
    plan: (gpu, points, choices) => model.fit(gpu, points, choices),
    facts: ({ inertia, iterations, converged, nearTies, emptyClusters }) => ({
      k: told.k,
      inertia,
      iterations,
      converged,
      nearTies,
      emptyClusters,
    }),
    lines: (result, shape) => describe(result, shape, told.k, line.text("out")),
  });
}

async function readInit(
  path: string | undefined,
  reading: OpenArrayOptions,
): Promise<{ k: number; values: Float64Array } | undefined> {
  if (path === undefined) return undefined;
  const array = await openArray(path, reading);
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
