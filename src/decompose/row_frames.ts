/**
 * Rows by the frames they are made of: a flat context of `width` frames shares all but one of them with
 * the context before it. Elsewhere a row is one frame.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import type { ContextRun } from "../array/contexts.ts";
import { ContextView } from "../array/contexts.ts";
import type { RowTarget } from "../array/points.ts";
import { Points } from "../array/points.ts";

/** Rows of a tile that lie in one run. */
interface Stretch {
  /** First frame, and rows: the stretch has `width - 1` frames more. */
  frame: number;
  rows: number;
  /** Where its frames begin among those of the tile. */
  at: number;
}

/** Which rows a tile has, and where. */
export interface TileFrames {
  stretches: Stretch[];
  /** Frames of all stretches. */
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

  /** The frames of rows [start, end), those of a run once. */
  tile(start: number, end: number): TileFrames {
    const { runs, width } = this;
    let [low, high] = [0, runs.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (runs[middle]!.row <= start) low = middle;
      else high = middle - 1;
    }
    const stretches: Stretch[] = [];
    let frames = 0;
    for (let i = low, row = start; row < end; i++) {
      const run = runs[i]!;
      const rows = Math.min(end, run.row + run.rows) - row;
      stretches.push({ frame: run.frame + row - run.row, rows, at: frames });
      frames += rows + width - 1;
      row += rows;
    }
    return { stretches, frames };
  }

  /** Most frames of a tile that begins at a multiple of `tileRows`. */
  mostFrames(tileRows: number): number {
    let most = 1;
    let [tile, stretches] = [-1, 0];
    for (const { row } of this.runs) {
      const own = Math.floor(row / tileRows);
      if (own !== tile) [tile, stretches] = [own, row % tileRows === 0 ? 0 : 1];
      most = Math.max(most, ++stretches);
    }
    // a tile in the middle of a run has one stretch
    return tileRows + most * (this.width - 1);
  }

  /** Where the first frame of every row of a tile lies among the tile's. */
  starts({ stretches }: TileFrames, rows: number): Uint32Array<ArrayBuffer> {
    const starts = new Uint32Array(rows);
    let row = 0;
    for (const { rows, at } of stretches) {
      for (let i = 0; i < rows; i++) starts[row++] = at + i;
    }
    return starts;
  }

  /** Reads the frames of a tile, stretch by stretch; `read` puts them where they belong. */
  async read(
    { stretches }: TileFrames,
    read: (start: number, end: number, target: RowTarget) => Promise<unknown>,
    look?: (row: Float64Array, isStart: boolean) => void,
  ): Promise<void> {
    for (const { frame, rows, at } of stretches) {
      let left = rows;
      await read(frame, frame + rows + this.width - 1, {
        at,
        ...(look && { look: (row) => look(row, left-- > 0) }),
      });
    }
  }
}
