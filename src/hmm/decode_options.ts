/**
 * What a decode is told.
 *
 * @module
 */

import type { PlanChoices } from "../stream/plan.ts";
import type { Codec } from "../zarr/codecs.ts";
import type { ZarrFormat } from "../zarr/metadata.ts";
import type { PosteriorType } from "./posterior_types.ts";
import type { Summary } from "./row_outputs.ts";
import type { Interval, TimeGridKind } from "./time_grid.ts";
import type { OperatorKind } from "./transition/choose_operator.ts";

/** Options of `SortedSpikesDecoder.smooth()`. */
export interface DecodeOptions extends PlanChoices {
  /**
   * Rows: bins of 1 / `rate` seconds from `start` on, as many whole ones as end by `stop`, which default
   * to the first and last position time. `rate` in Hz, 500 when not given; or `step`, seconds, for 1 / step.
   */
  time?: { start?: number; stop?: number; rate?: number; step?: number };
  /**
   * `edges`: a row is a bin, left-closed, the last one closed at both ends, and its time is the centre.
   * `timestamps`: a row is a point in time at `start + i / rate` that owns what follows, the last row
   * nothing, as in non_local_detector until September 2026. Default `edges`.
   */
  timeGrid?: TimeGridKind;
  /**
   * Rows that carry no evidence: those that own any time of these [start, stop) stretches, seconds. With
   * "untracked" among them, also those without a position: in gaps of the tracking, and beside unknown
   * positions. Default none: spikes say where the animal was, or what it thought of, without a position too.
   */
  missing?: readonly (Interval | "untracked")[];
  /** [rows] Rows that carry no evidence, one by one; beside those of `missing`. */
  isMissing?: ArrayLike<number | boolean>;
  /** Where the zarr store goes: a path, `file:`, `opfs:` or `memory:` place. */
  out: string;
  /** Writes the filtered posterior too. Never changes the smoothed one. Default false. */
  causal?: boolean;
  /**
   * How probabilities of bins are stored; they are computed in f32. `f16`: half floats. `u16`: roots of
   * probabilities with a scale a row, half the bytes of f32 and rows that sum to 1. `u16-linear`:
   * 65535 p, which loses mass of broad rows. Readers of this package undo it. Default `f32`.
   */
  dtype?: PosteriorType;
  /**
   * Whether probabilities of bins are stored at all. Without them a recording of hours takes megabytes;
   * probabilities of discrete states are always stored. Default true.
   */
  posterior?: boolean;
  /** Numbers to store for every row, of the smoother and, with `causal`, of the filter. Default none. */
  summaries?: readonly Summary[];
  /** Rows a stored chunk holds; they divide a lane. Default: as many as make 4 MiB in all lanes. */
  chunkRows?: number;
  /**
   * Chunks that share a file, a shard, within a lane. Default: as many as make 64 MiB; 1, a file for
   * every chunk, in zarr version 2.
   */
  shardChunks?: number;
  /**
   * Stretches of time that are advanced side by side. All but the first start from a guess, a burn-in
   * early; whether it was right is measured where two lanes meet, and a lane that was not is run again.
   * 1 is the plain filter. Default `auto`: as many as keep the device busy and burn-ins below a quarter
   * of a lane.
   */
  lanes?: "auto" | number;
  /** Rows of a burn-in. Default: as many as make 20 s, at most a lane's. */
  burnInRows?: number;
  /**
   * Hilbert distance up to which a guess counts as right: no later probability is then off by a factor of
   * more than e to it, nor the log-likelihood by more than it a lane. Default 1e-5.
   */
  laneTolerance?: number;
  /**
   * How the transition is applied: by convolutions, where it is made of such, or with the tiles of a
   * sparse matrix or a dense one. The numbers are the same within 2e-7. Default `auto`: what is counted to
   * cost least, and fits the budget.
   */
  operator?: "auto" | OperatorKind;
  /** Compression of chunks. Default `none`. */
  codec?: Codec;
  /** Version of the zarr format; 2 for Python before zarr 3. Default 3. */
  zarrFormat?: ZarrFormat;
  /** Replaces a decode that is already at `out`, finished or not. Default false. */
  overwrite?: boolean;
  /**
   * Goes on with an unfinished decode that another adapter began. Its numbers may then differ in the
   * last digits from row to row. Default false.
   */
  allowAdapterChange?: boolean;
}
