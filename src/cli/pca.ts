/**
 * `sluice pca`.
 *
 * @module
 */

import { IncrementalPCA } from "../decompose/incremental_pca.ts";
import type { PcaResult } from "../decompose/pca.ts";
import { PCA } from "../decompose/pca.ts";
import {
  incrementalFitOptions,
  incrementalOptions,
  pcaFitOptions,
  pcaOptions,
} from "../decompose/pca_options.ts";
import { flag } from "../options.ts";
import type { CommandContext } from "./usage.ts";
import { fitRunOptions, inputOptions, runFit } from "./points.ts";
import { CommandLine, helpOf, UsageError } from "./usage.ts";

const { scores, out } = pcaFitOptions.options;
const { keep } = incrementalOptions.options;
const { batchRows } = incrementalFitOptions.options;

/** Those of batches, which want `--incremental`. */
const batchOptions = {
  batchRows: { ...batchRows, helps: "rows of such a batch" },
  keep,
};

export const pcaSections = {
  Input: inputOptions,
  Model: {
    ...pcaOptions.options,
    incremental: flag({
      default: false,
      says: "by batches, where features x features numbers are too many",
    }),
    ...batchOptions,
  },
  "Output and memory": {
    out: {
      ...out,
      helps: "zarr group with components, mean, explained_variance, explained_variance_ratio, " +
        "singular_values and scores",
    },
    scores,
    ...fitRunOptions,
  },
};

export const pcaHelp = `Usage: sluice pca --input X --components N [options]

Principal components of rows larger than memory, exactly: by the covariance, in one sweep after a look at
every row; and the rows projected onto them, in another. Three sweeps more where a component is asked for
that has less than a ten-thousandth of the first one's variance.

${helpOf(pcaSections)}`;

export async function pca({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, pcaSections);
  line.need(["input", "components"]);
  const model = line.read(pcaOptions.options);
  const { incremental } = line.read({ incremental: pcaSections.Model.incremental });
  const [stray] = line.given(batchOptions);
  if (stray && !incremental) {
    throw new UsageError(`Cannot run: --${stray} is given without --incremental`);
  }
  if (incremental && line.text("tile-rows") !== undefined) {
    throw new UsageError(
      "Cannot run: --tile-rows is given with --incremental, wanted --batch-rows",
    );
  }
  await runFit(line, signal, {
    mode: "flat",
    plan(gpu, points, choices) {
      const told = { ...choices, ...line.read({ scores }) };
      if (!incremental) return new PCA(model).fit(gpu, points, told);
      return new IncrementalPCA({ ...model, ...line.read({ keep }) })
        .fit(gpu, points, { ...told, ...line.read({ batchRows }) });
    },
    facts: ({ explainedVariance, explainedVarianceRatio, residual }) => ({
      components: model.components,
      explainedVariance: [...explainedVariance],
      explainedVarianceRatio: [...explainedVarianceRatio],
      residual,
    }),
    lines: (result, shape) => describe(result, shape, line.text("out")),
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
