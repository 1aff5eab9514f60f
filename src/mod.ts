/**
 * Sluice runs analyses that are bigger than memory on WebGPU, one chunk at a time, with a memory
 * promise it keeps. The same code runs in browsers, Deno and Node.
 *
 * @example Decode position from spikes, out of core
 * ```ts
 * import { decoder, openGpu } from "sluice";
 *
 * const gpu = await openGpu({ budget: "512 MiB" });
 * const model = decoder.sortedSpikes({
 *   position,
 *   spikes,
 *   states: decoder.contFrag({ movementVar: 6 }),
 *   binSize: 2,
 * });
 * const plan = model.smooth(gpu, { time: { step: 0.002 }, out: "decode.zarr" });
 * console.log(plan.explain());
 * const result = await plan.run({ onProgress });
 * ```
 *
 * @module
 */

export type { Budget, OpenGpuOptions } from "./gpu/device.ts";
export { Gpu, openGpu } from "./gpu/device.ts";
export type { LoggedMemory } from "./gpu/log_memory.ts";
export { logMemory } from "./gpu/log_memory.ts";
export type { ActsReading, EmaOptions, RealizedActs, RollingOptions } from "./acts/acts.ts";
export { Acts } from "./acts/acts.ts";
export type { Collected } from "./acts/collect.ts";
export { collect, collectActivations, collectLive } from "./acts/collect.ts";
export type { LiveBlock, LiveBlocks } from "./acts/live_blocks.ts";
export { load, loadActivations } from "./acts/load.ts";
export type { MessageMaskOptions } from "./acts/message_mask.ts";
export { messageMask } from "./acts/message_mask.ts";
export type { LayerNorms } from "./acts/norms.ts";
export { tokenNorms } from "./acts/norms.ts";
export type { CollectOptions, LiveOptions, LoadOptions } from "./acts/options.ts";
export type { ModelBatch, ModelTensor, RunnableModel } from "./acts/transformers.ts";
export { hiddenStates } from "./acts/transformers.ts";
export type { ActsFacts, ActsType, Dims } from "./acts/types.ts";
export type { RaggedArray } from "./feed/ragged.ts";
export type { ChunkedArray } from "./array/array.ts";
export type { ElementsOf, OpenArrayOptions } from "./array/array.ts";
export { fromTypedArray, openArray, readAll, readNumbers } from "./array/array.ts";
export type { ListedArray, Listing } from "./array/list_arrays.ts";
export { listArrays } from "./array/list_arrays.ts";
export type { ArrayWriter, CreateArrayOptions } from "./array/create_array.ts";
export { createArray } from "./array/create_array.ts";
export type { ExpandOptions, LongAxis } from "./array/expand.ts";
export { expand } from "./array/expand.ts";
export type { ContextOptions, ContextRun, ContextView } from "./array/contexts.ts";
export { contexts } from "./array/contexts.ts";
export type { PatchOptions } from "./array/patches.ts";
export { patches } from "./array/patches.ts";
export type { AnnData, AnnDataOptions, Unstructured } from "./array/anndata/anndata.ts";
export { openAnnData } from "./array/anndata/anndata.ts";
export type { CellMatrix, RowEntries } from "./array/anndata/matrix.ts";
export type { WrittenArray, WrittenColumn, WrittenTables } from "./array/anndata/write.ts";
export { AnnDataWriter } from "./array/anndata/write.ts";
export { Episodes, openEpisodes } from "./array/episodes/episodes.ts";
export type { ArrayCheck, StoreCheck } from "./zarr/check.ts";
export { checkStore } from "./zarr/check.ts";
export { persistStorage } from "./store/open_store.ts";
export { openNetcdf } from "./files/hdf5_array.ts";
export type { ExportOptions, ExportProgress, ExportResult } from "./io/netcdf_export.ts";
export { exportNetcdf } from "./io/netcdf_export.ts";
export type { ArrayNumbers, NwbRecording } from "./io/nwb_recording.ts";
export { readNwb } from "./io/nwb_recording.ts";
export type { ZipResult } from "./io/zip_export.ts";
export { exportZip } from "./io/zip_export.ts";
export type { Displayed } from "./display.ts";
export type { LiveRun } from "./stream/live_run.ts";
export { live } from "./stream/live_run.ts";
export type { PlanTable } from "./stream/explain.ts";
export type { Plan } from "./stream/plan.ts";
export type {
  KMeansFitOptions,
  KMeansOptions,
  KMeansResult,
  Prediction,
  SoftOptions,
  SoftPrediction,
  StoredDistances,
  StoredKMeans,
  StoredPrediction,
  StoredSoftPrediction,
} from "./cluster/kmeans.ts";
export { KMeans } from "./cluster/kmeans.ts";
export type {
  PcaFitOptions,
  PcaOptions,
  PcaResult,
  StoredPca,
  StoredScores,
  TransformOptions,
} from "./decompose/pca.ts";
export { PCA } from "./decompose/pca.ts";
export type { IncrementalFitOptions, IncrementalPcaOptions } from "./decompose/incremental_pca.ts";
export { IncrementalPCA } from "./decompose/incremental_pca.ts";
export type {
  FittedProbe,
  LabelColumns,
  LogisticOptions,
  MassMeanOptions,
  ProbeFit,
  ProbeFitOptions,
  ProbePrediction,
  ProbePredictOptions,
  StoredProbe,
  StoredProbePrediction,
} from "./probes/probes.ts";
export { LogisticProbe, MassMeanProbe } from "./probes/probes.ts";
export type { SampleArray } from "./feed/samples.ts";
export type {
  StoredTrainedProbe,
  TokenPredictOptions,
  TrainedFit,
  TrainedFitOptions,
  TrainedOne,
  TrainedPredictOptions,
  TrainedProbe,
} from "./probes/trained_probe.ts";
export type { AttentionOptions } from "./probes/attention.ts";
export { AttentionProbe } from "./probes/attention.ts";
export type { GatedBipolarOptions } from "./probes/gated_bipolar.ts";
export { GatedBipolarProbe } from "./probes/gated_bipolar.ts";
export type { MlpOptions } from "./probes/mlp.ts";
export { MlpProbe } from "./probes/mlp.ts";
export type { MultiMaxOptions } from "./probes/multimax.ts";
export { MultiMaxProbe } from "./probes/multimax.ts";
export type { PositionalAttentionOptions } from "./probes/positional_attention.ts";
export { PositionalAttentionProbe } from "./probes/positional_attention.ts";
export type { RollingAttentionOptions } from "./probes/rolling_attention.ts";
export { RollingAttentionProbe } from "./probes/rolling_attention.ts";
export type { SoftAttentionOptions } from "./probes/soft_attention.ts";
export { SoftAttentionProbe } from "./probes/soft_attention.ts";
export type {
  LaterRows,
  SweepInput,
  SweepKind,
  SweepLayer,
  SweepOptions,
  SweepResult,
  SweepRow,
} from "./probes/sweep.ts";
export { formatSweep, ProbeSweep } from "./probes/sweep.ts";
export * as metrics from "./probes/metrics.ts";
export type { OpenedArrays, OpenedResult, OpenOptions } from "./open.ts";
export { open } from "./open.ts";
export type { Picture, PlotOptions, PlottedSpikes, TruePath } from "./plot/plot.ts";
export { plot } from "./plot/plot.ts";
export * as condition from "./condition/condition.ts";
export * as cpa from "./cpa/cpa.ts";
export * as decoder from "./hmm/decoder.ts";
export * as view from "./view/view.ts";
export type { PaddingOptions, WindowKeys, WindowOptions, WindowSplit } from "./windows/windows.ts";
export type { KeyBatch, KeyOptions } from "./windows/keys.ts";
export type { Segments, WantedSegments } from "./windows/segments.ts";
export { Windows, windows } from "./windows/windows.ts";
export type {
  BatchCursor,
  Batches,
  BatchOptions,
  DeviceBatch,
  HostBatch,
  HostBatchOptions,
  WindowBatch,
} from "./windows/batches.ts";
export type { Shuffle } from "./feed/order.ts";
export type { PriorityOptions, Sampler } from "./feed/samplers.ts";
export { balanced, everyNth, prioritized, rarityWeights, weighted } from "./feed/samplers.ts";
export * from "./errors.ts";
export type * from "./types.ts";
export { formatBytes, parseBytes } from "./math/format.ts";
export { VERSION } from "./version.ts";
