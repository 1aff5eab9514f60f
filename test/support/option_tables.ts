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
import { messageMaskOptions } from "../../src/acts/message_mask.ts";
import { actsSections } from "../../src/cli/acts.ts";
import { plotSections } from "../../src/cli/plot.ts";
import { probeSections } from "../../src/cli/probe.ts";
import { gpuOptions } from "../../src/gpu/device.ts";
import { annDataOptions } from "../../src/array/anndata/anndata.ts";
import { createArrayOptions } from "../../src/array/create_array.ts";
import { arrayOptions } from "../../src/array/array.ts";
import { contextOptions } from "../../src/array/contexts.ts";
import { expandOptions } from "../../src/array/expand.ts";
import { patchOptions } from "../../src/array/patches.ts";
import { conditionSections } from "../../src/cli/condition.ts";
import { cpaSections } from "../../src/cli/cpa.ts";
import { decodeSections } from "../../src/cli/decode.ts";
import { emSections } from "../../src/cli/em.ts";
import { encodeSections } from "../../src/cli/encode.ts";
import { exportSections } from "../../src/cli/export.ts";
import { kmeansSections } from "../../src/cli/kmeans.ts";
import { predictSections, transformSections } from "../../src/cli/apply.ts";
import { pcaSections } from "../../src/cli/pca.ts";
import { submitSections } from "../../src/cli/submit.ts";
import type { Sections } from "../../src/cli/usage.ts";
import { common, defaultWords, flagOf } from "../../src/cli/usage.ts";
import { samplesSections } from "../../src/cli/samples.ts";
import { viterbiSections } from "../../src/cli/viterbi.ts";
import { windowsSections } from "../../src/cli/windows.ts";
import { workerSections } from "../../src/cli/worker.ts";
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
import { evaluationOptions } from "../../src/cpa/evaluation_sums.ts";
import { setupOptions } from "../../src/cpa/setup_options.ts";
import { predictorOptions } from "../../src/cpa/predictor.ts";
import { trainOptions } from "../../src/cpa/train_options.ts";
import {
  counterfactualOptions,
  latentOptions,
  reconstructOptions,
} from "../../src/cpa/predict_options.ts";
import {
  incrementalFitOptions,
  incrementalOptions,
  pcaFitOptions,
  pcaOptions,
  projectOptions,
  stepOptions,
} from "../../src/decompose/pca_options.ts";
import { twoLevelOptions } from "../../src/feed/order.ts";
import { balanceOptions, priorityOptions, rarityOptions } from "../../src/feed/samplers.ts";
import { decodeOptions, sampleOptions, viterbiOptions } from "../../src/hmm/decode_options.ts";
import {
  logLikelihoodDecodeOptions,
  logLikelihoodSampleOptions,
  logLikelihoodViterbiOptions,
} from "../../src/hmm/log_likelihood_options.ts";
import { emOptions } from "../../src/hmm/em_options.ts";
import { logLikelihoodEmOptions } from "../../src/hmm/log_likelihood_options.ts";
import { saveEncodingOptions, sortedSpikesOptions } from "../../src/hmm/encoding_options.ts";
import {
  clusterlessOptions,
  encodedOptions,
  environmentOptions,
  environmentsOptions,
  groupOptions,
  logLikelihoodOptions,
} from "../../src/hmm/decoder_options.ts";
import { openResultOptions } from "../../src/hmm/decode_result.ts";
import {
  aheadBehindOptions,
  animalDistanceOptions,
} from "../../src/hmm/analysis/animal_distance.ts";
import { mapSpeedOptions } from "../../src/hmm/analysis/decoded_places.ts";
import { highestDensityOptions, overlapOptions } from "../../src/hmm/analysis/highest_density.ts";
import { timeRescalingOptions } from "../../src/hmm/analysis/time_rescaling.ts";
import { simulationOptions } from "../../src/hmm/simulate.ts";
import { marksOptions, replayOptions } from "../../src/hmm/simulate_states.ts";
import {
  contFragOptions,
  continuousOptions,
  multiEnvironmentOptions,
  nonLocalOptions,
  noSpikeContFragOptions,
} from "../../src/hmm/presets.ts";
import { stateModelOptions } from "../../src/hmm/states.ts";
import { exportOptions } from "../../src/io/netcdf_export.ts";
import { nwbOptions } from "../../src/io/nwb_recording.ts";
import { zipOptions } from "../../src/io/zip_export.ts";
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
import { plotOptions } from "../../src/plot/options.ts";
import { runOptions } from "../../src/stream/choices.ts";
import { batchOptions, hostBatchOptions } from "../../src/windows/batch_options.ts";
import { keyOptions } from "../../src/windows/keys.ts";
import { paddingOptions, windowOptions } from "../../src/windows/windows.ts";
import { checkOptions } from "../../src/zarr/check.ts";

