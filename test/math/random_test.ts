import { describe, expect, it } from "vitest";
import { philox, Random } from "../../src/math/random.ts";

describe("philox()", () => {
  // known answers published with Random123
  it("gives the published words", () => {
    expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    const ones = 0xffffffff;
    expect(philox([ones, ones, ones, ones], [ones, ones]))
      .toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    expect(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))
      .toEqual([0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
  });
});

describe("Random", () => {
  const moments = (draw: () => number, count = 20_000) => {
    const values = Float64Array.from({ length: count }, draw);
    const mean = values.reduce((sum, value) => sum + value, 0) / count;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
    return { mean, variance };
  };

  it("repeats itself for a seed, and differs between seeds and streams", () => {
    const words = (seed: number, stream: number) => {
      const random = new Random(seed, stream);
      return Array.from({ length: 10 }, () => random.word());
    };
    expect(words(1, 0)).toEqual(words(1, 0));
    expect(words(1, 0)).not.toEqual(words(2, 0));
    expect(words(1, 0)).not.toEqual(words(1, 1));
  });

  it("draws Philox's words in their order, block by block, with its stream in the key", () => {
    const random = new Random(5, 9);
    const words = Array.from({ length: 12 }, () => random.word());
    expect(words).toEqual([0, 1, 2].flatMap((block) => philox([block, 0, 0, 0], [5, 9])));
  });

  it("draws two normal numbers from each pair of uniform ones that lies in the circle", () => {
    const [random, pairs] = [new Random(6), new Random(6)];
    for (let i = 0; i < 50; i++) {
      let [x, y, squared] = [0, 0, 1];
      while (squared >= 1) {
        [x, y] = [2 * pairs.uniform() - 1, 2 * pairs.uniform() - 1];
        squared = x * x + y * y;
      }
      const scale = Math.sqrt(-2 * Math.log(squared) / squared);
      expect([random.normal(), random.normal()]).toEqual([x * scale, y * scale]);
    }
  });

  it("draws uniform, normal and Poisson numbers with the right mean and variance", () => {
    const random = new Random(3);
    // 20,000 draws: means lie within 5 standard errors, variances within a few per cent
    const uniform = moments(() => random.uniform());
    expect(Math.abs(uniform.mean - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / 20_000));
    expect(Math.abs(uniform.variance * 12 - 1)).toBeLessThan(0.05);
    const normal = moments(() => random.normal());
    expect(Math.abs(normal.mean)).toBeLessThan(5 * Math.sqrt(1 / 20_000));
    expect(Math.abs(normal.variance - 1)).toBeLessThan(0.05);
    const poisson = moments(() => random.poisson(0.7));
    expect(Math.abs(poisson.mean - 0.7)).toBeLessThan(5 * Math.sqrt(0.7 / 20_000));
    expect(Math.abs(poisson.variance / 0.7 - 1)).toBeLessThan(0.05);
    // of large means e^-mean underflows
    const counts = Array.from({ length: 20 }, () => random.poisson(1600));
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    expect(Math.abs(mean - 1600)).toBeLessThan(5 * Math.sqrt(1600 / counts.length));
  });

  it("draws every whole number below the end, and no other", () => {
    const random = new Random(4);
    const seen = new Set(Array.from({ length: 1000 }, () => random.integer(7)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
});
