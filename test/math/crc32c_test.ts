import { describe, expect, it } from "vitest";
import { crc32, crc32c } from "../../src/math/crc32c.ts";

describe("crc32c()", () => {
  it("gives the published check value for 123456789", () => {
    expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  });

  it("gives the published values for 32 zeros, 32 ones and nothing", () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });

  it("is the remainder by the polynomial, bit by bit, of every length", () => {
    const byBits = (bytes: Uint8Array) => {
      let remainder = 0xffffffff;
      for (const byte of bytes) {
        remainder ^= byte;
        for (let bit = 0; bit < 8; bit++) {
          remainder = remainder & 1 ? (remainder >>> 1) ^ 0x82f63b78 : remainder >>> 1;
        }
      }
      return ~remainder >>> 0;
    };
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => 89 * i + 7);
    for (let start = 0; start < 8; start++) {
      for (let end = start; end <= 64; end++) {
        expect(crc32c(bytes.subarray(start, end))).toBe(byBits(bytes.subarray(start, end)));
      }
    }
  });
});

describe("crc32()", () => {
  it("gives the published check value for 123456789, in one piece or two", () => {
    const bytes = new TextEncoder().encode("123456789");
    expect(crc32(bytes)).toBe(0xcbf43926);
    for (let cut = 0; cut <= 9; cut++) {
      expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(0xcbf43926);
    }
  });
});
