import { describe, expect, it } from "vitest";
import { Random } from "../../src/math/random.ts";
import { zlibCompress } from "../../src/view/deflate.ts";
import { compressPixels, pngAddress } from "../../src/view/png.ts";
import { inflate, pngChunks } from "../support/png.ts";

const random = new Random(3);
const CASES: Record<string, Uint8Array> = {
  nothing: new Uint8Array(),
  "one byte": Uint8Array.of(200),
  "two bytes": Uint8Array.of(7, 7),
  "a long run": new Uint8Array(100_003).fill(9),
  noise: Uint8Array.from({ length: 70_001 }, () => random.integer(256)),
  "noise of few": Uint8Array.from({ length: 70_001 }, () => random.integer(3)),
  "a pattern farther apart than the window": Uint8Array.from(
    { length: 140_000 },
    (_, i) => i % 34_001 * 7919 >> 5,
  ),
};

describe("zlibCompress()", () => {
  for (const [name, data] of Object.entries(CASES)) {
    it(`is undone by the runtime's own reader: ${name}`, async () => {
      const back = await inflate(zlibCompress(data));
      expect(back.length).toBe(data.length);
      expect(back.every((byte, i) => byte === data[i])).toBe(true);
    });
  }

  it("makes runs small", () => {
    expect(zlibCompress(CASES["a long run"]!).length).toBeLessThan(1000);
    expect(zlibCompress(CASES.noise!).length).toBeLessThan(1.07 * CASES.noise!.length);
  });
});

describe("pngAddress()", () => {
  it("writes the signature, the chunks and their checksums", async () => {
    const [width, height] = [3, 2];
    const palette = [[1, 2, 3], [250, 0, 128]] as const;
    const pixels = compressPixels(width, height, Uint8Array.of(0, 1, 0, 1, 1, 0));
    const address = pngAddress(width, height, pixels, palette);
    const chunks = pngChunks(address);
    expect(Object.keys(chunks)).toEqual(["IHDR", "PLTE", "IDAT", "IEND"]);
    expect([...chunks.IHDR!]).toEqual([0, 0, 0, 3, 0, 0, 0, 2, 8, 3, 0, 0, 0]);
    expect([...chunks.PLTE!]).toEqual([1, 2, 3, 250, 0, 128]);
    // each row after its filter
    expect([...await inflate(chunks.IDAT!)]).toEqual([0, 0, 1, 0, 0, 1, 1, 0]);
    // the checksum of an empty last chunk, as in every PNG
    const end = Array.from(
      atob(address.split(",")[1]!).slice(-4),
      (letter) => letter.charCodeAt(0),
    );
    expect(end).toEqual([0xae, 0x42, 0x60, 0x82]);
  });
});
