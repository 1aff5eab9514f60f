import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import type { ChunkedArray } from "../../src/chunked_array.ts";
import { expand } from "../../src/array/expand.ts";
import type { NumericArray } from "../../src/types.ts";
import { seeded } from "../support/random.ts";

const INDEX = Int32Array.of(1, 2, 5, 6);
const SIZE = 9;

/** [rows, ...] filled with 1, 2, 3, ... */
function counting(shape: readonly number[]): ChunkedArray {
  const length = shape.reduce((product, size) => product * size, 1);
  return fromTypedArray(Float32Array.from({ length }, (_, i) => i + 1), shape);
}

/** The definition: every element of the long axis is one of the short axis, or the fill. */
function wanted(values: NumericArray, shape: readonly number[], axis: number, fill: number) {
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const outer = shape.slice(0, axis).reduce((product, size) => product * size, 1);
  const expanded: number[] = [];
  for (let o = 0; o < outer; o++) {
    for (let place = 0; place < SIZE; place++) {
      const i = INDEX.indexOf(place);
      for (let j = 0; j < inner; j++) {
        expanded.push(i < 0 ? fill : Number(values[(o * INDEX.length + i) * inner + j]));
      }
    }
  }
  return expanded;
}

describe("expand()", () => {
  for (const [shape, axis] of [[[7, 4], 1], [[4], 0], [[4, 3], 0], [[5, 4, 2], 1]] as const) {
    it(`expands axis ${axis} of [${shape}], any rows of it`, async () => {
      const source = counting(shape);
      const view = expand(source, { index: INDEX, size: SIZE, axis });
      expect(view.shape).toEqual(shape.map((size, i) => i === axis ? SIZE : size));
      const all = wanted(await readAll(source), shape, axis, NaN);
      expect([...await readAll(view) as Float32Array]).toEqual(all);
      const rowElements = all.length / view.shape[0]!;
      for (let start = 0; start <= view.shape[0]!; start++) {
        for (let end = start; end <= view.shape[0]!; end++) {
          expect([...await view.read(start, end) as Float32Array]).toEqual(
            all.slice(start * rowElements, end * rowElements),
          );
        }
      }
      await expect(view.read(0, view.shape[0]! + 1)).rejects.toThrow(RangeError);
    });
  }

  it("reads no more of its source than the rows that are asked for", async () => {
    const source = counting([1000, 4]);
    const reads: number[][] = [];
    const view = expand({
      ...source,
      chunkRows: 10,
      read: (start, end) => {
        reads.push([start, end]);
        return source.read(start, end);
      },
    }, { index: INDEX, size: SIZE });
    expect(view.chunkRows).toBe(10);
    await view.read(20, 30);
    await view.read(999, 1000);
    expect(reads).toEqual([[20, 30], [999, 1000]]);
  });

  it("keeps element types, and fills whole numbers with what it is told", async () => {
    const random = seeded(2);
    for (const fill of [-1, 7n] as const) {
      const values = typeof fill === "bigint"
        ? BigInt64Array.from({ length: 8 }, () => BigInt(Math.floor(100 * random())))
        : Int16Array.from({ length: 8 }, () => Math.floor(100 * random()));
      const view = expand(fromTypedArray(values, [2, 4]), { index: INDEX, size: SIZE, fill });
      const expanded = await readAll(view);
      expect(expanded.constructor).toBe(values.constructor);
      expect([...expanded].map(Number)).toEqual(wanted(values, [2, 4], 1, Number(fill)));
    }
    expect(() => expand(fromTypedArray(new Int16Array(4)), { index: INDEX, size: SIZE })).toThrow(
      "Cannot expand int16 elements: the fill is NaN, wanted a whole number",
    );
  });

  it("names the long axis, where the others have names", () => {
    const named = { ...counting([7, 4]), dims: ["time", "bins"] };
    const options = { index: INDEX, size: SIZE };
    expect(expand(named, { ...options, dim: "box" }).dims).toEqual(["time", "box"]);
    expect(expand(named, options).dims).toBeUndefined();
    expect(expand(counting([7, 4]), { ...options, dim: "box" }).dims).toBeUndefined();
  });

  it("refuses an index that does not ascend within the long axis, or fit the short one", () => {
    for (const index of [[1, 2, 2, 3], [3, 2, 5, 6], [-1, 2, 5, 6], [1, 2, 5, 9], [1, 2, 5]]) {
      expect(() => expand(counting([7, 4]), { index: Int32Array.from(index), size: SIZE })).toThrow(
        RangeError,
      );
    }
    expect(() => expand(counting([7, 4]), { index: Int32Array.of(0, 4, 3, 5), size: SIZE }))
      .toThrow(
        "entry 2 is 3, wanted one for every element, ascending from 0 and below 9",
      );
  });
});
