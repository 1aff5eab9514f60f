/**
 * Scores that are computed as they are read: a stage of whatever reads them.
 *
 * @module
 */

import { displayedArray } from "../display.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import type { RowFrames } from "../feed/row_frames.ts";
import type { Basis } from "./basis.ts";
import type { HostProjection } from "./projection.ts";
import { hostProjection } from "./projection.ts";

/** Rows are projected in pieces of about so many bytes of f64, however many are asked for. */
const PIECE_BYTES = 2 ** 20;

/** What `project()` of a fitted model makes. */
export class ScoreView implements ChunkedArray<Float32Array> {
  readonly shape: readonly [rows: number, components: number];
  readonly dtype = "float32";
  readonly dims = ["row", "component"];
  readonly chunkRows: number;
  readonly wholeChunks: boolean;
  readonly places: readonly string[] | undefined;
  readonly #pieceRows: number;
  readonly #project: HostProjection;

  constructor(source: RowFrames, basis: Basis) {
    const { array, rows, features } = source.rows;
    this.shape = [rows, basis.explainedVariance.length];
    this.chunkRows = array.chunkRows;
    this.wholeChunks = array.wholeChunks ?? false;
    this.places = array.places;
    const least = Math.max(1, Math.floor(PIECE_BYTES / (8 * features)));
    this.#pieceRows = this.wholeChunks
      ? Math.ceil(least / array.chunkRows) * array.chunkRows
      : least;
    this.#project = hostProjection(source, basis);
  }

  async read(start: number, end: number, { signal }: ReadOptions = {}): Promise<Float32Array> {
    checkRows(this.shape, start, end);
    const [, components] = this.shape;
    const scores = new Float32Array((end - start) * components);
    for (let row = start; row < end;) {
      signal?.throwIfAborted();
      const next = Math.min(end, (Math.floor(row / this.#pieceRows) + 1) * this.#pieceRows);
      scores.set(await this.#project(row, next, signal), (row - start) * components);
      row = next;
    }
    return scores;
  }

  /** Does nothing: the rows stay open. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

displayedArray(ScoreView.prototype);
