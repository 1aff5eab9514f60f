import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { ChunkError } from "../../src/errors.ts";
import { putFiles } from "../support/library_files.ts";

const numbers = Int16Array.from({ length: 30 }, (_, i) => 700 * i - 9000);
const place = () => putFiles("raw_test", { "a.dat": new Uint8Array(numbers.buffer) });

describe("openArray() of a file of nothing but numbers", () => {
  it.each<[string, number[], ArrayLike<number | bigint>]>([
    ["int16", [30], numbers],
    ["int16x3", [10, 3], numbers],
    ["int16x5x2", [3, 5, 2], numbers],
    ["int16x4+12", [6, 4], numbers.slice(6)],
    ["uint8x60", [1, 60], new Uint8Array(numbers.buffer)],
    ["float32", [15], new Float32Array(numbers.buffer)],
    ["int16be", [30], numbers.map((value) => (value << 8) | (value >> 8 & 255))],
  ])("reads it as %s", async (layout, shape, values) => {
    const array = await openArray(`${await place()}/a.dat/${layout}`);
    expect(array.shape).toEqual(shape);
    expect(await readAll(array)).toEqual(values);
    await array.close();
  });

  it.each([
    ["", /wanted the type of its numbers and the sizes of a row, as int16x384/],
    ["int12", /wanted the type of its numbers/],
    ["int16x-3", /wanted the type of its numbers/],
    ["int16x7", /rows of 14 bytes do not fill its 60 bytes$/],
    ["int16x0", /rows of 0 bytes do not fill/],
    ["int16+7", /rows of 2 bytes do not fill its 60 bytes behind the first 7/],
    ["int8+61", /do not fill/],
  ])("refuses a layout of %j", async (layout, message) => {
    const opened = openArray(`${await place()}/a.dat/${layout}`);
    await expect(opened).rejects.toThrow(ChunkError);
    await expect(opened).rejects.toThrow(message);
  });
});
