/** Products with a transition through the kernels, from wide numbers to wide numbers: for tests. */

import type { Gpu } from "../../src/gpu/device.ts";
import { denseParts } from "../../src/hmm/transition/dense_transition.ts";
import type { DenseTransition } from "../../src/hmm/transition/dense_transition.ts";
import type { SparseTransition } from "../../src/hmm/transition/sparse_transition.ts";
import type { DenseShape } from "../../src/kernels/multiply_dense.ts";
import * as dense from "../../src/kernels/multiply_dense.ts";
import * as sparse from "../../src/kernels/multiply_sparse.ts";
import * as blocks from "../../src/kernels/sum_blocks.ts";
import type { DenseMatrix } from "../reference/multiply_dense.ts";
import { runKernel } from "./run_kernel.ts";
import { asWide, stateSumsOf } from "./wide_numbers.ts";

/** A product with a plain matrix, nothing spread; vectors lie one after the other. */
export async function runDenseProduct(
  gpu: Gpu,
  { rows, columns, values }: DenseMatrix,
  vectors: Uint32Array,
  transposed: boolean,
  { partRows = dense.DENSE_BLOCK * Math.ceil(rows / dense.DENSE_BLOCK) } = {},
): Promise<Uint32Array> {
  const bins = transposed ? rows : columns;
  const lanes = vectors.length / (transposed ? columns : rows);
  const parts = denseParts(
    rows,
    columns,
    (row) => values.subarray(row * columns, (row + 1) * columns),
    partRows,
  );
  const shape: DenseShape = { rows, columns, partRows, lanes, states: 1, transposed };
  const summed = transposed ? columns : rows;
  return await runParts(
    gpu,
    shape,
    parts,
    vectors,
    0,
    summed,
    {
      states: Uint32Array.of(0, 0, bins, 0),
      spread_weights: Float32Array.of(0),
      state_sums: stateSumsOf(vectors, [0, summed]),
    },
    bins,
    0,
  );
}

/**
 * v @ T or T @ v of [lanes, bins] through the dense kernels.
 *
 * @param stateSums As a row kernel left them; those of the vectors when not given.
 */
export async function runDenseTransition(
  gpu: Gpu,
  transition: DenseTransition,
  vectors: Uint32Array,
  transposed: boolean,
  stateSums?: Uint32Array<ArrayBuffer>,
): Promise<Uint32Array> {
  const { bins, states, rows, columns, partRows, firstRow, firstColumn } = transition;
  const lanes = vectors.length / bins;
  const shape: DenseShape = { rows, columns, partRows, lanes, states, transposed };
  const [summedFirst, keptFirst] = transposed ? [firstColumn, firstRow] : [firstRow, firstColumn];
  return await runParts(
    gpu,
    shape,
    transition.parts(),
    vectors,
    summedFirst,
    bins,
    spreadBuffers(transition, vectors, transposed, stateSums),
    bins,
    keptFirst,
  );
}

/** The same through the sparse kernel. */
export async function runSparseTransition(
  gpu: Gpu,
  transition: SparseTransition,
  vectors: Uint32Array,
  transposed: boolean,
  stateSums?: Uint32Array<ArrayBuffer>,
): Promise<Uint32Array> {
  const { bins, states } = transition;
  const lanes = vectors.length / bins;
  const shape = { lanes, states, bins, transposed };
  const { outputs } = await runKernel(gpu, {
    spec: sparse.multiplySparse,
    constants: sparse.multiplySparseConstants(shape),
    buffers: {
      params: sparse.multiplySparseParams(
        shape,
        { at: 0, stride: bins },
        { at: 0, stride: bins },
      ),
      tiles: transition.tiles,
      ...(transposed ? transition.transposed : transition.forward),
      vectors,
      ...spreadBuffers(transition, vectors, transposed, stateSums),
      product: vectors.byteLength,
    },
    workgroups: sparse.multiplySparseWorkgroups(shape),
    outputs: ["product"],
  });
  return asWide(outputs.product!);
}

function spreadBuffers(
  { stateTable, spread, spreadTransposed, starts }:
    | DenseTransition
    | SparseTransition,
  vectors: Uint32Array,
  transposed: boolean,
  stateSums = stateSumsOf(vectors, starts),
) {
  return {
    states: stateTable,
    spread_weights: transposed ? spreadTransposed : spread,
    state_sums: stateSums,
  };
}

async function runParts(
  gpu: Gpu,
  shape: DenseShape,
  parts: Iterable<Float32Array>,
  vectors: Uint32Array,
  vectorsAt: number,
  vectorsStride: number,
  spreads: { states: Uint32Array; spread_weights: Float32Array; state_sums: Uint32Array },
  bins: number,
  keptFirst: number,
): Promise<Uint32Array> {
  const { lanes } = shape;
  let partial: Float32Array | number = dense.densePartialBytes(shape);
  let number = 0;
  for (const part of parts) {
    const { outputs } = await runKernel(gpu, {
      spec: dense.multiplyDense,
      constants: dense.multiplyDenseConstants(shape),
      buffers: {
        params: dense.multiplyDenseParams(shape, number, vectorsAt, vectorsStride),
        matrix: part,
        vectors,
        state_sums: spreads.state_sums,
        partial,
      },
      workgroups: dense.multiplyDenseWorkgroups(shape, number),
      outputs: ["partial"],
    });
    partial = outputs.partial!;
    number++;
  }
  const { outputs } = await runKernel(gpu, {
    spec: blocks.sumBlocks,
    constants: blocks.sumBlocksConstants,
    buffers: {
      params: blocks.sumBlocksParams(shape, bins, keptFirst, 0, bins),
      partial,
      ...spreads,
      product: 4 * lanes * bins,
    },
    workgroups: blocks.sumBlocksWorkgroups(bins, lanes),
    outputs: ["product"],
  });
  return asWide(outputs.product!);
}
