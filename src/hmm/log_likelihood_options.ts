/**
 * Options of decodes, paths, samples and searches of log-likelihoods of the caller's own.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, interval, list, number, record } from "../options.ts";
import {
  decodeOutput,
  pathOutput,
  sampleChoices,
  speedOfRows,
  timeEdges,
  timeOptions,
} from "./decode_options.ts";
import { emChoices } from "./em_options.ts";

export const logLikelihoodDecodeOptions = declare("plan a decode", {
  /** When rows are: bins of 1 / `rate` seconds from `start` on. `rate` in Hz, or `step`, seconds. */
  time: record({
    ...speedOfRows,
    start: number({ takes: "S", otherwise: "0", says: "where rows begin, seconds" }),
  }, { says: "when rows are" }),
  /** [rows + 1] Edges of rows of your own, seconds, instead of `time`. Rows have to be of one length, within 0.1 %. */
  timeEdges,
  /** Rows that carry no evidence: those that own any time of these [start, stop) stretches, seconds. */
  missing: list(interval({}), {
    default: [],
    takes: "A:B[,C:D]",
    says: "rows that touch these stretches carry no evidence, seconds",
  }),
  isMissing: timeOptions.isMissing,
  ...decodeOutput,
});

/** Options of `LogLikelihoodDecoder.smooth()`. */
export type LogLikelihoodDecodeOptions = OptionsOf<typeof logLikelihoodDecodeOptions>;

const { time, missing, isMissing, timeEdges: edges } = logLikelihoodDecodeOptions.options;

/** Rows of log-likelihoods of the caller's own. */
const ownRows = { time, timeEdges: edges, missing, isMissing };

export const logLikelihoodViterbiOptions = declare("plan a path", { ...ownRows, ...pathOutput });

export const logLikelihoodSampleOptions = declare("plan samples", {
  ...ownRows,
  ...sampleChoices,
});

/** Options of `LogLikelihoodDecoder.samples()`. */
export type LogLikelihoodSampleOptions = OptionsOf<typeof logLikelihoodSampleOptions>;

/** Options of `LogLikelihoodDecoder.viterbi()`. */
export type LogLikelihoodViterbiOptions = OptionsOf<typeof logLikelihoodViterbiOptions>;

export const logLikelihoodEmOptions = declare("fit parameters", {
  ...ownRows,
  ...decodeOutput,
  ...emChoices,
});

/** Options of `LogLikelihoodDecoder.em()`. */
export type LogLikelihoodEmOptions = OptionsOf<typeof logLikelihoodEmOptions>;
