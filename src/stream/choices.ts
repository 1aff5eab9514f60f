/**
 * Options that plans share.
 *
 * @module
 */

import type { GivenOf, OptionsOf } from "../options.ts";
import { declare, flag, place, signal, told, whole } from "../options.ts";
import type { Progress } from "../types.ts";

/** Choices that change speed and memory, never results. */
export const planChoices = {
  /** Rows of a tile; the largest that fits the budget when not given. */
  tileRows: whole({
    from: 1,
    otherwise: "what the budget allows",
    stored: false,
    says: "rows on the GPU at a time",
  }),
  /**
   * Slots in the ping-pong, 1 to 4: staging for so many tiles on their way in, and for as many on their way
   * out. 2 when not given, 1 when two would not fit.
   */
  slots: whole({
    from: 1,
    to: 4,
    otherwise: "2, or 1 where two would not fit",
    flag: false,
    stored: false,
    says: "tiles that are on their way in at a time, and as many on their way out",
  }),
};

export type PlanChoices = GivenOf<typeof planChoices>;

/** Where a result goes. */
export const outputChoices = {
  /**
   * Where the result goes, a zarr group; it is only returned when not given. An interrupted fit goes on
   * there when it is run again.
   */
  out: place({
    stored: false,
    otherwise: "nothing is stored",
    says: "zarr group of the result",
  }),
  /** Replaces a result that is already at `out`. Default false. */
  overwrite: flag({
    default: false,
    stored: false,
    says: "replace a result that is already there",
    helps:
      "replace a result that is already there; without it, an interrupted run of the same plan " +
      "goes on where it was, and a finished one is returned",
  }),
};

/** Options of every long run. */
export const runOptions = declare("run", {
  /** Aborting stops the run within 250 ms. */
  signal,
  /** Told how far it is. */
  onProgress: told<(progress: Progress) => void>("told how far it is"),
});

export type RunOptions = OptionsOf<typeof runOptions>;
