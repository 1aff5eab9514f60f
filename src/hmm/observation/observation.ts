/**
 * What rows tell of the bins they were recorded in: the sibling of a transition.
 *
 * @module
 */

import type { SharedBuffer, SlotBuffer, Step, Tile } from "../../stream/pass.ts";

/** Name of the buffer that says how likely a row is in every bin, `[rows, cells, 4]` wide numbers. */
export const LIKELIHOOD = "likelihood";

/**
 * How likely a row is in each bin, on the device. Its steps fill `likelihood` [rows, cells, 4], up to a factor
 * of the row, and `row_maximum` [rows, 2] i32, of which {@link Observation.logEvidence} makes that factor; rows
 * are those of a tile, lane after lane.
 */
export interface Observation {
  /** What decides the numbers. */
  inputs: readonly ArrayBufferView[];
  /** Bytes of tables the host holds. */
  hostBytes: number;
  /** Tables. */
  shared(): SharedBuffer[];
  /** Bytes of `row_maximum` for a row. */
  rowMaximumBytes: number;
  /** What comes with a tile of so many rows of every lane. */
  uploads(tileRows: number): SlotBuffer[];
  steps(): Step[];
  read(tile: Tile): Record<string, ArrayBufferView>;
  /**
   * Logarithm of a row's evidence, natural, f64: with the factor that likelihoods on the device lack.
   *
   * @param logSum Logarithm of the sum that the device found, natural.
   * @param row Of the recording.
   * @param maxima What `row_maximum` has of the row.
   */
  logEvidence(logSum: number, row: number, maxima: Int32Array): number;
}
