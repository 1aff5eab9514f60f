import { describe, expect, it } from "vitest";
import {
  drawableRange,
  extent,
  formatNumber,
  labelTicks,
  roundRange,
  ticksOf,
} from "../../src/view/ticks.ts";

const ticks = (low: number, high: number, count: number) => ticksOf({ low, high }, count);
const labels = (low: number, high: number, count: number) => labelTicks(ticks(low, high, count));

describe("ticksOf()", () => {
  it("are whole where numbers are", () => {
    expect(ticksOf({ low: 1, high: 2 }, 10, true).values).toEqual([1, 2]);
    expect(ticksOf({ low: 0, high: 7 }, 3, true).values).toEqual([0, 5]);
    expect(ticksOf({ low: 1, high: 2 }, 10).values.length).toBeGreaterThan(5);
  });

  it("takes multiples of 1, 2 or 5 within the range", () => {
    expect(ticks(0, 100, 5).values).toEqual([0, 20, 40, 60, 80, 100]);
    expect(ticks(0, 100, 4).values).toEqual([0, 50, 100]);
    expect(ticks(3, 97, 10).values).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90]);
    expect(ticks(-1.2, 1.2, 5).values).toEqual([-1, -0.5, 0, 0.5, 1]);
    expect(ticks(29.99, 90.01, 12).values[0]).toBe(30);
  });

  it("takes the decimals that a person would write", () => {
    expect(ticks(0, 0.7, 7).values).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]);
    expect(ticks(0, 7e-12, 7).values).toContain(3e-12);
    expect(ticks(0, 3e200, 3).values).toEqual([0, 1e200, 2e200, 3e200]);
  });

  it("never takes more than one above what is asked for", () => {
    for (let count = 1; count < 30; count++) {
      for (const span of [1, 1.01, 2.5, 3, 7.77, 9.999, 1e-9, 123456]) {
        for (const low of [0, -span / 3, 0.1 * span]) {
          expect(ticks(low, low + span, count).values.length).toBeLessThanOrEqual(count + 1);
        }
      }
    }
  });
});

describe("labelTicks()", () => {
  it("writes as many decimals as the step has, and apart thousands", () => {
    expect(labels(0, 1, 2).labels).toEqual(["0.0", "0.5", "1.0"]);
    expect(labels(-0.02, 0.02, 2).labels).toEqual(["−0.02", "0.00", "0.02"]);
    expect(labels(0, 20_000, 2).labels).toEqual(["0", "10,000", "20,000"]);
    expect(labels(0, 2_000, 2)).toEqual({ labels: ["0", "1000", "2000"], note: "" });
  });

  it("tells huge and tiny numbers by a power of ten in the note", () => {
    expect(labels(0, 3e6, 3)).toEqual({ labels: ["0", "1", "2", "3"], note: "×10⁶" });
    expect(labels(0, 3e-6, 3)).toEqual({ labels: ["0", "1", "2", "3"], note: "×10⁻⁶" });
    expect(labels(-2e-9, 2e-9, 4).labels).toEqual(["−2", "−1", "0", "1", "2"]);
  });

  it("tells numbers that share their digits by how far they are from the first", () => {
    expect(labels(1.7e9, 1.7e9 + 3, 3)).toEqual({
      labels: ["0", "1", "2", "3"],
      note: "from 1,700,000,000",
    });
  });

  it("never writes two alike, whatever the range", () => {
    for (const low of [0, 1, -1, 1e-300, 5e-324, 1e15, -1e15, 1e300, 123.456, 2 ** 53]) {
      for (const span of [0, 5e-324, 1e-12, 1, 1e3, 1e9, 1e300]) {
        const range = drawableRange({ low, high: low + span });
        for (const count of [2, 5, 9]) {
          const { labels } = labelTicks(ticksOf(range, count));
          expect(labels.length).toBeGreaterThan(0);
          expect(new Set(labels).size).toBe(labels.length);
          expect(labels.filter((label) => label.length > 14)).toEqual([]);
        }
      }
    }
  });
});

describe("ranges", () => {
  it("are those of the finite values", () => {
    expect(extent([NaN, 3, -Infinity, 1, 2])).toEqual({ low: 1, high: 3 });
    expect(extent([NaN])).toBeUndefined();
    expect(extent([])).toBeUndefined();
  });

  it("are from 0 to 1 of nothing, and hold one number in their middle", () => {
    expect(drawableRange()).toEqual({ low: 0, high: 1 });
    expect(drawableRange({ low: 0, high: 0 })).toEqual({ low: -0.5, high: 0.5 });
    expect(drawableRange({ low: 8, high: 8 })).toEqual({ low: 4, high: 12 });
    expect(drawableRange({ low: -8, high: -8 })).toEqual({ low: -12, high: -4 });
  });

  it("that do not fit a double are cut", () => {
    const { low, high } = drawableRange({ low: -Number.MAX_VALUE, high: Number.MAX_VALUE });
    expect(Number.isFinite(high - low)).toBe(true);
  });

  it("are widened to ticks", () => {
    expect(roundRange({ low: 0.3, high: 9.2 }, 5)).toEqual({ low: 0, high: 10 });
    expect(roundRange({ low: 0, high: 10 }, 5)).toEqual({ low: 0, high: 10 });
  });
});

describe("formatNumber()", () => {
  it("writes what a person reads", () => {
    expect(
      [0, 1.5, -1234567.25, 0.00025, 1e-9, 6.02e23, NaN, Infinity, -Infinity].map((value) =>
        formatNumber(value)
      ),
    ).toEqual([
      "0",
      "1.5",
      "−1,234,567.25",
      "0.00025",
      "1×10⁻⁹",
      "6.02×10²³",
      "none",
      "∞",
      "−∞",
    ]);
  });
});
