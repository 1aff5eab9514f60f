/** Every declaration of options there is, and the page of the docs that they print. */

import {
  collectOptions,
  emaOptions,
  liveOptions,
  loadOptions,
  realizeOptions,
  rollingOptions,
  saveOptions,
} from "../../src/acts/options.ts";
import { actsSections } from "../../src/cli/acts.ts";
import { probeSections } from "../../src/cli/probe.ts";
import { gpuOptions } from "../../src/gpu/device.ts";
import { annDataOptions } from "../../src/array/anndata/anndata.ts";
import { arrayOptions } from "../../src/array/array.ts";
import { contextOptions } from "../../src/array/contexts.ts";
import { expandOptions } from "../../src/array/expand.ts";
import { patchOptions } from "../../src/array/patches.ts";
import { conditionSections } from "../../src/cli/condition.ts";
import { decodeSections } from "../../src/cli/decode.ts";
import { exportSections } from "../../src/cli/export.ts";
import { kmeansSections } from "../../src/cli/kmeans.ts";
import { predictSections, transformSections } from "../../src/cli/apply.ts";
import { pcaSections } from "../../src/cli/pca.ts";
import type { Sections } from "../../src/cli/usage.ts";
import { common, defaultWords, flagOf } from "../../src/cli/usage.ts";
import { windowsSections } from "../../src/cli/windows.ts";
import {
  distanceOptions,
  fitOptions,
  kmeansOptions,
  partialFitOptions,
  predictOptions,
} from "../../src/cluster/kmeans_options.ts";
import { conditionConfig } from "../../src/condition/config.ts";
import { thresholdOptions } from "../../src/condition/decision.ts";
import { diagnoseOptions } from "../../src/condition/diagnose.ts";
import { conditionOptions } from "../../src/condition/pipeline.ts";
import { splitOptions } from "../../src/condition/splits.ts";
import { degOptions } from "../../src/cpa/deg_masks.ts";
import { evaluationOptions } from "../../src/cpa/evaluation.ts";
import { setupOptions } from "../../src/cpa/setup.ts";
import { trainOptions } from "../../src/cpa/train_options.ts";
import { counterfactualOptions, latentOptions, reconstructOptions } from "../../src/cpa/trained.ts";
import {
  incrementalFitOptions,
  incrementalOptions,
  pcaFitOptions,
  pcaOptions,
  projectOptions,
  stepOptions,
} from "../../src/decompose/pca_options.ts";
import { twoLevelOptions } from "../../src/feed/order.ts";
import { balanceOptions, rarityOptions } from "../../src/feed/samplers.ts";
import { decodeOptions, sortedSpikesOptions } from "../../src/hmm/decode_options.ts";
import { openResultOptions } from "../../src/hmm/decode_result.ts";
import { simulationOptions } from "../../src/hmm/simulate.ts";
import { contFragOptions, continuousOptions, stateModelOptions } from "../../src/hmm/states.ts";
import { exportOptions } from "../../src/io/netcdf_export.ts";
import { bootstrapOptions } from "../../src/math/classification.ts";
import type { Declaration, Option, Options } from "../../src/options.ts";
import {
  logisticOptions,
  massMeanOptions,
  probeFitOptions,
  probePredictOptions,
} from "../../src/probes/logistic_options.ts";
import { mlpOptions } from "../../src/probes/mlp.ts";
import { attentionOptions } from "../../src/probes/attention.ts";
import { multimaxOptions } from "../../src/probes/multimax.ts";
import { gatedBipolarOptions } from "../../src/probes/gated_bipolar.ts";
import { softAttentionOptions } from "../../src/probes/soft_attention.ts";
import { rollingAttentionOptions } from "../../src/probes/rolling_attention.ts";
import { positionalAttentionOptions } from "../../src/probes/positional_attention.ts";
import { sweepOptions } from "../../src/probes/sweep.ts";
import {
  tokenPredictOptions,
  trainedFitOptions,
  trainedPredictOptions,
} from "../../src/probes/trained_probe.ts";
import { runOptions } from "../../src/stream/choices.ts";
import { batchOptions, hostBatchOptions } from "../../src/windows/batch_options.ts";
import { windowOptions } from "../../src/windows/windows.ts";
import { checkOptions } from "../../src/zarr/check.ts";

