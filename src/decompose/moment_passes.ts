/**
 * The passes that sum second moments of rows, and of the frames at which runs of rows begin and end.
 *
 * @module
 */

import * as kernel from "../kernels/second_moments.ts";
import type { KernelStep, Pass, SharedBuffer, Tile } from "../stream/pass.ts";
import type { FrameLook, PcaSums } from "./pca_sums.ts";
import { EXACT_PARTS, keepLargest } from "./pca_sums.ts";
import { RunEnds } from "./run_ends.ts";

/** The passes and their buffers, for tiles of a number of rows. */
export interface MomentPasses {
  passes: Pass[];
  shared: SharedBuffer[];
}

/** @param mostSquares Squares of a dispatch, at most. */
export function momentPasses(sums: PcaSums, tileRows: number, mostSquares: number): MomentPasses {
  const { source, blockRows } = sums;
  const { width, frames: { features } } = source;
  const shape = { features, lags: width, blockRows, tileRows };
  const ends = width > 1 ? new RunEnds(source, tileRows) : undefined;
  return {
    passes: [
      {
        ...momentsPass(sums, shape, mostSquares),
        name: "moments",
        cost: features * width,
        sums: {
          held: ["squares", "sums", "largest"],
          blockRows,
          merge: { largest: keepLargest },
        },
        tables: () => ({ grains: kernel.momentGrains(sums.largest, shape) }),
      },
      ...(ends ? [endsPass(sums, ends, mostSquares)] : []),
      {
        ...momentsPass(sums, shape, mostSquares),
        name: "exact moments",
        // nobody knows beforehand whether they are needed
        cost: 0,
        sums: { held: ["squares"], blockRows },
        needed: () => sums.isExact || sums.isCoarse,
        sweeps: { most: EXACT_PARTS.length, again: () => sums.nextPart() },
        tables: () => {
          // those of ends may be there
          if (!sums.isExact) sums.beginExact();
          return { grains: kernel.momentGrains(sums.largest, shape) };
        },
      },
    ],
    shared: [
      {
        name: "moments",
        bytes: Math.max(kernel.momentBytes(shape), ends?.bytes ?? 0),
        kind: "storage",
        scratch: true,
      },
      {
        name: "grains",
        bytes: 4 * Math.max(kernel.rowStride(features), ends?.features ?? 0),
        kind: "storage",
      },
    ],
  };
}

/** Sums a part over all rows. */
function momentsPass(
  sums: PcaSums,
  shape: kernel.MomentsShape,
  mostSquares: number,
): Omit<Pass, "name" | "cost"> {
  const { source, blockRows } = sums;
  const { features, tileRows, lags } = shape;
  const stride = kernel.rowStride(features);
  const bytes = kernel.momentBytes(shape);
  const ring = kernel.momentRing(shape);
  const length = kernel.momentElements(features, lags);
  const mostFrames = source.mostFrames(tileRows);
  const flat = source.width > 1;
  /** At frames, of which so many are the first of a row. */
  const looking = ({ take }: FrameLook, starts: number) => (frame: Float64Array) =>
    take(frame, starts-- > 0);
  return {
    direction: "forward",
    resumesAt: (row) => row % blockRows === 0,
    slotBuffers: [
      { name: "rows", bytes: 4 * mostFrames * stride, role: "upload" },
      ...(flat ? [{ name: "starts", bytes: 4 * tileRows, role: "upload" } as const] : []),
      { name: "block_moments", bytes, role: "download" },
    ],
    steps: [
      ...momentSteps(sums, shape, mostSquares, {
        listed: flat,
        rowsOf: ({ start }, from, to) => [from, to, start],
      }),
      {
        copy: { from: "moments", to: "block_moments" },
        ranges: () => [{ fromOffset: 0, toOffset: 0, bytes }],
      },
    ],
    hostBytes: { read: source.readBytes(mostFrames) },
    besideBytes: sums.seenBytes(tileRows),
    read: async ({ start, end }, { signal }) => {
      const tile = source.tile(start, end);
      const look = sums.lookAtRows(start);
      const rows = new Float32Array(tile.frames * stride);
      await source.read(
        tile.pieces,
        signal,
        ({ frame, frames, at }, values) =>
          source.frames.readStrided(frame, frame + frames, stride, {
            values,
            into: rows,
            at,
            look: looking(look, frames - source.width + 1),
          }),
      );
      return { rows, ...(flat && { starts: source.starts(tile, end - start) }), ...look.seen() };
    },
    write: (tile, downloads, { beside }) => {
      sums.takeSeen(beside as ReturnType<FrameLook["seen"]>);
      const all = new Float32Array(downloads.block_moments!);
      const first = Math.floor(tile.start / blockRows);
      for (let block = first; block * blockRows < tile.end; block++) {
        // what goes on in the next tile comes with it
        if (Math.min((block + 1) * blockRows, source.rows.rows) > tile.end) break;
        const at = block % ring * length;
        sums.moments.add(all.subarray(at, at + length));
      }
    },
  };
}

