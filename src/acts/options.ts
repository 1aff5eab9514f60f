/**
 * Options of activations.
 *
 * @module
 */

import { serverChoices } from "../array/array.ts";
import type { Is, OptionsOf } from "../options.ts";
import {
  bytes,
  custom,
  declare,
  flag,
  isList,
  list,
  number,
  numbers,
  oneOf,
  signal,
  text,
  whole,
} from "../options.ts";
import { outputChoices, planChoices, runOptions } from "../stream/choices.ts";
import type { Mask } from "./tokens.ts";
import { ALL_DIMS } from "./types.ts";

const mask = (says: string) => custom("a mask of 0 and 1", isList as Is<Mask>, { says });

/** What is known of where activations came from. */
const factChoices = {
  /** The model, or whoever made them; `cat()` refuses others. */
  producer: text({ otherwise: "not known", says: "the model that made them" }),
  /** Where in the model they were taken, as `resid_post`; `cat()` refuses others. */
  hookPoint: text({ otherwise: "not known", says: "where in the model they were taken" }),
  /** How they were collected, in words. */
  collected: text({ otherwise: "not known", says: "how they were collected" }),
  /** Layers whose entries come after the final norm: often the last of what a model gives. */
  afterFinalNorm: numbers({
    takes: "L",
    otherwise: "none",
    says: "layers whose entries come after the final norm",
  }),
};

export const collectOptions = declare("collect activations", {
  /** Axes: b samples, l layers, s tokens, h channels. */
  dims: oneOf(ALL_DIMS, {
    required: true,
    says: "axes: b samples, l layers, s tokens, h channels",
  }),
  /** Of a typed array: [samples, layers, tokens, hidden], or [tokens, layers, hidden] with offsets. */
  shape: list(whole({ from: 0 }), {
    otherwise: "that of the array",
    says: "of a typed array: axes as in dims, or with tokens first where there are offsets",
  }),
  /** What 16 bits are: `Uint16Array` and `Int16Array` do not say. */
  dtype: oneOf(["bfloat16", "float16", "float32", "float64"] as const, {
    otherwise: "that of the array",
    says: "type of an element; has to be given where the array holds bits",
  }),
  /** Ids of layers, in the order of the array: outputs of blocks from 0, -1 the embeddings. */
  layers: numbers({
    takes: "L",
    otherwise: "0, 1, ...",
    says: "ids of layers: outputs of blocks from 0, -1 the embeddings",
  }),
  /** [samples + 1]: where each sample's tokens begin, where there is no padding. */
  offsets: custom("an array of numbers", isList as Is<ArrayLike<number | bigint>>, {
    says: "first token of each sample, and the number of tokens",
  }),
  /** [samples, tokens]: 1 for tokens, 0 for padding, on either side. */
  attentionMask: mask("1 for tokens, 0 for padding on either side"),
  /** Tokens that count; others are there and are not scored. Padding never counts. */
  detectionMask: mask("1 for tokens that count; others are there, and are not scored"),
  /** A name for each sample, by which writers merge and runs go on. */
  ids: list(text({}), { otherwise: "none", says: "a name for each sample" }),
  ...factChoices,
});

export type CollectOptions = OptionsOf<typeof collectOptions>;

export const liveOptions = declare("collect activations of a model", {
  /** Ids of the layers that blocks bring: outputs of blocks from 0, -1 the embeddings. */
  layers: numbers({ required: true, takes: "L", says: "ids of the layers that blocks bring" }),
  /** Channels. */
  hidden: whole({ required: true, from: 1, says: "channels" }),
  /** Type of an element. Default float32. */
  dtype: oneOf(["bfloat16", "float16", "float32"] as const, {
    default: "float32",
    says: "type of an element",
  }),
  /** Of several that write to one place: each has a name. Default `0`. */
  writer: text({ default: "0", says: "name of this writer, where several write to one place" }),
  /** Activations that are held before they are written, as a part. */
  partBytes: bytes({ default: "64 MiB", stored: false, says: "what is held before it is written" }),
  ...factChoices,
});

export type LiveOptions = OptionsOf<typeof liveOptions>;

export const loadOptions = declare("load activations", {
  /** Also what writers have not finished. Default false. */
  unfinished: flag({ default: false, says: "also what a writer has not finished" }),
  /** What 16 bits of files are that do not say it. */
  dtype: oneOf(["bfloat16", "float16"] as const, {
    otherwise: "what the files say",
    says: "what 16 bits are in files that do not say it",
  }),
  signal,
  ...serverChoices,
});

export type LoadOptions = OptionsOf<typeof loadOptions>;

export const emaOptions = declare("take moving averages", {
  /** Weight of a token; 1 is the maximum of tokens. Default 0.5. */
  alpha: number({ default: 0.5, above: 0, to: 1, says: "weight of a token; 1 is the maximum" }),
});

export const rollingOptions = declare("take rolling means", {
  /** Tokens of a window. Default 10. */
  window: whole({ default: 10, from: 1, to: 4096, says: "tokens of a window" }),
  /** Tokens at which windows end: any of the sample, or a detected one. Default `any`. */
  ends: oneOf(["any", "detected"] as const, {
    default: "any",
    says: "at which tokens windows end: any of the sample, or detected ones",
  }),
});

export const realizeOptions = declare("realize activations", {
  ...planChoices,
  ...runOptions.options,
});

export const saveOptions = declare("save activations", {
  ...planChoices,
  overwrite: outputChoices.overwrite,
  ...runOptions.options,
});

export type RealizeOptions = OptionsOf<typeof realizeOptions>;
export type SaveOptions = OptionsOf<typeof saveOptions>;
