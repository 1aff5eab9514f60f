import { describe, expect, it } from "vitest";
import { fromTypedArray, openArray, readAll, readNumbers } from "../../src/array/array.ts";
import { ofType } from "../../src/chunked_array.ts";

describe("an array over memory", () => {
  it("reads runs of rows in its shape", async () => {
    const array = fromTypedArray(Float32Array.of(0, 1, 2, 3, 4, 5), [3, 2]);
    expect(array.shape).toEqual([3, 2]);
    expect(array.dtype).toBe("float32");
    expect(await array.read(1, 3)).toEqual(Float32Array.of(2, 3, 4, 5));
    expect(await array.read(2, 2)).toEqual(new Float32Array(0));
    expect(await readAll(array)).toEqual(Float32Array.of(0, 1, 2, 3, 4, 5));
  });

  it("is what openArray() makes of a typed array, with one axis", async () => {
    const array = await openArray(BigInt64Array.of(1n, 2n));
    expect([array.shape, array.dtype]).toEqual([[2], "int64"]);
    expect(await array.read(0, 1)).toEqual(BigInt64Array.of(1n));
  });

  it("refuses rows that are not there", async () => {
    const array = fromTypedArray(new Float32Array(6), [3, 2]);
    for (const [start, end] of [[0, 4], [-1, 2], [2, 1], [0.5, 1], [NaN, 1]]) {
      await expect(array.read(start!, end!)).rejects.toThrow(/the array has 3 rows/);
    }
  });

  it("refuses a shape of another size, and what is no typed array", async () => {
    expect(() => fromTypedArray(new Float32Array(6), [4, 2])).toThrow(/got 6 elements, wanted 8/);
    expect(() => fromTypedArray(new Float32Array(1), [])).toThrow(RangeError);
    await expect(openArray([1, 2] as never)).rejects.toThrow(/Cannot use a Array/);
  });

  it("has elements whose type is known without a cast", async () => {
    const array = fromTypedArray(Float32Array.of(1, 2));
    const values: Float32Array = await array.read(0, 2);
    const all: Float32Array = await readAll(array);
    expect([values, all]).toEqual([Float32Array.of(1, 2), Float32Array.of(1, 2)]);
    const numbers: Float32Array | Float64Array = await ofType(array, "float32", "float64").read(
      0,
      1,
    );
    expect(numbers).toEqual(Float32Array.of(1));
    expect(() => ofType({ ...array, places: ["x.npy"] }, "int32"))
      .toThrow("Cannot open x.npy: its elements are float32, wanted int32");
  });

  it("is read as f64 by readNumbers(), which refuses whole numbers that f64 does not hold", async () => {
    const most = 2n ** 53n - 1n;
    expect(await readNumbers(fromTypedArray(BigUint64Array.of(0n, most))))
      .toEqual(Float64Array.of(0, Number(most)));
    expect(await readNumbers(fromTypedArray(Float32Array.of(0.1, 2), [1, 2])))
      .toEqual(Float64Array.of(Math.fround(0.1), 2));
    const own = Float64Array.of(1);
    const copied = await readNumbers(fromTypedArray(own));
    copied[0] = 2;
    expect(own[0]).toBe(1);
    for (const wrong of [most + 1n, -most - 1n]) {
      await expect(readNumbers(fromTypedArray(BigInt64Array.of(3n, wrong))))
        .rejects.toThrow(`element 1 is ${wrong}, wanted at most ${most} (2^53 - 1)`);
    }
  });

  it("stops when it is cancelled", async () => {
    const array = fromTypedArray(new Float32Array(6));
    const read = array.read(0, 1, { signal: AbortSignal.abort(new Error("cancelled")) });
    await expect(read).rejects.toThrow("cancelled");
  });
});