/** Sums the frames at which segments begin and end. */
function endsPass(sums: PcaSums, ends: RunEnds, mostSquares: number): Pass {
  return {
    name: "ends of segments",
    direction: "forward",
    alone: true,
    cost: ends.features / 2,
    rows: ends.rows,
    sweeps: {
      most: 1 + EXACT_PARTS.length,
      again: () => {
        if (sums.isExact) return sums.nextPart();
        if (!sums.isCoarse) return false;
        sums.beginExact();
        return true;
      },
    },
    tables: () => ({ grains: ends.grains(sums.largest) }),
    slotBuffers: [
      { name: "rows", bytes: ends.tileBytes, role: "upload" },
      { name: "block_moments", bytes: ends.bytes, role: "download" },
    ],
    steps: [
      ...momentSteps(sums, ends.shape, mostSquares, {
        listed: false,
        rowsOf: (tile, from, to) => ends.rowsOf(tile, from, to),
      }),
      {
        copy: { from: "moments", to: "block_moments" },
        ranges: () => [{ fromOffset: 0, toOffset: 0, bytes: ends.bytes }],
      },
    ],
    hostBytes: { read: ends.readBytes },
    read: async (tile, { signal }) => ({
      rows: await ends.read(
        tile,
        signal,
        (frame, weight, values) => sums.lookAtEnd(frame, weight, values),
      ),
    }),
    write: (tile, downloads) => {
      const { isLast, weight } = ends.tile(tile);
      const block = new Float32Array(downloads.block_moments!, 0, ends.bytes / 4);
      if (isLast) sums.moments.addEnds(block, weight);
    },
  };
}

/** The kernel, over as many squares at a time as a dispatch may have. */
function momentSteps(
  sums: PcaSums,
  shape: kernel.MomentsShape,
  mostSquares: number,
  { listed, rowsOf }: {
    /** Whether there is a list of where rows start. */
    listed: boolean;
    /** Of rows [from, to) of a tile: those of the kernel, and where it begins. */
    rowsOf(tile: Tile, from: number, to: number): [from: number, to: number, arrayRow: number];
  },
): KernelStep[] {
  const pairs = kernel.squarePairs(shape.features, shape.lags);
  const own = Math.min(pairs, mostSquares);
  return Array.from({ length: Math.ceil(pairs / own) }, (_, i) => ({
    kernel: kernel.secondMoments,
    constants: kernel.secondMomentsConstants(shape),
    ...(!listed && { buffers: { starts: "grains" } }),
    order: "ascending",
    params: (tile, from, to) =>
      kernel.secondMomentsParams(shape, ...rowsOf(tile, from, to), sums.part, i * own),
    workgroups: (rows) =>
      kernel.secondMomentsWorkgroups(rows, shape, Math.min(own, pairs - i * own)),
  }));
}
