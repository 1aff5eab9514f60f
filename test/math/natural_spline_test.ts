import { describe, expect, it } from "vitest";
import { NaturalSpline } from "../../src/math/natural_spline.ts";
import { cardinalSplines, solve } from "../reference/glm.ts";
import { seeded } from "../support/random.ts";

describe("NaturalSpline", () => {
  it("has the functions of a natural cubic spline, straight beyond the knots", () => {
    const random = seeded(3);
    for (const knots of [[0, 2], [-1, 0.5, 3], [0, 1, 3, 4], [2, 2.5, 4, 7, 7.25, 9, 12]]) {
      const spline = new NaturalSpline(knots);
      const full = (x: number) => {
        const { first, values } = spline.rowAt(x);
        return knots.map((_, column) => values[column - first] ?? 0);
      };
      const wanted = knots.map(() => random());
      // of what goes through these values in the knots
      const found = solve(knots.map(full), wanted);
      const [low, high] = [knots[0]!, knots.at(-1)!];
      const places = Array.from({ length: 41 }, (_, i) => low - 2 + i / 40 * (high - low + 4));
      for (const x of [...places, ...knots]) {
        const row = full(x);
        expect(row.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 12);
        const own = cardinalSplines(knots, x).reduce(
          (sum, value, i) => sum + value * wanted[i]!,
          0,
        );
        expect(row.reduce((sum, value, i) => sum + value * found[i]!, 0)).toBeCloseTo(own, 10);
      }
    }
  });
});
