import { describe, expect, it } from "vitest";
import { Random } from "../../src/math/random.ts";
import { zlibCompress } from "../../src/view/deflate.ts";
import { compressPixels, pngAddress } from "../../src/view/png.ts";

async function inflate(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream()
    .pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

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
      expect(await inflate(zlibCompress(data))).toEqual(data);
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
    const bytes = Uint8Array.from(
      atob(address.slice("data:image/png;base64,".length)),
      (letter) => letter.charCodeAt(0),
    );
    expect([...bytes.subarray(0, 8)]).toEqual([137, 80, 78, 71, 13, 10, 26, 10]);
    const view = new DataView(bytes.buffer);
    const chunks: Record<string, number[]> = {};
    for (let at = 8; at < bytes.length;) {
      const length = view.getUint32(at);
      const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
      chunks[name] = [...bytes.subarray(at + 8, at + 8 + length)];
      at += 12 + length;
    }
    expect(Object.keys(chunks)).toEqual(["IHDR", "PLTE", "IDAT", "IEND"]);
    expect(chunks.IHDR).toEqual([0, 0, 0, 3, 0, 0, 0, 2, 8, 3, 0, 0, 0]);
    expect(chunks.PLTE).toEqual([1, 2, 3, 250, 0, 128]);
    // each row after its filter
    expect([...await inflate(Uint8Array.from(chunks.IDAT!))]).toEqual([0, 0, 1, 0, 0, 1, 1, 0]);
    // the checksum of an empty last chunk, as in every PNG
    expect([...bytes.subarray(-4)]).toEqual([0xae, 0x42, 0x60, 0x82]);
  });
});
