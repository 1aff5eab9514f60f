/**
 * Sums of the rows of every code, block by block: buffers and kernel, and how the host takes them.
 *
 * @module
 */

import * as sums from "../kernels/vq_sums.ts";
import type { SharedBuffer, SlotBuffer, Step, Tile } from "../stream/pass.ts";
import type { AssignmentShape } from "./assignment.ts";
import { baseRow, pointsBuffer } from "./assignment.ts";

/** Sums for so many codebooks at most, over tiles of so many rows. */
export class BlockSums {
  readonly #shape: AssignmentShape;
  readonly #sums: sums.SumsShape;
  readonly #books: number;

  constructor(shape: AssignmentShape, tileRows: number, books: number) {
    this.#shape = shape;
    this.#sums = {
      features: shape.points.features,
      codes: shape.codes,
      tileRows,
      parts: shape.points.parts,
    };
    this.#books = books;
  }

  get #bytes(): number {
    return sums.sumBytes(this.#sums, this.#books);
  }

  /** Rows of a block. */
  get blockRows(): number {
    return sums.sumBlockRows(this.#shape.codes);
  }

  /** A block goes on from tile to tile, so its sums are shared by all slots. */
  shared(): SharedBuffer {
    return { name: "sums", bytes: this.#bytes, kind: "storage", scratch: true };
  }

  slotBuffer(): SlotBuffer {
    return { name: "block_sums", bytes: this.#bytes, role: "download" };
  }

  /** After the steps of the assignment. */
  steps(books: () => number): Step[] {
    return [
      {
        kernel: sums.vqSums,
        constants: sums.vqSumsConstants(this.#sums),
        buffers: pointsBuffer(this.#shape),
        order: "ascending",
        params: (tile, from, to) =>
          sums.vqSumsParams(from, to, baseRow(this.#shape, tile), tile.start),
        workgroups: (rows) => sums.vqSumsWorkgroups(rows, this.#sums, books()),
      },
      {
        copy: { from: "sums", to: "block_sums" },
        ranges: () => [{ fromOffset: 0, toOffset: 0, bytes: this.#bytes }],
      },
    ];
  }

  /** Hands on the sums, `[codes, features]`, of every block that ends in a tile, in order. */
  forEach(
    tile: Tile,
    downloads: Record<string, ArrayBuffer>,
    books: number,
    take: (book: number, sums: Float32Array) => void,
  ): void {
    const { features, codes } = this.#sums;
    const { blockRows } = this;
    const length = codes * features;
    const ring = sums.sumRing(this.#sums);
    const all = new Float32Array(downloads.block_sums!);
    for (let block = Math.floor(tile.start / blockRows); block * blockRows < tile.end; block++) {
      // what goes on in the next tile comes with it
      if (Math.min((block + 1) * blockRows, this.#shape.points.rows) > tile.end) break;
      for (let book = 0; book < books; book++) {
        const at = (block % ring * books + book) * length;
        take(book, all.subarray(at, at + length));
      }
    }
  }
}
