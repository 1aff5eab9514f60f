import { describe, expect, it } from "vitest";
import { BlockSums } from "../../src/cluster/block_sums.ts";
import type { AssignmentShape } from "../../src/cluster/assignment.ts";
import { sumBlockRows } from "../../src/kernels/vq_sums.ts";
import type { Tile } from "../../src/stream/pass.ts";

describe("sums of blocks", () => {
  const [features, codes, books, tileRows] = [2, 3, 2, 512];
  const length = features * codes;
  const shape = { points: { features, rows: 1200, parts: 1 }, codes } as unknown as AssignmentShape;

  /** Which blocks a tile hands on, each with the first number of its sums. */
  function taken(start: number, end: number): [book: number, first: number][] {
    const sums = new BlockSums(shape, tileRows, books);
    // a ring of the blocks a tile may touch, of each the books side by side
    const ring = Float32Array.from({ length: 3 * books * length }, (_, i) => i);
    const seen: [number, number][] = [];
    sums.forEach(
      { start, end } as Tile,
      { block_sums: ring.buffer },
      books,
      (book, own) => {
        expect(own.length).toBe(length);
        seen.push([book, own[0]!]);
      },
    );
    return seen;
  }

  it("come block after block, of every codebook, from where the kernel leaves them", () => {
    expect(sumBlockRows(codes)).toBe(256);
    expect(taken(0, 512)).toEqual([[0, 0], [1, 6], [0, 12], [1, 18]]);
    // block 2 in the ring's third place, and block 3 in its first again
    expect(taken(512, 1024)).toEqual([[0, 24], [1, 30], [0, 0], [1, 6]]);
  });

  it("come with the tile in which their block ends", () => {
    // blocks end at 256, 512, 768, 1024 and with the last row
    expect(taken(0, 255)).toEqual([]);
    expect(taken(192, 320)).toEqual([[0, 0], [1, 6]]);
    expect(taken(320, 512)).toEqual([[0, 12], [1, 18]]);
    expect(taken(1024, 1199)).toEqual([]);
    expect(taken(1024, 1200)).toEqual([[0, 12], [1, 18]]);
  });
});
