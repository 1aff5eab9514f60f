/**
 * Decodes position from spikes with a hidden Markov model, out of core.
 *
 * @module
 */

export type { AheadBehindOptions, DistanceOptions } from "./analysis/animal_distance.ts";
export { aheadBehind, distanceFromAnimal } from "./analysis/animal_distance.ts";
export type { MapSpeedOptions } from "./analysis/decoded_places.ts";
export { mapPosition, mapSpeed } from "./analysis/decoded_places.ts";
export type { HighestDensity, HighestDensityOptions } from "./analysis/highest_density.ts";
export { highestDensity, hpdOverlap, klDivergence } from "./analysis/highest_density.ts";
export type { StateRows, StateRun } from "./analysis/most_likely_sequence.ts";
export { mostLikelySequence } from "./analysis/most_likely_sequence.ts";
export type { PositionPosterior } from "./analysis/position_rows.ts";
export type { TimeRescaling, TimeRescalingOptions } from "./analysis/time_rescaling.ts";
export { timeRescaling } from "./analysis/time_rescaling.ts";
export type { DecodeOptions, SampleOptions, ViterbiOptions } from "./decode_options.ts";
export type {
  LogLikelihoodDecodeOptions,
  LogLikelihoodSampleOptions,
  LogLikelihoodViterbiOptions,
} from "./log_likelihood_options.ts";
export type { EmOptions } from "./em_options.ts";
export type { LogLikelihoodEmOptions } from "./log_likelihood_options.ts";
export type { SortedSpikesOptions } from "./encoding_options.ts";
export type {
  ClusterlessOptions,
  EncodedOptions,
  EnvironmentsOptions,
  LogLikelihoodOptions,
} from "./decoder_options.ts";
export type { DecodeLanes, DecodeResult } from "./decode_result.ts";
export { posteriorMean } from "./decode_result.ts";
export type { EmPlan, EmResult } from "./em.ts";
export type { FoundParameters } from "./em_parameters.ts";
export { openParameters } from "./stored_parameters.ts";
export type { GridEdges, TrackGraph } from "./grid.ts";
export { LogLikelihoodDecoder, logLikelihoods } from "./log_likelihood_decoder.ts";
export type { LogLikelihoodSource } from "./observation/log_likelihoods.ts";
export type { OperatorKind } from "./transition/choose_operator.ts";
export type { PosteriorType } from "./posterior_types.ts";
export type { Summary } from "./row_outputs.ts";
export type { Interval, TimeGridKind } from "./time_grid.ts";
export { clusterless, ClusterlessDecoder } from "./clusterless_decoder.ts";
export type { MarkInput } from "./recording.ts";
export type { PositionInput, SpikeInput } from "./recording.ts";
export { fromUint16, toUint16 } from "../math/quantize.ts";
export type { ContinuousTransition, StateModel } from "./states.ts";
export { environments } from "./environments.ts";
export { EnvironmentsDecoder } from "./environments_decoder.ts";
export { contFrag, continuous, multiEnvironment, nonLocal, noSpikeContFrag } from "./presets.ts";
export { stateModel } from "./states.ts";
export type { ViterbiResult } from "./viterbi_task.ts";
export type { SampledPaths } from "./sample_task.ts";
export { simulateSession } from "./simulate.ts";
export type {
  MarksOptions,
  ReplayKind,
  ReplayOptions,
  SimulatedMarks,
  SimulatedReplay,
} from "./simulate_states.ts";
export { simulateMarks, simulateReplay } from "./simulate_states.ts";
export { sortedSpikes, SortedSpikesDecoder } from "./sorted_spikes_decoder.ts";
export type { StoredEncoding } from "./open_encoding.ts";
export { openEncoding } from "./open_encoding.ts";
