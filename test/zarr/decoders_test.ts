import { describe, expect, it } from "vitest";
import { CODECS_V2, createDecoder, decodeBytes } from "../../src/zarr/decoders.ts";
import compressed from "../fixtures/compressed.json" with { type: "json" };
import { seeded } from "../support/random.ts";

const fromBase64 = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const plain = fromBase64(compressed.plain);
const bloscLz4 = () =>
  fromBase64(compressed.cases.find(({ what }) => what === "lz4, shuffle 1")!.encoded);

const decode = (codec: string, bytes: Uint8Array, size = plain.length) =>
  decodeBytes(bytes, [createDecoder(codec, CODECS_V2[codec], {})], { exact: size, most: size });

async function stream(format: CompressionFormat, bytes: Uint8Array<ArrayBuffer>) {
  const compressing = new Blob([bytes]).stream().pipeThrough(new CompressionStream(format));
  return new Uint8Array(await new Response(compressing).arrayBuffer());
}

describe.each(compressed.cases)("$codec ($what)", ({ codec, encoded }) => {
  const bytes = fromBase64(encoded);

  it("is decoded as numcodecs does", async () => {
    expect(await decode(codec, bytes)).toEqual(plain);
    // wherever it lies in its buffer
    const moved = new Uint8Array(bytes.length + 3);
    moved.set(bytes, 3);
    expect(await decode(codec, moved.subarray(3))).toEqual(plain);
  });

  it("is refused where it is cut short, or holds more or less than was declared", async () => {
    for (let length = 0; length < bytes.length; length += 1 + Math.floor(bytes.length / 40)) {
      await expect(decode(codec, bytes.slice(0, length)), `${length} bytes`).rejects.toThrow();
    }
    for (const size of [plain.length - 1, plain.length + 1, 1, 2 ** 20]) {
      await expect(decode(codec, bytes, size)).rejects.toThrow(/bytes|size/);
    }
  });

  it("is refused where it is damaged, or has the right length", async () => {
    const random = seeded(bytes.length);
    for (let i = 0; i < 50; i++) {
      const damaged = bytes.slice();
      damaged[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
      const decoded = await decode(codec, damaged).catch((error: Error) => error);
      if (decoded instanceof Error) expect(decoded.message).not.toBe("");
      else expect(decoded.length).toBe(plain.length);
    }
  });
});

describe("what inflates to more than was declared", () => {
  it.each(["gzip", "deflate"] as const)("stops at that: %s", async (format) => {
    const bomb = await stream(format, new Uint8Array(2 ** 23));
    const codec = format === "gzip" ? "gzip" : "zlib";
    await expect(decode(codec, bomb, 1000)).rejects.toThrow(/more than 1000 bytes/);
  });

  it("is not begun where its own headers say so", async () => {
    const header = [0x28, 0xb5, 0x2f, 0xfd];
    // a block of 128 KiB of one byte, in 4 bytes
    const repeated = (isLast: number) => [2 | isLast, 0, 0x10, 7];
    const blocks = [...Array.from({ length: 9999 }, () => repeated(0)).flat(), ...repeated(1)];
    const untold = Uint8Array.of(...header, 0, 0x58, ...blocks);
    await expect(decode("zstd", untold, 1000)).rejects.toThrow(/may hold 1310720000 bytes/);
    const told = Uint8Array.of(...header, 0x80, 0x58, 0, 0, 0, 0x80, ...blocks);
    await expect(decode("zstd", told, 1000)).rejects.toThrow(/2147483648 bytes, wanted 1000/);

    const blosc = bloscLz4();
    new DataView(blosc.buffer).setUint32(4, 2 ** 31, true);
    await expect(decode("blosc", blosc)).rejects.toThrow(/2147483648 bytes, wanted 600/);
    const lz4 = Uint8Array.of(0xff, 0xff, 0xff, 0x7f, 0);
    await expect(decode("lz4", lz4)).rejects.toThrow(/2147483647 bytes, wanted 600/);
  });
});

describe("LZ4", () => {
  it("is refused where it repeats what was not there, or nothing", async () => {
    const block = (distance: number) =>
      // a letter, four of those so far back, three letters
      Uint8Array.of(8, 0, 0, 0, 0x10, 0x61, distance, 0, 0x30, 0x62, 0x62, 0x62);
    const letters = new TextEncoder().encode("aaaaabbb");
    expect(await decode("lz4", block(1), 8)).toEqual(letters);
    for (const distance of [0, 2, 255]) {
      await expect(decode("lz4", block(distance), 8)).rejects.toThrow("its LZ4 block is damaged");
    }
  });
});

describe("Blosc", () => {
  it("is refused where its header says another length than it has", async () => {
    const bytes = bloscLz4();
    const half = bytes.slice(0, bytes.length / 2);
    await expect(decode("blosc", half)).rejects.toThrow(
      `it holds ${half.length} bytes, its header says ${bytes.length}`,
    );
    const longer = Uint8Array.of(...bytes, 0);
    await expect(decode("blosc", longer)).rejects.toThrow(/its header says/);
  });

  it("with Snappy inside is refused by name", async () => {
    const bytes = bloscLz4();
    bytes[2] = (bytes[2]! & 0x1f) | (2 << 5);
    await expect(decode("blosc", bytes)).rejects.toThrow(/snappy inside, wanted blosclz, lz4/);
  });
});
