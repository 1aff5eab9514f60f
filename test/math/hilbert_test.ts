import { describe, expect, it } from "vitest";
import { hilbertDistance } from "../../src/math/hilbert.ts";
import { toWideRow } from "../../src/math/wide.ts";
import { seeded } from "../support/random.ts";

const vector = (...values: number[]) => toWideRow(values);

describe("hilbertDistance()", () => {
  it("is 0 for vectors that are multiples of each other", () => {
    expect(hilbertDistance(vector(0.25, 0.5, 0), vector(0.5, 1, 0))).toBe(0);
  });

  it("is infinite for vectors without mass: they say nothing of each other", () => {
    expect(hilbertDistance(vector(0, 0), vector(0, 0))).toBe(Infinity);
    expect(hilbertDistance(vector(0, 0), vector(0, 1))).toBe(Infinity);
  });

  it("is the logarithm of the largest quotient over the smallest", () => {
    expect(hilbertDistance(vector(1, 1), vector(2, 8))).toBeCloseTo(Math.log(4), 12);
    expect(hilbertDistance(vector(2, 8), vector(1, 1))).toBeCloseTo(Math.log(4), 12);
  });

  it("is infinite where only one has mass, however little", () => {
    expect(hilbertDistance(vector(1, 1), vector(1, 0))).toBe(Infinity);
    expect(hilbertDistance(vector(0, 1), vector(1e-20, 1))).toBe(Infinity);
    expect(hilbertDistance(vector(1e-300, 1), vector(0, 1))).toBe(Infinity);
  });

  it("sees however little there is, and below 2^-128 not what rounding does", () => {
    const least = 2 ** -900;
    expect(hilbertDistance(vector(1, least), vector(1, 3 * least))).toBeCloseTo(Math.log(3), 4);
    expect(hilbertDistance(vector(1, 3 * least), vector(1, least))).toBeCloseTo(Math.log(3), 4);
    expect(hilbertDistance(vector(1, least), vector(1, (1 + 2 ** -15) * least))).toBe(0);
    const shallow = 2 ** -100;
    expect(hilbertDistance(vector(1, shallow), vector(1, (1 + 2 ** -15) * shallow)))
      .toBeCloseTo(2 ** -15, 7);
  });

  it("never grows under a matrix without zeros", () => {
    const random = seeded(3);
    const size = 7;
    for (let trial = 0; trial < 200; trial++) {
      const [a, b] = [0, 1].map(() => Float64Array.from({ length: size }, () => random() + 1e-3));
      const matrix = Array.from({ length: size * size }, () => random() ** 4 + 1e-6);
      const applied = (values: Float64Array) =>
        Float64Array.from(
          { length: size },
          (_, j) => values.reduce((sum, value, i) => sum + value * matrix[i * size + j]!, 0),
        );
      const distance = (a: Float64Array, b: Float64Array) =>
        hilbertDistance(toWideRow(a), toWideRow(b));
      const before = distance(a!, b!);
      expect(distance(applied(a!), applied(b!))).toBeLessThanOrEqual(before + 1e-6);
    }
  });
});
