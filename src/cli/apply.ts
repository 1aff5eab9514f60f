/**
 * `sluice predict` and `sluice transform`: what stored models say of other rows.
 *
 * @module
 */

import { distanceOptions, predictOptions } from "../cluster/kmeans_options.ts";
import type { StoredPrediction, StoredSoftPrediction } from "../cluster/kmeans.ts";
import type { OpenedResult } from "../open.ts";
import { open } from "../open.ts";
import type { Measured } from "../stream/task.ts";
import type { CommandContext } from "./usage.ts";
import { fitRunOptions, inputOptions, runFit } from "./points.ts";
import { CommandLine, helpOf, UsageError } from "./usage.ts";

const { topK, temperature, out: place } = predictOptions.options;

export const predictSections = {
  Input: inputOptions,
  Prediction: { topK, temperature },
  "Output and memory": {
    out: {
      ...place,
      required: true,
      helps: "zarr group with ids and distances, or with ids and weights",
    },
    ...fitRunOptions,
  },
};

export const transformSections = {
  Input: inputOptions,
  "Output and memory": {
    out: {
      ...distanceOptions.options.out,
      required: true,
      helps: "zarr group with scores, or with distances to all centroids",
    },
    ...fitRunOptions,
  },
};

export const predictHelp = `Usage: sluice predict MODEL --input X --out PLACE [options]

Assigns rows to the centroids of a stored k-means, or to several each, by weight.

${helpOf(predictSections)}`;

export const transformHelp = `Usage: sluice transform MODEL --input X --out PLACE [options]

Projects rows onto the components of a stored PCA, or measures them from the centroids of a k-means.

${helpOf(transformSections)}`;

export async function predict({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, predictSections, { positionals: 1 });
  line.need(["input", "out"]);
  const out = line.read({ out: predictSections["Output and memory"].out }).out!;
  await withModel(line, "predict", async (fit, place) => {
    if (fit.kind !== "kmeans") throw notAModel("predict with", place, fit, "a k-means");
    const { topK: several, ...soft } = line.read({ topK, temperature });
    await runFit<StoredSoftPrediction | StoredPrediction>(line, signal, {
      mode: "mean",
      plan: (gpu, points, choices) =>
        several === undefined
          ? fit.model.predict(gpu, points, { ...choices, ...soft, out })
          : fit.model.predict(gpu, points, { ...choices, ...soft, topK: several, out }),
      facts: (result) =>
        "inertia" in result ? { inertia: result.inertia, nearTies: result.nearTies } : {},
      lines: (result, [rows]) => [
        `${out}: ${rows} rows by the centroids of ${place}` +
        ("inertia" in result ? `, inertia ${result.inertia.toPrecision(8)}` : ""),
      ],
    });
  });
}

export async function transform({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, transformSections, { positionals: 1 });
  line.need(["input", "out"]);
  const out = line.read({ out: transformSections["Output and memory"].out }).out!;
  await withModel(line, "transform", async (fit, place) => {
    if (fit.kind !== "kmeans" && fit.kind !== "pca") {
      throw notAModel("transform with", place, fit, "a PCA or a k-means");
    }
    await runFit<Measured>(line, signal, {
      mode: fit.kind === "pca" ? "flat" : "mean",
      plan: (gpu, points, choices) =>
        fit.kind === "pca"
          ? fit.model.transform(gpu, points, { ...choices, out })
          : fit.model.transform(gpu, points, { ...choices, out }),
      facts: () => ({}),
      lines: (_result, [rows]) => [
        `${out}: ${fit.kind === "pca" ? "scores" : "distances"} of ${rows} rows by ${place}`,
      ],
    });
  });
}

/** Opens the model that the first argument names, for as long as it is used. */
async function withModel(
  line: CommandLine,
  command: string,
  use: (fit: OpenedResult, place: string) => Promise<void>,
): Promise<void> {
  const [place] = line.positionals;
  if (place === undefined) {
    throw new UsageError(`Cannot run: MODEL is missing, wanted sluice ${command} MODEL --input X`);
  }
  await line.refuseOwnInputs([place]);
  const fit = await open(place);
  try {
    await use(fit, place);
  } finally {
    await fit.close();
  }
}

function notAModel(action: string, place: string, { kind }: OpenedResult, wanted: string) {
  return new UsageError(`Cannot ${action} ${place}: it holds ${kind}, wanted ${wanted}`);
}
