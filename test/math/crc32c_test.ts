import { describe, expect, it } from "vitest";
import { crc32c } from "../../src/math/crc32c.ts";

describe("crc32c()", () => {
  it("gives the published check value for 123456789", () => {
    expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  });

  it("gives the published values for 32 zeros, 32 ones and nothing", () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });
});
