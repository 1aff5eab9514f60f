import { describe, expect, it } from "vitest";
import { PythonRandom } from "../../src/math/mersenne.ts";
import { Pcg64 } from "../../src/math/pcg64.ts";
import { quantiles } from "../../src/math/quantiles.ts";
import { estimateMean, studentQuantile, studentTails } from "../../src/math/student.ts";
import numpy from "../fixtures/numpy.json" with { type: "json" };

const upTo = (count: number) => Int32Array.from({ length: count }, (_, i) => i);

describe("Pcg64", () => {
  it("draws numpy's words and permutes as numpy does", () => {
    const random = new Pcg64(7);
    // 64-bit draws below 2^32 are 32-bit words
    expect(numpy.words.map(() => random.word())).toEqual(numpy.words);
    for (const { seed, values } of numpy.permutations) {
      expect([...new Pcg64(seed).shuffle(upTo(values.length))]).toEqual(values);
    }
    const { seed, count, last, sum } = numpy.long;
    const long = new Pcg64(seed).shuffle(upTo(count));
    expect([...long.slice(-5)]).toEqual(last);
    expect(long.reduce((total, value, i) => total + value * (i % 1009), 0)).toBe(sum);
  });

  it("shuffles lists, and refuses seeds that are none", () => {
    const names = new Pcg64(42).shuffle(["a", "b", "c", "d", "e"]);
    expect(names).toEqual(numpy.permutations[1]!.values.map((i) => "abcde"[i]));
    expect(() => new Pcg64(-1)).toThrow("seed is -1, wanted a whole number from 0");
    expect(() => new Pcg64(0.5)).toThrow("seed is 0.5");
  });
});

describe("PythonRandom", () => {
  it("draws Python's words and shuffles as Python does", () => {
    const random = new PythonRandom(7);
    expect(numpy.pythonWords.map(() => random.word())).toEqual(numpy.pythonWords);
    const list = (count: number) => Array.from({ length: count }, (_, i) => i);
    expect(new PythonRandom(42).shuffle(list(10))).toEqual([7, 3, 2, 8, 5, 6, 9, 4, 0, 1]);
    for (const { seed, values } of numpy.shuffles) {
      expect([...new PythonRandom(seed).shuffle(upTo(values.length))]).toEqual(values);
    }
    const { seed, count, last, sum } = numpy.longShuffle;
    const long = new PythonRandom(seed).shuffle(upTo(count));
    expect([...long.slice(-5)]).toEqual(last);
    expect(long.reduce((total, value, i) => total + value * (i % 1009), 0)).toBe(sum);
  });

  it("refuses seeds that are none", () => {
    expect(() => new PythonRandom(-1)).toThrow("seed is -1, wanted a whole number from 0");
    expect(() => new PythonRandom(2 ** 53)).toThrow("wanted a whole number from 0");
  });
});

describe("quantiles()", () => {
  it("agrees with numpy.percentile", () => {
    for (const { values, quartiles } of numpy.percentiles) {
      const sorted = Float64Array.from(values).sort();
      expect([...quantiles(sorted, [0.25, 0.5, 0.75])]).toEqual(quartiles);
    }
  });
});

describe("Student's t", () => {
  it("agrees with scipy", () => {
    // logarithms of gamma functions grow as degrees do, and their difference is taken
    const rounding = (degrees: number) => 1e-12 + 1e-14 * degrees;
    for (const { degrees, half } of numpy.t) {
      expect(Math.abs(studentQuantile(0.95, degrees) / half - 1)).toBeLessThan(rounding(degrees));
    }
    for (const { t, degrees, p } of numpy.tails) {
      expect(Math.abs(studentTails(t, degrees) / p - 1)).toBeLessThan(rounding(degrees));
    }
  });

  it("gives the interval of a mean, and none of fewer than two values", () => {
    // Student 1908, the differences of two soporifics
    const extra = [1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4];
    const { mean, std, low, high } = estimateMean(extra);
    expect(mean).toBeCloseTo(1.58, 12);
    expect(std).toBeCloseTo(1.2299955, 6);
    expect(low).toBeCloseTo(0.7001142, 6);
    expect(high).toBeCloseTo(2.4598858, 6);
    expect(estimateMean([3])).toEqual({ count: 1, mean: 3, std: NaN, low: NaN, high: NaN });
    expect(estimateMean([]).mean).toBeNaN();
  });
});
