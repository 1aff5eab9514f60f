import { describe, expect, it } from "vitest";
import { openTensor, readTensors } from "../../src/array/safetensors.ts";
import { readAll } from "../../src/array/array.ts";
import { ChunkError } from "../../src/errors.ts";
import { blobSource } from "../../src/files/byte_source.ts";

/** A file with this header, whatever it says, and these bytes. */
function file(
  header: object | string,
  bytes: Uint8Array = new Uint8Array(0),
  headerBytes?: number,
) {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(headerBytes ?? text.length), true);
  return blobSource(new File([length, text, bytes.slice()], "x.safetensors"));
}

const tensor = (dtype: string, shape: number[], from: number, to: number) => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

describe("openTensor()", () => {
  it("reads brain floats as the upper halves of f32, exactly", async () => {
    const bits = [0x3f80, 0xc000, 0x7f80, 0xff80, 0x7fc0, 0x0001, 0x8000, 0x4049];
    const bytes = new Uint8Array(Uint16Array.from(bits).buffer);
    const array = await openTensor(file({ x: tensor("BF16", [4, 2], 0, 16) }, bytes), "x");
    expect([array.dtype, array.shape]).toEqual(["float32", [4, 2]]);
    expect(await readAll(array)).toEqual(
      Float32Array.of(1, -2, Infinity, -Infinity, NaN, 2 ** -133, -0, 3.140625),
    );
    expect(await array.read(3, 4)).toEqual(Float32Array.of(-0, 3.140625));
  });

  it("reads nothing but the rows that are asked for", async () => {
    const bytes = new Uint8Array(Float32Array.from({ length: 3000 }, (_, i) => i).buffer);
    const whole = file({ x: tensor("F32", [1000, 3], 0, 12_000) }, bytes);
    const reads: number[] = [];
    const source = {
      ...whole,
      read(offset: number, length: number) {
        reads.push(length);
        return whole.read(offset, length);
      },
    };
    const array = await openTensor(source, "x");
    reads.length = 0;
    expect(await array.read(500, 502)).toEqual(Float32Array.of(1500, 1501, 1502, 1503, 1504, 1505));
    expect(reads).toEqual([24]);
    await expect(array.read(0, 1001)).rejects.toThrow(RangeError);
  });

  it.each([
    [
      "of eight-bit floats",
      { x: tensor("F8_E4M3", [2], 0, 2) },
      2,
      /dtype "F8_E4M3" is not supported/,
    ],
    ["of a single value", { x: tensor("F32", [], 0, 4) }, 4, /holds a single value/],
    [
      "that is not there",
      { y: tensor("F32", [1], 0, 4) },
      4,
      /there is no such tensor, "y" may be meant, wanted one of y/,
    ],
    [
      "that overlaps",
      { x: tensor("U8", [4], 0, 4), y: tensor("U8", [4], 2, 6) },
      6,
      /"y" overlaps/,
    ],
    ["after a gap", { x: tensor("U8", [4], 1, 5) }, 5, /"x" has a gap before it/],
    [
      "before bytes of nobody",
      { x: tensor("U8", [4], 0, 4) },
      5,
      /it has \d+ bytes, its header wants/,
    ],
    ["that is cut short", { x: tensor("U8", [4], 0, 4) }, 3, /it has \d+ bytes, its header wants/],
    ["of another size", { x: tensor("F32", [2], 0, 4) }, 4, /entry for "x" cannot be understood/],
    ["of absurd shape", { x: tensor("U8", [2 ** 50, 2 ** 50], 0, 4) }, 4, /cannot be understood/],
    ["of a negative size", { x: tensor("U8", [-4], 0, 4) }, 4, /cannot be understood/],
    ["that ends before it begins", { x: tensor("U8", [0], 4, 0) }, 4, /cannot be understood/],
    ["without offsets", { x: { dtype: "U8", shape: [4] } }, 4, /cannot be understood/],
    ["of null", { x: null }, 4, /cannot be understood/],
  ])("refuses a tensor %s", async (_, header, bytes, message) => {
    const opened = openTensor(file(header, new Uint8Array(bytes)), "x");
    await expect(opened).rejects.toThrow(ChunkError);
    await expect(opened).rejects.toThrow(message);
  });

  it.each([
    ["longer than the file", file("{}", undefined, 2 ** 40), /said to have 1099511627776 bytes/],
    ["that is no JSON", file("{]"), /its header is not JSON/],
    ["that is no object", file("[]"), /its header is no object/],
    ["that is not there", blobSource(new Blob([new Uint8Array(7)])), /7 bytes are no safetensors/],
  ])("refuses a header %s", async (_, source, message) => {
    await expect(readTensors(source)).rejects.toThrow(ChunkError);
    await expect(readTensors(source)).rejects.toThrow(message);
  });

  it("leaves what is said about the file aside", async () => {
    const header = { __metadata__: { format: "pt" }, x: tensor("U8", [1], 0, 1) };
    expect((await readTensors(file(header, new Uint8Array(1)))).map(({ name }) => name)).toEqual([
      "x",
    ]);
  });
});
