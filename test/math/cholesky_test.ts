import { describe, expect, it } from "vitest";
import { factorize, solveFactored } from "../../src/math/cholesky.ts";
import { seeded } from "../support/random.ts";

describe("a symmetric system", () => {
  for (const size of [1, 2, 7, 40]) {
    it(`of ${size} equations is solved, of which the upper half is not read`, () => {
      const random = seeded(size);
      const root = Float64Array.from({ length: size * size }, () => random() - 0.5);
      const matrix = new Float64Array(size * size);
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          for (let k = 0; k < size; k++) {
            matrix[i * size + j]! += root[i * size + k]! * root[j * size + k]!;
          }
        }
        matrix[i * size + i]! += 0.1;
      }
      const wanted = Float64Array.from({ length: size }, () => random());
      const solved = wanted.map((_, i) =>
        wanted.reduce((sum, value, j) => sum + matrix[i * size + j]! * value, 0)
      );
      const factor = matrix.map((value, at) => at % size > Math.floor(at / size) ? NaN : value);
      expect(factorize(factor, size)).toBe(true);
      solveFactored(factor, solved);
      solved.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 10));
    });
  }

  it("that has no single solution is told", () => {
    expect(factorize(Float64Array.of(1, 2, 2, 4), 2)).toBe(false);
    expect(factorize(Float64Array.of(-1), 1)).toBe(false);
    expect(factorize(Float64Array.of(NaN), 1)).toBe(false);
  });
});