/** By what is called. */
export const DECLARATIONS = {
  "openGpu()": gpuOptions,
  "openArray()": arrayOptions,
  "readNumbers()": arrayOptions,
  "listArrays()": arrayOptions,
  "readNwb()": nwbOptions,
  "createArray()": createArrayOptions,
  "openAnnData()": annDataOptions,
  "openEpisodes()": arrayOptions,
  "plan.run()": runOptions,
  "live()": runOptions,
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
  "messageMask()": messageMaskOptions,
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
  "decoder.noSpikeContFrag()": noSpikeContFragOptions,
  "decoder.nonLocal()": nonLocalOptions,
  "decoder.multiEnvironment()": multiEnvironmentOptions,
  "decoder.stateModel()": stateModelOptions,
  "SortedSpikesDecoder.smooth()": decodeOptions,
  "SortedSpikesDecoder.viterbi()": viterbiOptions,
  "decoder.clusterless()": clusterlessOptions,
  "decoder.environments()": environmentsOptions,
  "decoder.environments(), an environment": environmentOptions,
  "decoder.environments(), a group": groupOptions,
  "decoder.logLikelihoods()": logLikelihoodOptions,
  "LogLikelihoodDecoder.smooth()": logLikelihoodDecodeOptions,
  "SortedSpikesDecoder.saveEncoding()": saveEncodingOptions,
  "StoredEncoding.decoder()": encodedOptions,
  "SortedSpikesDecoder.samples()": sampleOptions,
  "LogLikelihoodDecoder.samples()": logLikelihoodSampleOptions,
  "SortedSpikesDecoder.em()": emOptions,
  "LogLikelihoodDecoder.em()": logLikelihoodEmOptions,
  "LogLikelihoodDecoder.viterbi()": logLikelihoodViterbiOptions,
  "open()": openResultOptions,
  "decoder.highestDensity()": highestDensityOptions,
  "decoder.hpdOverlap()": overlapOptions,
  "decoder.mapSpeed()": mapSpeedOptions,
  "decoder.distanceFromAnimal()": animalDistanceOptions,
  "decoder.aheadBehind()": aheadBehindOptions,
  "decoder.timeRescaling()": timeRescalingOptions,
  "decoder.simulateSession()": simulationOptions,
  "decoder.simulateReplay()": replayOptions,
  "decoder.simulateMarks()": marksOptions,
  "windows()": windowOptions,
  "windows(), pad": paddingOptions,
  "windows(), a key": keyOptions,
  "Windows.batches(), on a GPU": batchOptions,
  "Windows.batches(), on the host": hostBatchOptions,
  "shuffle, on two levels": twoLevelOptions,
  "balanced()": balanceOptions,
  "prioritized()": priorityOptions,
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
  "TrainedCpa.predictor()": predictorOptions,
  "cpa.sumCells() and cpa.evaluate()": evaluationOptions,
  "exportNetcdf()": exportOptions,
  "exportZip()": zipOptions,
  "plot()": plotOptions,
  "checkStore()": checkOptions,
} satisfies Record<string, Declaration>;

/** By their commands. */
export const COMMANDS: Record<string, Sections> = {
  acts: actsSections,
  check: {},
  completion: {},
  condition: conditionSections,
  cpa: cpaSections,
  decode: decodeSections,
  em: emSections,
  encode: encodeSections,
  export: exportSections,
  info: {},
  kmeans: kmeansSections,
  part: {},
  pca: pcaSections,
  plot: plotSections,
  predict: predictSections,
  probe: probeSections,
  samples: samplesSections,
  status: {},
  submit: submitSections,
  transform: transformSections,
  viterbi: viterbiSections,
  windows: windowsSections,
  worker: workerSections,
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
