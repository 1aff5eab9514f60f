import { describe, expect, it } from "vitest";
import { fromRootScaled, fromUint16, toRootScaled, toUint16 } from "../../src/math/quantize.ts";
import { seeded } from "../support/random.ts";

/** [rows, width] f32, rows sum to 1: sharp, broad and flat ones. */
function posterior(rows: number, width: number): Float32Array {
  const random = seeded(9);
  const values = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const center = random() * width;
    const spread = [0.5, 5, 100, 1e9][row % 4]!;
    const own = Array.from(
      { length: width },
      (_, i) => Math.exp(-0.5 * ((i - center) / spread) ** 2) * (1 + 0.01 * random()),
    );
    const sum = own.reduce((total, value) => total + value, 0);
    values.set(own.map((value) => value / sum), row * width);
  }
  return values;
}

const WIDTH = 1000;
const values = posterior(40, WIDTH);
const rowsOf = (all: Float32Array) =>
  Array.from(
    { length: all.length / WIDTH },
    (_, row) => all.subarray(row * WIDTH, (row + 1) * WIDTH),
  );
const sum = (row: Float32Array) => row.reduce((total, value) => total + value, 0);
const argmax = (row: Float32Array) => row.indexOf(Math.max(...row));
const entropy = (row: Float32Array) =>
  -row.reduce((total, p) => total + (p > 0 ? p * Math.log(p) : 0), 0);

describe("root-scaled u16", () => {
  const back = rowsOf(fromRootScaled(toRootScaled(values, WIDTH)));

  it("keeps row sums, entropy, the largest element, and nearly every probability", () => {
    rowsOf(values).forEach((row, i) => {
      expect(Math.abs(sum(back[i]!) - 1)).toBeLessThan(1e-6);
      expect(argmax(back[i]!)).toBe(argmax(row));
      expect(Math.abs(entropy(back[i]!) - entropy(row))).toBeLessThan(1e-3);
      const off = row.reduce((total, p, bin) => total + Math.abs(p - back[i]![bin]!), 0);
      expect(off).toBeLessThan(1e-4);
    });
  });

  it("keeps a row of zeros, and a row of one", () => {
    expect(fromRootScaled(toRootScaled(new Float32Array(3), 3))).toEqual(new Float32Array(3));
    expect(fromRootScaled(toRootScaled(Float32Array.of(1), 1))).toEqual(Float32Array.of(1));
  });
});

describe("linear u16", () => {
  it("rounds to the nearest, cuts outside [0, 1], and is undone to half a step", () => {
    expect(toUint16([0, 1, 0.5, -1, 2, 1 / 65535])).toEqual(
      Uint16Array.of(0, 65535, 32768, 0, 65535, 1),
    );
    fromUint16(toUint16(values)).forEach((value, i) => {
      expect(Math.abs(value - values[i]!)).toBeLessThanOrEqual(0.5 / 65535 + 1e-9);
    });
  });

  it("loses mass of broad rows, which the root-scaled form does not", () => {
    const flat = new Float32Array(10_650).fill(1 / 10_650);
    expect(Math.abs(sum(fromUint16(toUint16(flat))) - 1)).toBeGreaterThan(0.02);
    expect(Math.abs(sum(fromRootScaled(toRootScaled(flat, flat.length))) - 1)).toBeLessThan(1e-6);
  });
});
