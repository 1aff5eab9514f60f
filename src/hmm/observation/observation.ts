/**
 * What rows tell of the bins they were recorded in: the sibling of a transition.
 *
 * @module
 */

import type { SharedBuffer, SlotBuffer, Step, Tile } from "../../stream/pass.ts";
import type { Feed } from "../../stream/task.ts";

/** Name of the buffer that says how likely a row is in every bin, `[rows, cells, 4]` wide numbers. */
export const LIKELIHOOD = "likelihood";
/** And of what steps divided a row's likelihoods by. */
export const ROW_MAXIMUM = "row_maximum";

/**
 * How likely a row is in each bin, on the device. Its steps or its uploads fill `likelihood` [rows, cells, 4],
 * up to a factor of the row that {@link Observation.evidence} knows; rows are those of a tile, lane after lane.
 */
export interface Observation {
  /** What decides the numbers and is not read. */
  inputs: readonly ArrayBufferView[];
  /** What is read. */
  feeds: readonly Feed[];
  /** Bytes of tables the host holds. */
  hostBytes: number;
  /** Tables. */
  shared(): SharedBuffer[];
  /** Bytes of `row_maximum` for a row, which steps fill; 0 where none do. */
  rowMaximumBytes: number;
  /** What comes with a tile of so many rows of every lane. */
  uploads(tileRows: number): SlotBuffer[];
  /** Host bytes of reading such a tile, and of what comes with it that is no upload. */
  readBytes?(tileRows: number): { read: number; beside: number };
  steps(): Step[];
  read(tile: Tile, signal: AbortSignal): Promise<Record<string, ArrayBufferView>>;
  /** What tells a tile's evidence: its `row_maximum`, where there is one, and what was read beside uploads. */
  evidence(
    rowMaximum: ArrayBuffer | undefined,
    beside: Record<string, ArrayBufferView>,
  ): Evidence;
}

/**
 * Logarithm of a row's evidence, natural, f64: with the factor that likelihoods on the device lack.
 *
 * @param logSum Logarithm of the sum that the device found, natural.
 * @param row Of the recording.
 * @param at Of the tile.
 */
export type Evidence = (logSum: number, row: number, at: number) => number;
