/**
 * Options of a search for parameters.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, flag, list, number, text, whole } from "../options.ts";
import { decodeOutput, timeOptions } from "./decode_options.ts";

/** What is fitted, from what is believed beforehand, and when that is enough. */
export const emChoices = {
  /** Updates at most. Default 20. */
  maxIterations: whole({ default: 20, from: 1, says: "updates of the parameters, at most" }),
  /** Relative change of the log-likelihood at which it is enough, from the second update on. Default 1e-4. */
  tolerance: number({
    default: 1e-4,
    above: 0,
    says: "relative change of the log-likelihood at which it is enough",
  }),
  /** Whether the probabilities of the first row are fitted. Default true. */
  fitInitial: flag({
    default: true,
    flag: "no-fit-initial",
    says: "fit the probabilities of the first row",
    helps: "keep the probabilities of the first row as they are",
  }),
  /** Whether the probabilities of discrete states after each are fitted. Default true. */
  fitTransitions: flag({
    default: true,
    flag: "no-fit-transitions",
    says: "fit the probabilities of discrete states after each",
    helps: "keep the probabilities of discrete states after each as they are",
  }),
  /** Of a Dirichlet prior over what follows a state; 1 says nothing. Default: that of the states, or 1. */
  concentration: number({
    from: 1,
    otherwise: "that of the states, or 1",
    says: "of a Dirichlet prior over what follows a state; 1 says nothing",
  }),
  /** Added to it for the state itself: a value for each state. Default: that of the states, or 0 for all. */
  stickiness: list(number({ from: 0 }), {
    otherwise: "that of the states, or 0 of every one",
    says: "added to it for the state itself, a value for each state",
  }),
  /**
   * A value for each state. Above 0, the prior counts as so many times what is expected of the state, however long
   * the recording. Default 0 for all: it counts as it is.
   */
  priorWeight: list(number({ from: 0 }), {
    otherwise: "0 of every state: the prior counts as it is",
    says: "how many times what is expected of a state its prior counts as, a value for each state",
  }),
  /** Names of states whose transitions stay as they are. Default: those that the states name, or none. */
  frozen: list(text({}), {
    otherwise: "those that the states name, or none",
    takes: "NAME[,...]",
    says: "states whose transitions stay as they are, by name",
  }),
};

/** Of recordings, whose spikes are encoded. */
export const encodingChoice = {
  /**
   * Whether spikes are encoded anew after every step, from samples of the position as far as a local state was likely
   * there. Default false.
   */
  fitEncoding: flag({
    default: false,
    says: "encode anew after every step, from samples as far as a local state was likely",
  }),
};

export const emOptions = declare("fit parameters", {
  ...timeOptions,
  ...decodeOutput,
  ...emChoices,
  ...encodingChoice,
});

/** Options of `SortedSpikesDecoder.em()` and `ClusterlessDecoder.em()`. */
export type EmOptions = OptionsOf<typeof emOptions>;
