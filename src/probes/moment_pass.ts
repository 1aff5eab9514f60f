/**
 * Second moments of standardised rows by a weight of each, summed on the device.
 *
 * @module
 */

import * as kernel from "../kernels/second_moments.ts";
import type { KernelStep, Pass, SharedBuffer } from "../stream/pass.ts";
import type { ProbeRows } from "./span.ts";

/** Squares of a dispatch: software adapters move their sums in and out for every few rows. */
const SQUARES = 32;

function shapeOf(source: ProbeRows, tileRows: number, blockRows: number): kernel.MomentsShape {
  return { features: source.features, blockRows, tileRows };
}

/** Buffers that all such passes share. */
export function momentBuffers(
  source: ProbeRows,
  tileRows: number,
  blockRows: number,
): SharedBuffer[] {
  const shape = shapeOf(source, tileRows, blockRows);
  const grains = 4 * kernel.rowStride(shape.features);
  return [
    { name: "moments", bytes: kernel.momentBytes(shape), kind: "storage", scratch: true },
    { name: "grains", bytes: grains, kind: "storage", scratch: true },
  ];
}

/**
 * Adds the sum over rows of weight x x^T to `into()`, `[features, features]`, of which what is below the
 * diagonal is not touched.
 */
export function momentPass(
  source: ProbeRows,
  tileRows: number,
  blockRows: number,
  { into, weight }: { into(): Float64Array; weight(row: number): number },
): Omit<Pass, "name" | "cost" | "sweeps"> {
  const shape = shapeOf(source, tileRows, blockRows);
  const { features } = shape;
  const stride = kernel.rowStride(features);
  const bytes = kernel.momentBytes(shape);
  const ring = kernel.momentRing(shape);
  const length = kernel.momentElements(features);
  const pairs = kernel.squarePairs(features);
  return {
    direction: "forward",
    grain: blockRows,
    slotBuffers: [
      { name: "rows", bytes: 4 * tileRows * stride, role: "upload" },
      { name: "block_moments", bytes, role: "download" },
    ],
    steps: [
      ...Array.from({ length: Math.ceil(pairs / SQUARES) }, (_, i): KernelStep => ({
        kernel: kernel.secondMoments,
        constants: kernel.secondMomentsConstants(shape),
        buffers: { starts: "grains" },
        order: "ascending",
        params: (tile, from, to) =>
          kernel.secondMomentsParams(shape, from, to, tile.start, kernel.PART.whole, i * SQUARES),
        workgroups: (rows) =>
          kernel.secondMomentsWorkgroups(rows, shape, Math.min(SQUARES, pairs - i * SQUARES)),
      })),
      {
        copy: { from: "moments", to: "block_moments" },
        ranges: () => [{ fromOffset: 0, toOffset: 0, bytes }],
      },
    ],
    hostBytes: { read: source.readBytes(tileRows) },
    read: async ({ start, end }, { signal }) => {
      const values = await source.read(start, end, signal);
      const rows = new Float32Array((end - start) * stride);
      for (let row = 0; row < end - start; row++) {
        const root = Math.sqrt(weight(start + row));
        for (let d = 0; d < features; d++) {
          rows[row * stride + d] = root * values[row * features + d]!;
        }
      }
      return { rows };
    },
    write: ({ start, end }, downloads) => {
      const all = new Float32Array(downloads.block_moments!);
      const sums = into();
      for (let block = Math.floor(start / blockRows); block * blockRows < end; block++) {
        const own = all.subarray(block % ring * length, (block % ring + 1) * length);
        kernel.forEachSquare(features, (at, row, column) => {
          const rowEnd = Math.min(features, row + kernel.SQUARE);
          const columnEnd = Math.min(features, column + kernel.SQUARE);
          for (let i = row; i < rowEnd; i++) {
            const from = at + (i - row) * kernel.SQUARE - column;
            for (let j = Math.max(i, column); j < columnEnd; j++) {
              sums[i * features + j]! += own[from + j]!;
            }
          }
        });
      }
    },
  };
}
