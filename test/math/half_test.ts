import { describe, expect, it } from "vitest";
import {
  decodeFloat16,
  encodeFloat16,
  float16BitsToFloat32,
  float32ToFloat16Bits,
} from "../../src/math/half.ts";

const PATTERNS = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
const isNaNPattern = (bits: number) => (bits & 0x7fff) > 0x7c00;

describe("half floats", () => {
  it("have the value their bits define, for all 65,536 patterns", () => {
    const wrong = [...PATTERNS].filter((bits) => {
      const exponent = (bits >> 10) & 31;
      const fraction = (bits & 1023) / 1024;
      let value = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
      if (exponent === 31) value = fraction === 0 ? Infinity : NaN;
      return !Object.is(
        float16BitsToFloat32(bits),
        bits & 0x8000 && !isNaN(value) ? -value : value,
      );
    });
    expect(wrong).toEqual([]);
  });

  it("keep their bits through f32 and back; NaN becomes the one quiet NaN", () => {
    const back = encodeFloat16(decodeFloat16(PATTERNS));
    const wrong = [...PATTERNS].filter((bits) =>
      back[bits] !== (isNaNPattern(bits) ? 0x7e00 : bits)
    );
    expect(wrong).toEqual([]);
  });

  it("round to the nearest, ties to even, between all neighbours", () => {
    const wrong: number[] = [];
    const step = new Float32Array(1);
    const stepBits = new Uint32Array(step.buffer);
    const beside = (value: number, ulps: number) => {
      step[0] = value;
      stepBits[0] = stepBits[0]! + ulps;
      return step[0]!;
    };
    for (let bits = 0; bits < 0x7c00; bits++) {
      const next = bits + 1 === 0x7c00 ? 65536 : float16BitsToFloat32(bits + 1);
      const middle = (float16BitsToFloat32(bits) + next) / 2;
      const even = bits & 1 ? bits + 1 : bits;
      const rounded = [
        float32ToFloat16Bits(beside(middle, -1)) === bits,
        float32ToFloat16Bits(middle) === even,
        float32ToFloat16Bits(beside(middle, 1)) === bits + 1,
        float32ToFloat16Bits(-middle) === (even | 0x8000),
      ];
      if (rounded.includes(false)) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
  });

  it("overflow to infinity from 65,520 on", () => {
    expect(float32ToFloat16Bits(65519.99)).toBe(0x7bff);
    expect(float32ToFloat16Bits(65520)).toBe(0x7c00);
    expect(float32ToFloat16Bits(3e38)).toBe(0x7c00);
    expect(float32ToFloat16Bits(-Infinity)).toBe(0xfc00);
  });

  it("are zero, with their sign, below half of the smallest", () => {
    expect(float32ToFloat16Bits(1e-40)).toBe(0);
    expect(float32ToFloat16Bits(-1e-10)).toBe(0x8000);
  });
});
