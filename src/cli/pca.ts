/**
 * `sluice pca`.
 *
 * @module
 */

import { IncrementalPCA } from "../decompose/incremental_pca.ts";
import type { PcaResult } from "../decompose/pca.ts";
import { PCA } from "../decompose/pca.ts";
import type { CommandContext } from "./main.ts";
import { fitOptions, given, inputHelp, runFit, runHelp } from "./points.ts";
import { Options, UsageError } from "./usage.ts";

export const pcaHelp = `Usage: sluice pca --input X --components N [options]

Principal components of rows larger than memory, exactly: by the covariance, in one sweep after a look at
every row; and the rows projected onto them, in another. Three sweeps more where a component is asked for
that has less than a ten-thousandth of the first one's variance.

${inputHelp}Model:
  --components N       components to keep
  --whiten             divide scores by the standard deviation along their component
  --incremental        by batches, where features x features numbers are too many
  --batch-rows N       rows of such a batch (default: 5 times the features)
  --keep N             directions that go from batch to batch (default: twice the components and 24);
                       "components" keeps no more than those, as scikit-learn does
Output and memory:
  --out PLACE          zarr group with components, mean, explained_variance,
                       explained_variance_ratio, singular_values and scores
  --no-scores          do not project the rows
${runHelp}`;

const TYPES = fitOptions(["components", "batch-rows", "keep"], [
  "whiten",
  "incremental",
  "no-scores",
]);

export async function pca({ args, signal }: CommandContext): Promise<void> {
  const options = new Options(args, TYPES);
  const components = options.number("components");
  if (components === undefined) throw new UsageError("Cannot run: --components is missing");
  const incremental = options.flag("incremental");
  const batchRows = options.number("batch-rows");
  for (const name of ["batch-rows", "keep"]) {
    if (incremental || options.text(name) === undefined) continue;
    throw new UsageError(`Cannot run: --${name} is given without --incremental`);
  }
  const keep = options.text("keep") === "components" ? "components" : options.number("keep");
  if (incremental && options.text("tile-rows") !== undefined) {
    throw new UsageError(
      "Cannot run: --tile-rows is given with --incremental, wanted --batch-rows",
    );
  }
  const model = { components, whiten: options.flag("whiten") };
  const scores = !options.flag("no-scores");
  await runFit(options, signal, {
    mode: "flat",
    plan: (gpu, points, choices) =>
      incremental
        ? new IncrementalPCA({ ...model, ...given({ keep }) })
          .fit(gpu, points, { ...choices, scores, ...given({ batchRows }) })
        : new PCA(model).fit(gpu, points, { ...choices, scores }),
    facts: ({ explainedVariance, explainedVarianceRatio, residual }) => ({
      components,
      explainedVariance: [...explainedVariance],
      explainedVarianceRatio: [...explainedVarianceRatio],
      residual,
    }),
    lines: (result, shape) => describe(result, shape, options.text("out")),
  });
}

function describe(
  { explainedVarianceRatio }: Pick<PcaResult, "explainedVarianceRatio">,
  [rows, features]: readonly number[],
  out: string | undefined,
): string[] {
  const ratios = [...explainedVarianceRatio];
  const percent = (ratio: number) => `${(100 * ratio).toFixed(2)} %`;
  const total = ratios.reduce((sum, ratio) => sum + ratio, 0);
  const shown = ratios.slice(0, 8).map(percent).join(", ");
  return [
    `${out ?? "pca"}: ${ratios.length} components of ${rows} rows x ${features} features`,
    `${percent(total)} of the variance: ${shown}${ratios.length > 8 ? ", ..." : ""}`,
  ];
}
