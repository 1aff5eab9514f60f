/**
 * Context conditioning: whether discrete clusters of the recent past of frames predict how they change.
 * `run` is the whole analysis; the rest are its parts.
 *
 * @module
 */

export type { ConditionOptions, ConditionPlan } from "./pipeline.ts";
export type { ConditionReport, ConditionResult, SplitSize } from "./results.ts";
export { plan, run } from "./pipeline.ts";
export type { Condition, ConditionConfig, Settings, SliceName } from "./config.ts";
export { checkConfig } from "./config.ts";
export type { CorpusInput, FramesInput, GroupsInput } from "./inputs.ts";
export type { Id, IdKind, Rows, Utterance } from "./rows.ts";
export type { Normalizer } from "./normalizer.ts";
export { deltaNormalizer } from "./normalizer.ts";
export { quartileEdges, quartileIds } from "./quartiles.ts";
export type { ClusterStatistics } from "./moments.ts";
export { ClusterMoments } from "./moments.ts";
export type {
  AcrossSpeakers,
  DiagnoseOptions,
  Diagnosis,
  EffectiveClusters,
  Slices,
  SpeakerNumbers,
} from "./diagnose.ts";
export { diagnose, effectiveClusters } from "./diagnose.ts";
export type { Shuffle, SplitOptions, Splits } from "./splits.ts";
export { splitSpeakers } from "./splits.ts";
export type { Check, Thresholds } from "./decision.ts";
export { decide } from "./decision.ts";
