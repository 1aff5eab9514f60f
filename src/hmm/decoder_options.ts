/**
 * Options of decoders of other things than sorted spikes in one place.
 *
 * @module
 */

import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, interval, isList, isObject, list, number, text } from "../options.ts";
import { clockOptions } from "./clocks.ts";
import {
  encodingOptions,
  fieldOptions,
  initialProbs,
  sortedSpikesOptions,
} from "./encoding_options.ts";
import type { GridEdges } from "./grid.ts";
import type { LogLikelihoodSource } from "./observation/log_likelihoods.ts";
import type { MarkInput, PositionInput, SpikeInput } from "./recording.ts";
import type { StateModel } from "./states.ts";

export const clusterlessOptions = declare("make a decoder", {
  position: sortedSpikesOptions.options.position,
  /**
   * Flat `{ times, electrodes, features }`: features [spikes, features] in C order, as many of each spike. Times
   * as those of sorted spikes; electrodes are whole numbers from 0.
   */
  spikes: custom(
    "{ times, electrodes, features }",
    isObject as Is<MarkInput>,
    { required: true, says: "spikes, as { times, electrodes, features }" },
  ),
  ...clockOptions,
  states: sortedSpikesOptions.options.states,
  initialProbs,
  ...encodingOptions,
  /** Standard deviation of the kernel over features, in their unit. Default 24. */
  waveformStd: number({
    default: 24,
    above: 0,
    says: "standard deviation of the kernel over features, in their unit",
  }),
});

const namedIntervals = {
  name: text({ required: true, says: "what states call it" }),
  intervals: list(interval({}), {
    required: true,
    says: "when the animal was in it, seconds; both ends belong to it",
  }),
};
const { binSize, grid, positionRange, trackGraph, fillHoles, dilate } = encodingOptions;

/** Of an environment. */
export const environmentOptions = declare("lay out an environment", {
  ...namedIntervals,
  ...{ binSize, grid, positionRange, trackGraph, fillHoles, dilate },
});

/** Of a group of samples. */
export const groupOptions = declare("make a group", namedIntervals);

export type EnvironmentOptions = OptionsOf<typeof environmentOptions>;
export type GroupOptions = OptionsOf<typeof groupOptions>;

const { positionStd, train, intervals, minSpeed } = encodingOptions;

export const environmentsOptions = declare("make a decoder", {
  position: sortedSpikesOptions.options.position,
  /** As those of `sortedSpikes()`, or with features as those of `clusterless()`. */
  spikes: custom(
    "spikes, sorted or with features",
    isObject as Is<SpikeInput | MarkInput>,
    { required: true, says: "spikes, as those of sortedSpikes() or of clusterless()" },
  ),
  ...clockOptions,
  /** Discrete states, of which each says its environment, as `multiEnvironment()` makes them. */
  states: custom("states, as multiEnvironment() makes them", isObject as Is<StateModel>, {
    required: true,
    says: "discrete states with their environments, as multiEnvironment() makes them",
  }),
  initialProbs,
  /**
   * Each with a name, the `intervals` [start, stop] in which the animal was there, and its bins: `binSize` and what else
   * says how they are laid over the positions in these, or a `grid` or `trackGraph`.
   */
  environments: custom(
    "a list of { name, intervals, binSize }",
    isList as Is<EnvironmentOptions[]>,
    {
      required: true,
      says: "places with bins of their own, as { name, intervals, binSize }",
    },
  ),
  /** Groups of samples by name and `intervals`, from which states expect place fields of their own. Default: all are one. */
  groups: custom("a list of { name, intervals }", isList as Is<GroupOptions[]>, {
    otherwise: "all samples are one",
    says: "groups of samples, from which states expect place fields of their own",
  }),
  ...{ positionStd, train, intervals, minSpeed },
  /** Of sorted spikes. */
  ...fieldOptions,
  /** Of spikes with features: standard deviation of the kernel over these, in their unit. Default 24. */
  waveformStd: number({
    above: 0,
    otherwise: "24",
    says: "of spikes with features: standard deviation of the kernel over these, in their unit",
  }),
});

/** What {@link environments} decodes from. */
export type EnvironmentsOptions = OptionsOf<typeof environmentsOptions>;

/** What a stored encoding is applied to. */
export const encodedOptions = declare("decode by an encoding", {
  /**
   * As those that were encoded: `{ times, units }` or a list of times for each unit; of spikes with features
   * `{ times, electrodes, features }`. Units and electrodes are called what they were called then.
   */
  spikes: custom(
    "spikes, as those that were encoded",
    isObject as Is<SpikeInput | MarkInput>,
    { required: true, says: "spikes, as those that were encoded" },
  ),
  /** Where the animal was, if that is known; rows have to be told otherwise. */
  position: custom("{ times, values }", isObject as Is<PositionInput>, {
    otherwise: "not known",
    says: "times and positions, as { times, values }",
  }),
  /**
   * Stretches in which the animal was tracked in this position, not in the one that was encoded: as there, by default
   * what gaps leave.
   */
  intervals: encodingOptions.intervals,
  ...clockOptions,
  states: sortedSpikesOptions.options.states,
  initialProbs,
});

export type EncodedOptions = OptionsOf<typeof encodedOptions>;

/** What {@link clusterless} decodes from. */
export type ClusterlessOptions = OptionsOf<typeof clusterlessOptions>;

export const logLikelihoodOptions = declare("make a decoder", {
  /**
   * Natural logarithms of p(what was seen in a row | bin), `[time, bins]` where all states expect the same in a
   * bin, `[time, state bins]` where they do not, a state after the other. -Infinity is impossible; NaN and
   * +Infinity are refused. Factors of a row change nothing but the log-likelihood. An array of any kind, as
   * `openArray()` and `fromTypedArray()` give, or anything with a `shape` and a `read` that gives the same
   * rows whenever it is asked. It is read three times, tile by tile, and stays open.
   */
  logLikelihoods: custom(
    "an array, or { shape, read }",
    isObject as Is<LogLikelihoodSource>,
    { required: true, says: "log-likelihoods, natural, [time, bins] or [time, state bins]" },
  ),
  /** Discrete states and how position moves in them. */
  states: custom(
    "states, as stateModel() makes them",
    isObject as Is<StateModel>,
    { required: true, says: "discrete states, as stateModel() makes them" },
  ),
  /**
   * Bins, as `{ edges, interior }` or the grid of another decoder. Default: a line of as many bins of width 1
   * as there are log-likelihoods in a row; a single one where every state has one bin.
   */
  grid: custom("{ edges, interior }", isObject as Is<GridEdges>, {
    otherwise: "a line of bins of width 1",
    says: "edges of bins along each dimension, and which bins are interior",
  }),
  initialProbs,
});

/** What {@link logLikelihoods} decodes from. */
export type LogLikelihoodOptions = OptionsOf<typeof logLikelihoodOptions>;
