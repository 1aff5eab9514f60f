import { describe, expect, it } from "vitest";
import { binOf, gridFromPosition } from "../../src/hmm/grid.ts";

/** Positions along the edges of a square from 0 to 10. */
const square: number[] = [];
for (let i = 0; i <= 100; i++) square.push(i / 10, 0, i / 10, 10, 0, i / 10, 10, i / 10);

describe("gridFromPosition()", () => {
  it("divides the range into ceil(extent / bin size) even bins", () => {
    const grid = gridFromPosition([0, 3, 9.5], 1, { binSize: 2 });
    expect(grid.shape).toEqual([5]);
    expect(grid.edges[0]).toEqual(Float64Array.of(0, 1.9, 3.8, 5.699999999999999, 7.6, 9.5));
    expect([...grid.interiorIndex]).toEqual([0, 1, 4]);
    expect(grid.centers[0]![0]).toBeCloseTo(0.95, 12);
  });

  it("pads two dimensions by a bin at each side, which is never interior", () => {
    const grid = gridFromPosition(square, 2, { binSize: 1 });
    expect(grid.shape).toEqual([12, 12]);
    // 36 bins along the edges, and 4 that closing fills in the corners
    expect(grid.interiorIndex.length).toBe(40);
    for (const bin of grid.interiorIndex) {
      const [x, y] = [Math.floor(bin / 12), bin % 12];
      expect(Math.min(x, y)).toBeGreaterThanOrEqual(1);
      expect(Math.max(x, y)).toBeLessThanOrEqual(10);
    }
  });

  it("closes holes of one bin by a cross, and leaves larger ones", () => {
    const filled: number[] = [];
    for (let x = 0; x < 9; x++) {
      for (let y = 0; y < 9; y++) {
        const hole = (x === 2 && y === 2) || (x >= 5 && x <= 7 && y >= 5 && y <= 7);
        if (!hole) filled.push(x + 0.5, y + 0.5);
      }
    }
    // the corners fix the range to bins of exactly 1
    const grid = gridFromPosition([0, 0, 9, 9, ...filled], 2, { binSize: 1 });
    const inside = (x: number, y: number) => grid.interior[(x + 1) * grid.shape[1]! + y + 1];
    expect(inside(2, 2)).toBe(1);
    expect(inside(6, 6)).toBe(0);
    expect(inside(5, 6)).toBe(0);
  });

  it("leaves out unknown positions", () => {
    const grid = gridFromPosition([0, NaN, 4, NaN], 1, { binSize: 1 });
    expect(grid.shape).toEqual([4]);
    expect([...grid.interiorIndex]).toEqual([0, 3]);
  });

  it("refuses bin sizes that give no bins, or far too many", () => {
    expect(() => gridFromPosition([0, 1], 1, { binSize: 0 })).toThrow(/the bin size is 0/);
    expect(() => gridFromPosition([0, 1], 1, { binSize: NaN })).toThrow(/the bin size is NaN/);
    expect(() => gridFromPosition([2, 2], 1, { binSize: 1 })).toThrow(/positions span 0/);
    expect(() => gridFromPosition([NaN, NaN], 1, { binSize: 1 })).toThrow(/positions span/);
    expect(() => gridFromPosition([0, 1], 1, { binSize: 1e-9 })).toThrow(/at most 16777216/);
    expect(() => gridFromPosition(square, 2, { binSize: 1e-3 })).toThrow(/10002 x 10002 bins/);
  });
});

describe("binOf()", () => {
  it("closes the last bin on both sides", () => {
    const edges = Float64Array.of(0, 1, 2, 3);
    expect([-0.1, 0, 0.99, 1, 2.5, 3, 3.1, NaN].map((value) => binOf(edges, value)))
      .toEqual([-1, 0, 0, 1, 2, 2, -1, -1]);
  });
});
