import { describe, expect, it } from "vitest";
import { digestOf, StreamDigest } from "../../src/math/digest.ts";

async function sha256(bytes: BufferSource): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
const encode = (text: string) => new TextEncoder().encode(text);

async function streamed(bytes: Uint8Array, ...pieces: number[]): Promise<string> {
  const digest = new StreamDigest();
  let at = 0;
  for (const length of [...pieces, bytes.length]) {
    const piece = bytes.slice(at, at + length);
    await digest.add(piece);
    // what was handed over may change
    piece.fill(0);
    at += length;
  }
  return await digest.finish();
}

describe("digests", () => {
  it("are SHA-256 of texts and of the digests of arrays, a line each", async () => {
    // FIPS 180: of "abc"
    const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    expect(await digestOf(["abc"])).toBe(abc);
    expect(await digestOf([encode("abc")])).toBe(await sha256(encode(abc)));
    expect(await digestOf(["x", encode("abc")])).toBe(await sha256(encode(`x\n${abc}`)));
    const inside = encode("zabcz").subarray(1, 4);
    expect(await digestOf([inside])).toBe(await digestOf([encode("abc")]));
  });

  it("of a stream do not depend on how its bytes come, and do on every one of them", async () => {
    const bytes = Uint8Array.from({ length: 2 ** 21 + 100 }, (_, i) => i * i % 251);
    const whole = await streamed(bytes);
    expect(await streamed(bytes, 1, 2 ** 20 - 1, 5)).toBe(whole);
    expect(await streamed(bytes, 2 ** 20 + 3, 2 ** 20 - 3)).toBe(whole);
    for (const at of [0, 2 ** 20 - 1, 2 ** 20, 2 ** 21, bytes.length - 1]) {
      const other = bytes.slice();
      other[at]! ^= 1;
      expect(await streamed(other), `byte ${at}`).not.toBe(whole);
    }
    expect(await streamed(bytes.subarray(1))).not.toBe(whole);
    // less than a block: a list of one digest
    expect(await streamed(encode("abc"))).toBe(await digestOf([await sha256(encode("abc"))]));
  });
});
