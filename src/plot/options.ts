/**
 * What pictures of results are drawn with, beside the result.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { Is, OptionsOf } from "../options.ts";
import {
  custom,
  declare,
  interval,
  isObject,
  numbers,
  place,
  signal,
  text,
  told,
} from "../options.ts";

/** Where an animal was. */
export interface TruePath {
  /** `[samples]` seconds. */
  times: ArrayLike<number>;
  /** `[samples]` or `[samples, 2]`, in the units of the decode; NaN where unknown. */
  values: ArrayLike<number>;
}

/** Spikes in any order. */
export interface PlottedSpikes {
  /** `[spikes]` seconds. */
  times: ArrayLike<number>;
  /** `[spikes]`: unit of each, any number. */
  units: ArrayLike<number>;
}

const has = (...names: string[]) => (value: unknown) =>
  isObject(value) && names.every((name) => name in (value as object));

export const plotOptions = declare("plot", {
  /** Stretch of a decode or a path that is drawn, `[start, stop]` in seconds. Default all of it, and a close-up. */
  time: interval({
    otherwise: "all of it, and a close-up",
    says: "stretch of a decode or a path that is drawn, in seconds",
  }),
  /** Unit of positions, as `cm`: stores do not have it. */
  unit: text({ otherwise: "none", says: "unit of positions, as cm" }),
  /** A stored path that `viterbi` found: drawn on a decode. */
  path: place({ otherwise: "none", says: "a stored path of viterbi, drawn on a decode" }),
  /** Where the animal was, drawn on a decode or a path. */
  position: custom("{ times, values }", has("times", "values") as Is<TruePath>, {
    ...{ flag: false, otherwise: "none", says: "where the animal was" },
  }),
  /** Drawn as a raster above a decode or a path. */
  spikes: custom("{ times, units }", has("times", "units") as Is<PlottedSpikes>, {
    ...{ flag: false, otherwise: "none", says: "spikes of a raster" },
  }),
  /** The rows that were clustered or projected, `[rows, features]`. */
  input: custom("an array that is read", has("shape", "read") as Is<ChunkedArray>, {
    ...{ flag: false, otherwise: "none", says: "rows that were clustered or projected" },
  }),
  /** 0 and 1, of every row of a prediction of probes: gives ROC and confusion. */
  labels: numbers({ flag: false, otherwise: "none", says: "classes of predicted rows" }),
  signal,
  /** Is told the share that is read, 0 to 1. */
  onProgress: told<(share: number) => void>("is told the share that is read, 0 to 1"),
});

/** Options of `plot()`. */
export type PlotOptions = OptionsOf<typeof plotOptions>;
