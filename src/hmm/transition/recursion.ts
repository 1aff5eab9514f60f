/**
 * What takes the filter and the smoother from row to row: a transition with its buffers and steps on the
 * device.
 *
 * @module
 */

import { hmmFilter, hmmFilterParams } from "../../kernels/hmm_filter.ts";
import type { SmoothStarts } from "../../kernels/hmm_smooth.ts";
import { hmmSmooth, hmmSmoothParams } from "../../kernels/hmm_smooth.ts";
import { fieldBytes, hmmConstants } from "../../kernels/hmm_transition.ts";
import type { SharedBuffer, Step, Tile } from "../../stream/pass.ts";
import type { Grid } from "../grid.ts";
import type { StateModel } from "../states.ts";
import { transitionOperator } from "./transition.ts";

/** Where the predictions of a tile lie, in elements: a row after the other, or all in place of one. */
export interface PredictedLayout {
  /** Another name of the buffer than `predicted`. */
  buffer?: string;
  rowStride: number;
  laneStride(tile: Tile): number;
}

/**
 * A transition on the device. Its steps work on `likelihood` [rows, cells, 4], `predicted`, `filtered`
 * [rows, rowLength] and `smoothed_carry` [lanes, rowLength], all of them wide numbers (math/wide.ts), and on
 * `filter_sums` [rows, 2 + states] and `smooth_sums` [rows, states], f32; rows are those of a tile, lane after
 * lane.
 */
export interface Recursion {
  /** Elements of a row of probabilities of all states. */
  rowLength: number;
  /** Cells of 4 bins in a row of likelihoods, of all kinds together. */
  cells: number;
  /** [kinds of likelihood] cells of each; those of a kind follow those of the one before. */
  kindCells: readonly number[];
  /** [states * interior] offset of each state bin in a row of probabilities. */
  packTable: Uint32Array;
  /** What the transition is made of, which decides the numbers. */
  inputs: readonly ArrayBufferView[];
  /** Bytes of tables the host holds. */
  hostBytes: number;
  /** Places values of interior bins, for each kind of likelihood, into cells, with `outside` elsewhere. */
  toCells(values: (bin: number, kind: number) => number, outside: number): Float64Array;
  /** Where a row of likelihoods has that of a state's bin. */
  likelihoodAt(state: number, bin: number): number;
  /** Places values of every state's interior bins into a row of probabilities. */
  toRow(values: (state: number, bin: number) => number): Float32Array;
  /** Tables and scratch. */
  shared(lanes: number): SharedBuffer[];
  /** One row after the other: from `predicted` to `filtered` and the next `predicted`. */
  filterStep(lanes: number, predicted: PredictedLayout): Step;
  /** One row before the other: from `smoothed_carry` to `filtered`, smoothed, and `smoothed_carry`. */
  smoothStep(lanes: number, predicted: PredictedLayout, starts: (tile: Tile) => SmoothStarts): Step;
}

/**
 * Which of a row's likelihoods each state has: the same one unless states differ in what they expect to see.
 */
export type LikelihoodOf = readonly number[];

/** A table that is brought to the device once. */
export function tableBuffer(name: string, data: ArrayBufferView): SharedBuffer {
  return { name, bytes: data.byteLength, kind: "storage", data };
}

/**
 * The recursion of a transition made of convolutions: a workgroup walks a lane through all rows.
 *
 * @throws {RangeError} If the transition is not made of such blocks, or is too large; see
 * {@link transitionOperator}.
 */
export function convolutionRecursion(
  grid: Grid,
  model: StateModel,
  likelihoodOf: LikelihoodOf = model.names.map(() => 0),
): Recursion {
  const { shape, uniform, gridTable, rowScale, packTable, toCells } = transitionOperator(
    grid,
    model,
  );
  const rowLength = 4 * shape.states * shape.cells;
  const constants = hmmConstants(shape);
  const kinds = Math.max(...likelihoodOf) + 1;
  const rowsOf = ({ start, end }: Tile) => end - start;
  return {
    rowLength,
    cells: kinds * shape.cells,
    kindCells: new Array<number>(kinds).fill(shape.cells),
    packTable,
    inputs: [new Uint8Array(uniform), rowScale],
    hostBytes: uniform.byteLength + gridTable.byteLength + rowScale.byteLength +
      packTable.byteLength,
    toCells(values, outside) {
      const all = new Float64Array(4 * kinds * shape.cells);
      for (let kind = 0; kind < kinds; kind++) {
        all.set(toCells((bin) => values(bin, kind), outside), 4 * kind * shape.cells);
      }
      return all;
    },
    likelihoodAt: (state, bin) => 4 * likelihoodOf[state]! * shape.cells + packTable[bin]!,
    toRow(values) {
      const row = new Float32Array(rowLength);
      for (let state = 0; state < shape.states; state++) {
        row.set(toCells((bin) => values(state, bin), 0), 4 * state * shape.cells);
      }
      return row;
    },
    shared: (lanes) => [
      {
        name: "transition",
        bytes: uniform.byteLength,
        kind: "uniform",
        data: new Uint8Array(uniform),
      },
      tableBuffer("grid_table", gridTable),
      tableBuffer("row_scale", rowScale),
      { name: "field", bytes: lanes * fieldBytes(shape), kind: "storage", scratch: true },
      { name: "ratio", bytes: 4 * lanes * rowLength, kind: "storage", scratch: true },
    ],
    filterStep: (_lanes, { buffer = "predicted", rowStride, laneStride }) => ({
      kernel: hmmFilter,
      constants,
      buffers: { predicted: buffer },
      order: "ascending",
      params: (tile, from, to) =>
        hmmFilterParams(from, to, rowsOf(tile), {
          rowStride: rowStride / 4,
          laneStride: laneStride(tile) / 4,
        }, likelihoodOf),
      workgroups: (_rows, { lanes }) => [lanes],
    }),
    smoothStep: (_lanes, _predicted, starts) => ({
      kernel: hmmSmooth,
      constants,
      order: "descending",
      params: (tile, from, to) => hmmSmoothParams(from, to, rowsOf(tile), starts(tile)),
      workgroups: (_rows, { lanes }) => [lanes],
    }),
  };
}
