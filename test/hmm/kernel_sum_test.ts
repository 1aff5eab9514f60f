import { describe, expect, it } from "vitest";
import { KernelSum } from "../../src/hmm/kernel_sum.ts";
import { seeded } from "../support/random.ts";

describe("KernelSum", () => {
  for (const dimensions of [1, 2] as const) {
    it(`is the sum of kernels at any place, in ${dimensions} dimensions`, () => {
      const random = seeded(dimensions);
      const std = 3;
      const places = Float64Array.from({ length: 200 * dimensions }, () => 60 * random() - 20);
      const weights = Float64Array.from({ length: 200 }, () => random() + 0.01);
      const sum = new KernelSum(places, weights, dimensions, std);
      for (let i = 0; i < 200; i++) {
        // beyond all points too
        const place = Array.from({ length: dimensions }, () => 90 * random() - 35);
        const wanted = weights.reduce((total, weight, point) => {
          const squared = place.reduce(
            (own, value, d) => own + ((places[dimensions * point + d]! - value) / std) ** 2,
            0,
          );
          return total + weight * Math.exp(-0.5 * squared);
        }, 0);
        expect(Math.abs(sum.of(place) / wanted - 1)).toBeLessThan(1e-12);
        if (wanted > 1e-9) expect(Math.abs(sum.near(place) / wanted - 1)).toBeLessThan(1e-6);
        if (wanted > 1e-3) expect(Math.abs(sum.near(place) / wanted - 1)).toBeLessThan(1e-9);
      }
    });
  }
});
