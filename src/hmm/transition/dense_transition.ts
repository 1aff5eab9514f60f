/**
 * A transition as a dense matrix, in the tiles and parts that `multiply_dense` reads.
 *
 * @module
 */

import { DENSE_BLOCK, DENSE_TILE } from "../../kernels/multiply_dense.ts";
import type { Grid } from "../grid.ts";
import type { GeneralTransition, GeneralTransitionOptions } from "./general_transition.ts";
import { generalTransition } from "./general_transition.ts";
import type { StateModel } from "../states.ts";

/** The rectangle of T that is not spread, and how it is cut into buffers. */
export interface DenseTransition extends GeneralTransition {
  /** Rows of a part, a multiple of {@link DENSE_BLOCK}; the last has fewer. */
  partRows: number;
  /** Bytes of each part. */
  partBytes: number[];
  /** Makes one part after the other, each when it is asked for: [rows / 4, columns / 4, 4, 4] f32. */
  parts(): Generator<Float32Array<ArrayBuffer>, void>;
  /** Multiply-adds of one application. */
  multiplyAdds: number;
}

/** What WebGPU guarantees for a binding. */
export const GUARANTEED_BINDING_BYTES = 128 * 2 ** 20;

/**
 * Builds the dense matrix of `model` on `grid`.
 *
 * @param bindingBytes Largest part.
 * @throws {RangeError} If a block cannot be built on this grid, or if not even one block of rows fits
 * `bindingBytes`.
 */
export function denseTransition(
  grid: Grid,
  model: StateModel,
  options: GeneralTransitionOptions & { bindingBytes?: number } = {},
): DenseTransition {
  const { bindingBytes = GUARANTEED_BINDING_BYTES, ...others } = options;
  const general = generalTransition(grid, model, others);
  const { firstRow, rows, firstColumn, columns } = general;
  const partRows = densePartRows(rows, columns, bindingBytes);
  const dense = new Float32Array(columns);
  const rowAt = (row: number) => {
    dense.fill(0);
    const { bins, values } = general.row(firstRow + row);
    bins.forEach((bin, i) => dense[bin - firstColumn] = values[i]!);
    return dense;
  };
  const partBytes: number[] = [];
  for (let row = 0; row < rows; row += partRows) {
    partBytes.push(denseBytes(Math.min(partRows, rows - row), columns));
  }
  return {
    ...general,
    partRows,
    partBytes,
    parts: () => denseParts(rows, columns, rowAt, partRows),
    multiplyAdds: rows * columns,
  };
}

/** Bytes of rows of the matrix, with their padding to tiles. */
export function denseBytes(rows: number, columns: number): number {
  const tiles = Math.ceil(rows / DENSE_TILE) * Math.ceil(columns / DENSE_TILE);
  return 4 * DENSE_TILE * DENSE_TILE * tiles;
}

/** Rows of a part: whole blocks, as many as a binding holds, never more than there are. */
export function densePartRows(rows: number, columns: number, bindingBytes: number): number {
  const blocks = Math.floor(bindingBytes / denseBytes(DENSE_BLOCK, columns));
  if (blocks === 0 && rows > 0) {
    throw new RangeError(
      `Cannot lay out a dense transition: ${DENSE_BLOCK} rows of ${columns} take ` +
        `${denseBytes(DENSE_BLOCK, columns)} B, a binding holds ${bindingBytes} B`,
    );
  }
  return DENSE_BLOCK * Math.min(blocks, Math.ceil(rows / DENSE_BLOCK));
}

/**
 * Lays rows out in 4 x 4 tiles, part by part.
 *
 * @param rowAt Row of the matrix; read before the next is asked for.
 */
export function* denseParts(
  rows: number,
  columns: number,
  rowAt: (row: number) => ArrayLike<number>,
  partRows: number = DENSE_BLOCK * Math.ceil(rows / DENSE_BLOCK),
): Generator<Float32Array<ArrayBuffer>, void> {
  const wide = Math.ceil(columns / DENSE_TILE);
  for (let first = 0; first < rows; first += partRows) {
    const here = Math.min(partRows, rows - first);
    const part = new Float32Array(denseBytes(here, columns) / 4);
    for (let row = 0; row < here; row++) {
      const values = rowAt(first + row);
      const strip = Math.floor(row / DENSE_TILE) * wide;
      const within = DENSE_TILE * (row % DENSE_TILE);
      for (let column = 0; column < columns; column++) {
        const tile = strip + Math.floor(column / DENSE_TILE);
        part[DENSE_TILE * DENSE_TILE * tile + within + column % DENSE_TILE] = values[column]!;
      }
    }
    yield part;
  }
}
