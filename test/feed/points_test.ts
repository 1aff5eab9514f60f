import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { digestRows, Points } from "../../src/feed/points.ts";
import { panelIndex } from "../../src/math/panels.ts";
import type { NumericArray } from "../../src/types.ts";
import { seeded } from "../support/random.ts";

/** More than a block of rows, and not a multiple of one. */
const [ROWS, FEATURES] = [150_001, 2];

/** The same rows, as they are where a part of a chunk costs as much as the whole. */
function chunked(array: ChunkedArray, chunkRows: number): ChunkedArray {
  return { ...array, chunkRows, wholeChunks: true };
}

function someRows(offset: number, spread: number): Float64Array {
  const random = seeded(4);
  return Float64Array.from({ length: ROWS * FEATURES }, () => offset + spread * (random() - 0.3));
}

const exact = { action: "cluster", exact: true };

/** Rows, as the device has them, put together again and in their own units. */
async function backFrom(points: Points, end: number): Promise<Float64Array> {
  const { features, parts } = points;
  const panels = await points.readPanels(0, end);
  const scaled = Float64Array.from({ length: end * features }, (_, i) => {
    const [row, d] = [Math.floor(i / features), i % features];
    const part = (d: number) => panels[panelIndex(row, d, parts * features)]!;
    return part(d) + (parts === 2 ? part(features + d) : 0);
  });
  return points.toOriginal(scaled);
}

describe("Points", () => {
  it("knows moments and extremes of all rows, at any offset and scale", async () => {
    for (const [offset, spread] of [[0, 1], [1e9, 1], [-1e4, 1e-3], [0, 1e150], [0, 1e-140]]) {
      const values = someRows(offset!, spread!);
      // an outlier among the first rows would take all digits of sums about it
      values[3] = offset! + 1e4 * spread!;
      const points = new Points(fromTypedArray(values, [ROWS, FEATURES]), exact);
      const { mean, min, max, variance } = await points.look();
      for (let d = 0; d < FEATURES; d++) {
        const column = values.filter((_, i) => i % FEATURES === d);
        const first = column[10]!;
        const center = first + column.reduce((sum, value) => sum + (value - first), 0) / ROWS;
        const wanted = column.reduce(
          (sum, value) => sum + ((value - center) * points.scale) ** 2,
          0,
        ) / ROWS;
        expect(Math.abs(mean[d]! - center)).toBeLessThanOrEqual(1e-12 * Math.abs(max[d]!));
        expect(Math.abs(variance[d]! / wanted - 1)).toBeLessThan(1e-9);
        expect(min[d]).toBe(column.reduce((least, value) => Math.min(least, value), Infinity));
        expect(max[d]).toBe(column.reduce((most, value) => Math.max(most, value), -Infinity));
      }
    }
  });

  it("sees the same however rows are stored, to the bit", async () => {
    const array = fromTypedArray(someRows(5, 2), [ROWS, FEATURES]);
    const look = async (array: ChunkedArray) => {
      const points = new Points(array, exact);
      return {
        look: await points.look({ digest: true }),
        shift: points.shift,
        scale: points.scale,
      };
    };
    const wanted = await look(array);
    for (const chunkRows of [1000, 65_536, 70_001, ROWS]) {
      expect(await look(chunked(array, chunkRows))).toEqual(wanted);
    }
    expect(await digestRows(chunked(array, 4097))).toBe(wanted.look.digest);
  });

  it("has another digest when any value is another", async () => {
    const values = someRows(0, 1);
    const array = fromTypedArray(values, [ROWS, FEATURES]);
    const wanted = await digestRows(array);
    for (const at of [0, 100_000, 262_145, values.length - 1]) {
      const before = values[at]!;
      values[at] = before + 1e-15;
      expect(await digestRows(array)).not.toBe(wanted);
      values[at] = before;
    }
    expect(await digestRows(array)).toBe(wanted);
  });

  it("moves rows of any type into coordinates and loses nothing that f32, twice, can hold", async () => {
    const random = seeded(8);
    const rows = 130;
    const decades = () => (random() - 0.5) * 10 ** (6 * random());
    const arrays: [string, NumericArray, digits: number][] = [
      ["bytes", Uint8Array.from({ length: rows }, () => 256 * random()), 53],
      ["32-bit integers", Int32Array.from({ length: rows }, () => 2 ** 31 * (random() - 0.5)), 53],
      [
        "64-bit integers",
        BigInt64Array.from(
          { length: rows },
          () => 2n ** 52n + BigInt(Math.round(1e6 * random())),
        ),
        53,
      ],
      ["f32 of many decades", Float32Array.from({ length: rows }, decades), 53],
      ["f32 far out", Float32Array.from({ length: rows }, () => 1e6 + random()), 53],
      [
        "f32 that is far out and wide",
        Float32Array.from({ length: rows }, () => 5 + 9 * random()),
        53,
      ],
      [
        "f32 of whole numbers",
        Float32Array.from({ length: rows }, () => Math.round(decades())),
        53,
      ],
      ["f64 of many decades", Float64Array.from({ length: rows }, decades), 48],
      ["f64 far out", Float64Array.from({ length: rows }, () => 1e9 + random()), 53],
    ];
    for (const [name, values, digits] of arrays) {
      const points = new Points(fromTypedArray(values, [rows, 1]), exact);
      await points.look();
      const back = await backFrom(points, rows);
      back.forEach((value, row) => {
        const wanted = Number(values[row]);
        const most = digits === 53 ? 0 : 2 ** -digits * Math.abs(wanted);
        expect(Math.abs(value - wanted), `${name}: ${wanted}`).toBeLessThanOrEqual(most);
      });
      expect(points.scale).toBe(2 ** Math.round(Math.log2(points.scale)));
    }
  });

  it("suits other points, too", async () => {
    const points = new Points(fromTypedArray(Float32Array.of(1, 2), [2, 1]), exact);
    await points.look({ around: [1e30] });
    const [far] = points.toScaled([1e30]);
    expect(Math.abs(far!)).toBeLessThanOrEqual(2 ** 32);
    expect(Math.abs(far!)).toBeGreaterThan(2 ** 31);
  });

  it("names what can be no coordinate, wherever it is", async () => {
    const values = someRows(0, 1);
    const points = (bad: number) => {
      values[2 * 149_000 + 1] = bad;
      return new Points(fromTypedArray(values, [ROWS, FEATURES]), exact);
    };
    for (const bad of [NaN, Infinity, -Infinity]) {
      await expect(points(bad).look()).rejects.toThrow(
        `Cannot cluster: row 149000, feature 1 is ${bad}, wanted finite numbers`,
      );
    }
    await expect(points(1e305).look()).rejects.toThrow("wanted magnitudes below 1e+301");
  });

  it("can be cancelled while it looks at rows, in memory too", async () => {
    const cancel = new AbortController();
    const array = fromTypedArray(someRows(0, 1), [ROWS, FEATURES]);
    let reads = 0;
    // without an end, for a test's purposes
    const long: ChunkedArray = {
      ...array,
      shape: [1e12, FEATURES],
      read: (start, end) => {
        reads++;
        return array.read(0, end - start);
      },
    };
    setTimeout(() => cancel.abort(new Error("enough")));
    const looking = new Points(long, exact).look({ signal: cancel.signal });
    await expect(looking).rejects.toThrow("enough");
    expect(reads).toBeGreaterThan(0);
  });
});
