/**
 * `sluice pca`.
 *
 * @module
 */

import process from "node:process";
import { IncrementalPCA } from "../decompose/incremental_pca.ts";
import type { PcaResult } from "../decompose/pca.ts";
import { PCA } from "../decompose/pca.ts";
import { openGpu } from "../gpu/device.ts";
import type { CommandContext } from "./main.ts";
import { describeRun, given, openPoints, POINTS_OPTIONS, pointsHelp } from "./points.ts";
import { ProgressPrinter } from "./progress.ts";
import { peakResidentBytes } from "./resident.ts";
import { Options, UsageError } from "./usage.ts";

export const pcaHelp = `Usage: sluice pca --input X --components N [options]

Principal components of rows larger than memory, exactly: by the covariance, read in one sweep; and
the rows projected onto them, in another.

${pointsHelp}Model:
  --components N       components to keep
  --whiten             divide scores by the standard deviation along their component
  --incremental        by batches, where features x features numbers are too many
  --batch-rows N       rows of such a batch (default: 5 times the features)
Output and memory:
  --out PLACE          zarr group with components, mean, explained_variance,
                       explained_variance_ratio, singular_values and scores
  --no-scores          do not project the rows
  --overwrite          replace a result that is already there
  --tile-rows N        rows on the GPU at a time (default: what the budget allows)
  --budget SIZE        GPU memory allowed, device and staging (default 512MiB)
  --adapter NAME       part of an adapter's name, or "software"
  --json, --quiet
`;

const TYPES = Object.fromEntries([
  ...[...POINTS_OPTIONS, "components", "batch-rows", "out", "tile-rows", "budget"]
    .map((name) => [name, { type: "string" as const }]),
  ...["whiten", "incremental", "no-scores", "overwrite"]
    .map((name) => [name, { type: "boolean" as const }]),
]);

export async function pca({ args, signal }: CommandContext): Promise<void> {
  const options = new Options(args, TYPES);
  const components = options.number("components");
  if (components === undefined) throw new UsageError("Cannot run: --components is missing");
  const incremental = options.flag("incremental");
  const [batchRows, tileRows] = [options.number("batch-rows"), options.number("tile-rows")];
  if (!incremental && batchRows !== undefined) {
    throw new UsageError("Cannot run: --batch-rows is given without --incremental");
  }
  if (incremental && tileRows !== undefined) {
    throw new UsageError(
      "Cannot run: --tile-rows is given with --incremental, wanted --batch-rows",
    );
  }
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
      const whiten = options.flag("whiten");
      const common = {
        scores: !options.flag("no-scores"),
        overwrite: options.flag("overwrite"),
        ...given({ out }),
      };
      const plan = incremental
        ? new IncrementalPCA({ components, whiten })
          .fit(gpu, points, { ...common, ...given({ batchRows }) })
        : new PCA({ components, whiten }).fit(gpu, points, { ...common, ...given({ tileRows }) });
      if (!quiet) process.stderr.write(`${plan.explain()}\n`);
      const result = await plan.run({ signal, onProgress: printer.show });
      printer.end();
      const [rows, features] = points.shape as [number, number];
      const facts = {
        rows,
        features,
        components,
        ...summary(result),
        adapter: gpu.adapter.name,
      };
      console.log(json ? JSON.stringify(facts) : describe(facts, result, out));
    } finally {
      printer.end();
      gpu.close();
    }
  } finally {
    await points.close();
  }
}

function summary(result: PcaResult) {
  const { explainedVariance, explainedVarianceRatio, projectedBytes, peakBytes, seconds } = result;
  return {
    explainedVariance: [...explainedVariance],
    explainedVarianceRatio: [...explainedVarianceRatio],
    residual: result.residual,
    projectedBytes,
    peakBytes,
    // of the whole process, as the system saw it; software adapters keep GPU memory in it
    peakResidentBytes: peakResidentBytes(),
    seconds,
  };
}

function describe(
  { rows, features, components }: { rows: number; features: number; components: number },
  result: PcaResult,
  out: string | undefined,
): string {
  const ratios = [...result.explainedVarianceRatio];
  const percent = (ratio: number) => `${(100 * ratio).toFixed(2)} %`;
  const total = ratios.reduce((sum, ratio) => sum + ratio, 0);
  const shown = ratios.slice(0, 8).map(percent).join(", ");
  return [
    `${out ?? "pca"}: ${components} components of ${rows} rows x ${features} features`,
    `${percent(total)} of the variance: ${shown}${ratios.length > 8 ? ", ..." : ""}`,
    describeRun(result),
  ].join("\n");
}
