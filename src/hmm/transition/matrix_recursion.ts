/**
 * The recursion of a transition kept as a matrix, sparse or dense: kernels take turns row by row, each
 * on all lanes at once, so that the matrix is read once for them.
 *
 * @module
 */

import { hmmRatio, hmmRatioParams } from "../../kernels/hmm_ratio.ts";
import { hmmRescale, hmmRescaleParams } from "../../kernels/hmm_rescale.ts";
import {
  hmmWeigh,
  hmmWeighParams,
  MAX_ROW_STATES,
  rowConstants,
  stateSumsBytes,
} from "../../kernels/hmm_weigh.ts";
import type { DenseShape } from "../../kernels/multiply_dense.ts";
import * as dense from "../../kernels/multiply_dense.ts";
import * as sparse from "../../kernels/multiply_sparse.ts";
import * as blocks from "../../kernels/sum_blocks.ts";
import type { LoopKernel, SharedBuffer, Tile } from "../../stream/pass.ts";
import type { DenseTransition } from "./dense_transition.ts";
import { denseTransition } from "./dense_transition.ts";
import type { GeneralTransition, GeneralTransitionOptions } from "./general_transition.ts";
import type { Grid } from "../grid.ts";
import type { Recursion } from "./recursion.ts";
import { tableBuffer } from "./recursion.ts";
import type { SparseTransition } from "./sparse_transition.ts";
import { sparseTransition } from "./sparse_transition.ts";
import type { StateModel } from "../states.ts";

/** Where a product's vectors and result lie: a buffer, and elements for a row of a tile. */
interface Operand {
  buffer: string;
  at(tile: Tile, row: number): number;
  stride(tile: Tile): number;
}

/** The two ways to multiply. */
interface Product {
  /** Bytes of tables the host holds. */
  hostBytes: number;
  shared(lanes: number): SharedBuffer[];
  /** `result` = `vectors` @ T, or T @ `vectors`; of these `state_sums` has levels and sums. */
  kernels(
    lanes: number,
    transposed: boolean,
    operands: Record<"vectors" | "result", Operand>,
  ): LoopKernel[];
}

/**
 * The recursion of a model's matrix.
 *
 * @param options Sources of blocks, and the largest buffer the adapter binds, in bytes.
 * @throws {RangeError} If a block cannot be built on this grid, or there are more states than rows have room for.
 */
export function matrixRecursion(
  grid: Grid,
  model: StateModel,
  kind: "sparse" | "dense",
  { bindingBytes, ...sources }: GeneralTransitionOptions & { bindingBytes: number },
): Recursion {
  if (model.names.length > MAX_ROW_STATES) {
    throw new RangeError(
      `Cannot build a transition: ${model.names.length} discrete states, at most ${MAX_ROW_STATES} are ` +
        "supported; more may be the bins of one state that has a matrix",
    );
  }
  const transition = kind === "sparse"
    ? sparseTransition(grid, model, sources)
    : denseTransition(grid, model, { ...sources, bindingBytes });
  const product = "tiles" in transition ? sparseProduct(transition) : denseProduct(transition);
  const { states, bins, starts, likelihoods, kindStarts, kindBins, stateTable } = transition;
  const rowsOf = ({ start, end }: Tile) => end - start;
  const perLane = (buffer: string): Operand => ({ buffer, at: () => 0, stride: () => bins });
  const everyLane = ({ lanes }: Tile) => [lanes];
  return {
    rowLength: bins,
    cells: likelihoods / 4,
    kindCells: kindBins.map((own) => Math.ceil(own / 4)),
    packTable: Uint32Array.from({ length: bins }, (_, bin) => bin),
    // the matrix itself is made of these
    inputs: model.transitions.flat().flatMap((block) =>
      block.kind === "matrix" ? [Float64Array.from(block.values)] : []
    ),
    hostBytes: 4 * bins + product.hostBytes,
    toCells(values, outside) {
      const cells = new Float64Array(likelihoods).fill(outside);
      kindStarts.forEach((start, kind) => {
        for (let bin = 0; bin < kindBins[kind]!; bin++) cells[start + bin] = values(bin, kind);
      });
      return cells;
    },
    likelihoodAt: (state, bin) => stateTable[2 * state + 1]! + bin,
    toRow(values) {
      const all = new Float32Array(bins);
      for (let state = 0; state < states; state++) {
        for (let bin = starts[state]!; bin < starts[state + 1]!; bin++) {
          all[bin] = values(state, bin - starts[state]!);
        }
      }
      return all;
    },
    shared: (lanes) => [
      tableBuffer("states", stateTable),
      tableBuffer("spread", transition.spread),
      tableBuffer("spread_transposed", transition.spreadTransposed),
      { name: "ratio", bytes: 4 * lanes * bins, kind: "storage", scratch: true },
      {
        name: "state_sums",
        bytes: stateSumsBytes(lanes, states),
        kind: "storage",
        scratch: true,
      },
      { name: "back", bytes: 4 * lanes * bins, kind: "storage", scratch: true },
      ...product.shared(lanes),
    ],
    filterStep: (lanes, { buffer = "predicted", rowStride, laneStride }) => ({
      name: `filter, ${kind} transition`,
      order: "ascending",
      loop: [
        {
          kernel: hmmWeigh,
          constants: rowConstants(states),
          buffers: { predicted: buffer },
          params: (tile, at) =>
            hmmWeighParams(
              { bins, likelihoods },
              at,
              rowsOf(tile),
              at * rowStride,
              laneStride(tile),
            ),
          workgroups: everyLane,
        },
        ...product.kernels(lanes, false, {
          vectors: {
            buffer: "filtered",
            at: (_tile, at) => at * bins,
            stride: (tile) => rowsOf(tile) * bins,
          },
          result: { buffer, at: (_tile, at) => (at + 1) * rowStride, stride: laneStride },
        }),
      ],
    }),
    smoothStep: (lanes, { rowStride, laneStride }, starts) => ({
      name: `smoother, ${kind} transition`,
      order: "descending",
      loop: [
        {
          kernel: hmmRatio,
          constants: rowConstants(states),
          params: (tile, at) => hmmRatioParams(bins, (at + 1) * rowStride, laneStride(tile)),
          workgroups: everyLane,
        },
        ...product.kernels(lanes, true, {
          vectors: perLane("ratio"),
          result: perLane("back"),
        }),
        {
          kernel: hmmRescale,
          constants: rowConstants(states),
          params: (tile, at) => hmmRescaleParams(bins, at, rowsOf(tile), starts(tile)),
          workgroups: everyLane,
        },
      ],
    }),
  };
}

