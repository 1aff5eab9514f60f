/**
 * Rows by the frames they are made of: a flat context of `width` frames shares all but one of them with
 * the context before it. Elsewhere a row is one frame.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import type { ContextRun } from "../array/contexts.ts";
import { ContextView } from "../array/contexts.ts";
import { lookOrKnow } from "./known_look.ts";
import type { LookOptions } from "./points.ts";
import { Points } from "./points.ts";
import { digestOf } from "../math/digest.ts";

/** Frames that follow each other. */
export interface FramePiece {
  frame: number;
  frames: number;
  /** Where they go among the frames of a tile. */
  at: number;
}

/** Which frames a tile has: those of a run once. */
export interface TileFrames {
  pieces: FramePiece[];
  /** Of all pieces. */
  frames: number;
}

export class RowFrames {
  /** Rows as they are: their number, features and type. */
  readonly rows: Points;
  /** The frames they are made of; the same object where a row is a frame. */
  readonly frames: Points;
  /** Frames of a row. */
  readonly width: number;
  readonly runs: readonly ContextRun[];

  /** Rows that are no contexts, or are taken as if they were none. */
  constructor(rows: Points, view?: ContextView) {
    this.rows = rows;
    this.frames = view ? new Points(view.base, { action: rows.action, item: "frame" }) : rows;
    this.width = view?.width ?? 1;
    this.runs = view?.runs ?? [{ row: 0, rows: rows.rows, frame: 0 }];
  }

  /** The rows of an array, by their frames where it is a view of flat contexts. */
  static of(array: ChunkedArray, action: string): RowFrames {
    const flat = array instanceof ContextView && array.mode === "flat";
    return new RowFrames(new Points(array, { action }), flat ? array : undefined);
  }

  /**
   * Looks at every frame once, for the coordinates.
   *
   * @param options.known What an earlier look gave as `told`.
   * @returns The digest of all that rows are made of, if that is asked for; the mean of every feature of a
   * frame and its variance, in the device's coordinates; the root of that of all of them together, in the array's units.
   */
  async look(options: LookOptions & { known?: unknown }): Promise<
    {
      digest: string;
      variance: Float64Array;
      deviation: number;
      mean: Float64Array;
      told: unknown;
    }
  > {
    const { digest, variance, mean, told } = await lookOrKnow(this.frames, options);
    const deviation = Math.sqrt(variance.reduce((sum, own) => sum + own, 0)) / this.frames.scale;
    if (digest === undefined) return { digest: "", variance, deviation, mean, told };
    const cut = JSON.stringify([this.width, this.width > 1 && this.runs]);
    return { digest: await digestOf([digest, cut]), variance, deviation, mean, told };
  }

  /** The frames of rows [start, end). */
  tile(start: number, end: number): TileFrames {
    const { runs, width } = this;
    let [low, high] = [0, runs.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (runs[middle]!.row <= start) low = middle;
      else high = middle - 1;
    }
    const pieces: FramePiece[] = [];
    let frames = 0;
    for (let i = low, row = start; row < end; i++) {
      const run = runs[i]!;
      const rows = Math.min(end, run.row + run.rows) - row;
      const own = rows + width - 1;
      pieces.push({ frame: run.frame + row - run.row, frames: own, at: frames });
      frames += own;
      row += rows;
    }
    return { pieces, frames };
  }

  /** Most frames of a tile that begins at a multiple of `tileRows`. */
  mostFrames(tileRows: number): number {
    let most = 1;
    let [tile, pieces] = [-1, 0];
    for (const { row } of this.runs) {
      const own = Math.floor(row / tileRows);
      if (own !== tile) [tile, pieces] = [own, row % tileRows === 0 ? 0 : 1];
      most = Math.max(most, ++pieces);
    }
    // a tile in the middle of a run has one piece
    return tileRows + most * (this.width - 1);
  }

  /** Where the first frame of every row of a tile lies among the tile's. */
  starts({ pieces }: TileFrames, rows: number): Uint32Array<ArrayBuffer> {
    const starts = new Uint32Array(rows);
    let row = 0;
    for (const { frames, at } of pieces) {
      for (let i = 0; i < frames - this.width + 1; i++) starts[row++] = at + i;
    }
    return starts;
  }

  /**
   * Reads pieces of frames and hands them on, one after the other. Pieces are read together that lie
   * close, or in a chunk that is read as a whole anyway.
   */
  async read(
    pieces: readonly FramePiece[],
    signal: AbortSignal,
    take: (piece: FramePiece, values: ArrayLike<number>) => Promise<unknown>,
  ): Promise<void> {
    const { features } = this.frames;
    for (let i = 0; i < pieces.length;) {
      const first = pieces[i]!.frame;
      let [next, end] = [i + 1, first + pieces[i]!.frames];
      for (; next < pieces.length; next++) {
        const { frame, frames } = pieces[next]!;
        if (frame - end > frames && frame + frames - first > this.#chunkFrames) break;
        end = frame + frames;
      }
      const values = await this.frames.readValues(first, end, { signal });
      for (; i < next; i++) {
        const from = (pieces[i]!.frame - first) * features;
        await take(pieces[i]!, values.subarray(from, from + pieces[i]!.frames * features));
      }
    }
  }

  /** Host bytes of so many frames, as {@link read} has them at once at most. */
  readBytes(frames: number): number {
    // between two pieces lies at most as much as in the second
    const most = this.runs.length === 1 ? frames : Math.max(2 * frames, this.#chunkFrames);
    return 8 * this.frames.features * most;
  }

  /** Frames that cost no more to be read than one of them. */
  get #chunkFrames(): number {
    const { wholeChunks, chunkRows } = this.frames.array;
    return wholeChunks ? chunkRows : 0;
  }
}
