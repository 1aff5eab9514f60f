/**
 * Where the batches of a tile lie in what it uploads.
 *
 * @module
 */

import type { Tile } from "../stream/pass.ts";
import type { Batch } from "./batch.ts";
import type { Batches, Piece } from "./batches.ts";

type Rows = Pick<Tile, "start" | "end">;

export class TileBatches {
  readonly #batches: Batches;
  readonly #source: { rowsOf(sample: number): number };
  /** Of the tile that was asked for last. */
  #places: { epoch: number; start: number; batches: Batch[] } | undefined;

  constructor(
    { batches, source }: { batches: Batches; source: { rowsOf(sample: number): number } },
  ) {
    this.#batches = batches;
    this.#source = source;
  }

  /** Samples of a tile, in the order in which they are uploaded. */
  samplesOf(epoch: number, { start, end }: Rows): Uint32Array {
    const pieces = Array.from(
      { length: end - start },
      (_, i) => this.#batches.at(epoch, start + i).samples,
    );
    const samples = new Uint32Array(pieces.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of pieces) samples.set(piece, (at += piece.length) - piece.length);
    return samples;
  }

  /** The batch of a row of a tile, counted from its first. */
  at(epoch: number, { start, end }: Rows, row: number): Batch {
    const known = this.#places;
    if (
      known?.epoch !== epoch || known.start !== start || known.batches.length < end - start
    ) {
      const batches: Batch[] = [];
      let [firstSample, firstRow] = [0, 0];
      for (let at = start; at < end; at++) {
        const piece = this.#batches.at(epoch, at);
        const rows = piece.samples.reduce(
          (sum, sample) => sum + this.#source.rowsOf(sample),
          0,
        );
        batches.push(batchOfPiece(piece, { firstSample, firstRow, rows, slot: at - start }));
        firstSample += piece.samples.length;
        firstRow += rows;
      }
      this.#places = { epoch, start, batches };
    }
    return this.#places!.batches[row]!;
  }
}

function batchOfPiece(
  { samples, longest, step, scale, adds, ends }: Piece,
  place: { firstSample: number; firstRow: number; rows: number; slot: number },
): Batch {
  return {
    ...place,
    samples: samples.length,
    ...(longest !== undefined && { longest }),
    scale,
    adds,
    ...(step === undefined ? { judges: ends, updates: false } : { step, updates: ends }),
  };
}