const spreadBuffers = (transposed: boolean) => ({
  spread_weights: transposed ? "spread_transposed" : "spread",
});

function sparseProduct({ tiles, forward, transposed, states, bins }: SparseTransition): Product {
  return {
    hostBytes: [tiles, ...Object.values(forward), ...Object.values(transposed)]
      .reduce((bytes, table) => bytes + table.byteLength, 0),
    shared: () => [
      tableBuffer("tiles", tiles),
      tableBuffer("forward_slices", forward.slices),
      tableBuffer("forward_entries", forward.entries),
      tableBuffer("transposed_slices", transposed.slices),
      tableBuffer("transposed_entries", transposed.entries),
    ],
    kernels(lanes, isTransposed, { vectors, result }) {
      const shape = { lanes, states, bins, transposed: isTransposed };
      const list = isTransposed ? "transposed" : "forward";
      return [{
        kernel: sparse.multiplySparse,
        constants: sparse.multiplySparseConstants(shape),
        buffers: {
          slices: `${list}_slices`,
          entries: `${list}_entries`,
          vectors: vectors.buffer,
          product: result.buffer,
          ...spreadBuffers(isTransposed),
        },
        params: (tile, row) =>
          sparse.multiplySparseParams(
            shape,
            { at: vectors.at(tile, row), stride: vectors.stride(tile) },
            { at: result.at(tile, row), stride: result.stride(tile) },
          ),
        workgroups: (tile) => sparse.multiplySparseWorkgroups({ ...shape, lanes: tile.lanes }),
      }];
    },
  };
}

function denseProduct(transition: DenseTransition & GeneralTransition): Product {
  const { states, bins, rows, columns, firstRow, firstColumn, partRows, partBytes } = transition;
  const shapeOf = (lanes: number, transposed: boolean): DenseShape => ({
    rows,
    columns,
    partRows,
    lanes,
    states,
    transposed,
  });
  return {
    // a part on its way
    hostBytes: Math.max(0, ...partBytes),
    shared(lanes) {
      const parts = transition.parts();
      const partial = Math.max(
        ...[false, true].map((transposed) => dense.densePartialBytes(shapeOf(lanes, transposed))),
      );
      return [
        ...partBytes.map((bytes, part): SharedBuffer => ({
          name: `matrix_${part}`,
          bytes,
          kind: "storage",
          // made when it is its turn: together they may not fit the host
          data: () => parts.next().value!,
        })),
        { name: "partial", bytes: partial, kind: "storage", scratch: true },
      ];
    },
    kernels(lanes, transposed, { vectors, result }) {
      const shape = shapeOf(lanes, transposed);
      const first = transposed ? firstColumn : firstRow;
      return [
        ...partBytes.map((_, part): LoopKernel => ({
          kernel: dense.multiplyDense,
          constants: dense.multiplyDenseConstants(shape),
          buffers: { matrix: `matrix_${part}`, vectors: vectors.buffer },
          params: (tile, row) =>
            dense.multiplyDenseParams(
              shape,
              part,
              vectors.at(tile, row) + first,
              vectors.stride(tile),
            ),
          workgroups: (tile) =>
            dense.multiplyDenseWorkgroups({ ...shape, lanes: tile.lanes }, part),
        })),
        {
          kernel: blocks.sumBlocks,
          constants: blocks.sumBlocksConstants,
          buffers: { product: result.buffer, ...spreadBuffers(transposed) },
          params: (tile, row) =>
            blocks.sumBlocksParams(
              shape,
              bins,
              transposed ? firstRow : firstColumn,
              result.at(tile, row),
              result.stride(tile),
            ),
          workgroups: (tile) => blocks.sumBlocksWorkgroups(bins, tile.lanes),
        },
      ];
    },
  };
}
