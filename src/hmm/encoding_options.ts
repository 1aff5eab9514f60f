/**
 * Options of an encoding, and of decoders of sorted spikes. A page that needs no others loads these alone.
 *
 * @module
 */

import type { Is, OptionsOf } from "../options.ts";
import {
  custom,
  declare,
  flag,
  interval,
  isList,
  isObject,
  list,
  number,
  oneOf,
  range,
} from "../options.ts";
import { clockOptions } from "./clocks.ts";
import type { Grid, GridEdges, TrackGraph } from "./grid.ts";
import type { PositionInput, SpikeInput } from "./recording.ts";
import type { StateModel } from "./states.ts";

export const encodingOptions = {
  /** Bin edge in position units; wanted where there is no `grid`. */
  binSize: number({
    above: 0,
    takes: "S",
    otherwise: "as grid says",
    says: "edge of a position bin",
  }),
  /** Bins of your own, `{ edges, interior }` or the grid of another decoder, instead of `binSize` and the like. */
  grid: custom("{ edges, interior }", isObject as Is<GridEdges | Grid>, {
    otherwise: "bins of binSize",
    says:
      "bins of your own, as { edges, interior }: edges along each dimension, and which bins are interior",
  }),
  /**
   * Least and largest position along each dimension, between which bins are laid; samples outside count in none.
   * Default: those of the positions.
   */
  positionRange: list(range({}), {
    takes: "A:B[,C:D]",
    otherwise: "that of the positions",
    says: "least and largest position along each dimension, between which bins are laid",
  }),
  /**
   * Ways of a track, along which bins are laid: `{ nodes, edges, edgeOrder, edgeSpacing }`. The position has x and y,
   * and every place is told by the nearest point of the track.
   */
  trackGraph: custom("{ nodes, edges }", isObject as Is<TrackGraph>, {
    otherwise: "a line or a box",
    says: "ways of a track along which bins are laid, as { nodes, edges, edgeOrder, edgeSpacing }",
  }),
  /** Makes bins interior that are enclosed by interior ones, in two dimensions. Default false. */
  fillHoles: flag({ default: false, says: "take bins for interior that interior ones enclose" }),
  /** Makes bins interior that lie beside interior ones, in two dimensions. Default false. */
  dilate: flag({ default: false, says: "take bins for interior that lie beside interior ones" }),
  /** Standard deviation of the encoding's Gaussian kernel, position units. Default 6. */
  positionStd: number({
    default: 6,
    above: 0,
    takes: "S",
    says: "standard deviation of the place-field kernel",
  }),
  /** Limits the encoding to these [start, stop] intervals, seconds. */
  train: list(interval({}), { takes: "A:B[,C:D]", says: "encode these intervals only, seconds" }),
  /**
   * Stretches in which the animal was tracked, [start, stop] in seconds, ascending. By default what gaps
   * leave: pauses between samples of more than 0.5 s and five median intervals.
   */
  intervals: list(interval({}), {
    takes: "A:B[,C:D]",
    otherwise: "what gaps leave, pauses of more than 0.5 s and 5 median intervals",
    says: "stretches in which the animal was tracked, seconds",
  }),
  /** Limits the encoding to samples where the animal moves faster, position units per second. */
  minSpeed: number({
    from: 0,
    takes: "V",
    says: "encode only samples faster than this, length per second",
  }),
};

const PLACE_FIELDS = ["kde", "glm"] as const;

/** How sorted spikes are encoded. */
export const fieldOptions = {
  /**
   * `kde`: kernel density of spikes over that of the time spent. `glm`: a fitted one, whose logarithm is a natural
   * cubic spline of the position; `positionStd` is not for it. Default `kde`.
   */
  placeFields: oneOf(PLACE_FIELDS, {
    default: "kde",
    says: "kde: kernel densities; or glm: fitted rates, whose logarithm is a natural cubic spline",
  }),
  /** Distance of the knots of such splines, position units. Default 2 sqrt(12.5). */
  knotSpacing: number({
    above: 0,
    takes: "S",
    otherwise: "7.07, 2 sqrt(12.5)",
    says: "distance of the knots of a glm",
  }),
  /**
   * What squares of a fitted field's values in its knots cost, relative to nats a second, its level left out. Default
   * 0.5.
   */
  fieldPenalty: number({
    above: 0,
    otherwise: "0.5",
    says: "what squares of a glm's values in its knots cost, relative to nats a second",
  }),
};

export const initialProbs = custom("a value for each state bin", isList as Is<ArrayLike<number>>, {
  otherwise: "those of states, all bins alike",
  says: "probability of every state bin before the first row",
});

export const sortedSpikesOptions = declare("make a decoder", {
  /**
   * `times` [samples], seconds, ascending, equal times allowed: such samples are averaged; `values`
   * [samples] or [samples, 2] in C order, any position unit (cm, pixels). NaN positions are left out of the
   * encoding; infinite ones are refused. With `shape` an array that lies on its side is noticed.
   */
  position: custom(
    "{ times, values }",
    isObject as Is<PositionInput>,
    { required: true, says: "times and positions, as { times, values }" },
  ),
  /**
   * Flat `{ times, units }`, or one list of times per unit. Seconds, unless `spikeRate` or `timeRate` say
   * otherwise; sorted where they are not ascending. Units are whole numbers from 0: those that have spikes
   * are numbered anew, and {@link SortedSpikesDecoder.unitIds} tells which is which.
   */
  spikes: custom(
    "{ times, units }, or a list of times for each unit",
    isObject as Is<SpikeInput>,
    { required: true, says: "spikes, as { times, units } or a list of times for each unit" },
  ),
  ...clockOptions,
  /** Discrete states and how position moves in them. Default `continuous()`. */
  states: custom(
    "states, as contFrag() makes them",
    isObject as Is<StateModel>,
    { otherwise: "continuous()", says: "discrete states, as contFrag() makes them" },
  ),
  /** [state bins] p(state bin before the first row). Default: that of its state, all its bins alike. */
  initialProbs,
  ...encodingOptions,
  ...fieldOptions,
});

export const saveEncodingOptions = declare("save an encoding", {
  /** Replaces another encoding that is there. Default false. */
  overwrite: flag({
    default: false,
    stored: false,
    says: "replace another encoding that is there",
  }),
});

export type SaveEncodingOptions = OptionsOf<typeof saveEncodingOptions>;

/** What {@link sortedSpikes} decodes from. */
export type SortedSpikesOptions = OptionsOf<typeof sortedSpikesOptions>;