/** By what is called. */
export const DECLARATIONS = {
  "openGpu()": gpuOptions,
  "openArray()": arrayOptions,
  "openAnnData()": annDataOptions,
  "plan.run()": runOptions,
  "new KMeans()": kmeansOptions,
  "KMeans.fit()": fitOptions,
  "KMeans.predict()": predictOptions,
  "KMeans.transform()": distanceOptions,
  "KMeans.partialFit()": partialFitOptions,
  "new PCA()": pcaOptions,
  "PCA.fit()": pcaFitOptions,
  "PCA.transform()": projectOptions,
  "new IncrementalPCA()": incrementalOptions,
  "IncrementalPCA.fit()": incrementalFitOptions,
  "IncrementalPCA.partialFit()": stepOptions,
  "new LogisticProbe()": logisticOptions,
  "LogisticProbe.fit()": probeFitOptions,
  "LogisticProbe.predict()": probePredictOptions,
  "new MassMeanProbe()": massMeanOptions,
  "new MlpProbe()": mlpOptions,
  "new AttentionProbe()": attentionOptions,
  "new MultiMaxProbe()": multimaxOptions,
  "new GatedBipolarProbe()": gatedBipolarOptions,
  "new SoftAttentionProbe()": softAttentionOptions,
  "new RollingAttentionProbe()": rollingAttentionOptions,
  "new PositionalAttentionProbe()": positionalAttentionOptions,
  "MlpProbe.fit()": trainedFitOptions,
  "MlpProbe.predict()": trainedPredictOptions,
  "MlpProbe.predictTokens()": tokenPredictOptions,
  "new ProbeSweep()": sweepOptions,
  "metrics.bootstrap()": bootstrapOptions,
  "collect()": collectOptions,
  "collectLive()": liveOptions,
  "load()": loadOptions,
  "Acts.ema()": emaOptions,
  "Acts.rolling()": rollingOptions,
  "Acts.realize()": realizeOptions,
  "Acts.save() and cache()": saveOptions,
  "contexts()": contextOptions,
  "patches()": patchOptions,
  "expand()": expandOptions,
  "decoder.sortedSpikes()": sortedSpikesOptions,
  "decoder.continuous()": continuousOptions,
  "decoder.contFrag()": contFragOptions,
  "decoder.stateModel()": stateModelOptions,
  "SortedSpikesDecoder.smooth()": decodeOptions,
  "open()": openResultOptions,
  "decoder.simulateSession()": simulationOptions,
  "windows()": windowOptions,
  "Windows.batches(), on a GPU": batchOptions,
  "Windows.batches(), on the host": hostBatchOptions,
  "shuffle, on two levels": twoLevelOptions,
  "balanced()": balanceOptions,
  "rarityWeights()": rarityOptions,
  "condition.run(), the configuration": conditionConfig,
  "condition.run()": conditionOptions,
  "condition.splitSpeakers()": splitOptions,
  "condition.diagnose()": diagnoseOptions,
  "condition.decide()": thresholdOptions,
  "cpa.setup()": setupOptions,
  "cpa.readDegMasks()": degOptions,
  "cpa.train()": trainOptions,
  "TrainedCpa.latents()": latentOptions,
  "TrainedCpa.reconstruct()": reconstructOptions,
  "TrainedCpa.counterfactual()": counterfactualOptions,
  "cpa.sumCells() and cpa.evaluate()": evaluationOptions,
  "exportNetcdf()": exportOptions,
  "checkStore()": checkOptions,
} satisfies Record<string, Declaration>;

/** By their commands. */
export const COMMANDS: Record<string, Sections> = {
  acts: actsSections,
  check: {},
  condition: conditionSections,
  decode: decodeSections,
  export: exportSections,
  info: {},
  kmeans: kmeansSections,
  pca: pcaSections,
  predict: predictSections,
  probe: probeSections,
  transform: transformSections,
  windows: windowsSections,
};

/** What holds when an option is not given, in words. */
export function usual({ default: own, otherwise, required }: Option): string {
  return required ? "" : otherwise ?? (own === undefined ? "" : defaultWords(own));
}

/** The page `docs/options.md`. */
export function optionsPage(): string {
  const functions = Object.entries(DECLARATIONS).map(([name, { options }]) =>
    `### ${name}\n\n${table(["option", "what it is", "values", "default"], functionRows(options))}`
  );
  const commands = Object.entries(COMMANDS).map(([name, sections]) => {
    const rows = Object.values(sections).flatMap(commandRows);
    return `### sluice ${name}\n\n${
      table(["flag", "what it is", "default"], [...rows, ...commandRows(common)])
    }`;
  });
  return [
    "# Options",
    "Printed by the declarations in `src`, by which options are checked too. An option in **bold** has to be given.",
    "## Functions",
    ...functions,
    "## Commands",
    ...commands,
  ].join("\n\n") + "\n";
}

function functionRows(options: Options, within = ""): string[][] {
  return Object.entries(options).flatMap(([name, option]) => {
    const { required, says = "", wanted, members, entry } = option;
    const mark = required ? "**" : "";
    return [
      [`${mark}\`${within}${name}\`${mark}`, says, wanted, usual(option)],
      ...functionRows(members ?? {}, `${within}${name}.`),
      ...functionRows(entry?.members ?? {}, `${within}${name}[].`),
    ];
  });
}

function commandRows(options: Options): string[][] {
  return Object.entries(options).flatMap(([name, option]) => {
    const { flag, members, isFlag, takes, read, says = "", helps = says, required } = option;
    if (flag === false) return [];
    if (members) return commandRows(members);
    if (!isFlag && !takes && !read) return [];
    const mark = required ? "**" : "";
    const own = flagOf(name, option);
    const value = isFlag ? "" : ` ${takes}`;
    const fallback = own.startsWith("no-") || isFlag ? "" : usual(option);
    return [[`${mark}\`--${own}${value}\`${mark}`, helps, fallback]];
  });
}

/** With columns as wide as their widest cell, as the formatter has them. */
function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const rows = [head, ...body];
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const rule = widths.map((width) => "-".repeat(width));
  return [line(head), line(rule), ...body.map(line)].join("\n");
}
