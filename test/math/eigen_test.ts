import { describe, expect, it } from "vitest";
import type { SymmetricProduct } from "../../src/math/eigen.ts";
import { largestEigen, symmetricEigen } from "../../src/math/eigen.ts";
import { seeded } from "../support/random.ts";

/** A symmetric matrix with these eigenvalues and seeded eigenvectors, built by reflections. */
function matrixOf(values: readonly number[], seed = 1): Float64Array {
  const size = values.length;
  const random = seeded(seed);
  let matrix = new Float64Array(size * size);
  values.forEach((value, i) => matrix[i * size + i] = value);
  for (let turn = 0; turn < 3; turn++) {
    const v = Array.from({ length: size }, () => random() - 0.5);
    const squares = v.reduce((sum, x) => sum + x * x, 0);
    const reflect = (i: number, j: number) => (i === j ? 1 : 0) - 2 * v[i]! * v[j]! / squares;
    const half = product(size, reflect, (i, j) => matrix[i * size + j]!);
    matrix = product(size, (i, j) => half[i * size + j]!, reflect);
  }
  return matrix;
}

function product(
  size: number,
  a: (i: number, k: number) => number,
  b: (k: number, j: number) => number,
): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: size * size }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < size; k++) sum += a(Math.floor(at / size), k) * b(k, at % size);
    return sum;
  });
}

/** Largest entry of A v - value v, and of the vectors' products less the identity. */
function defects(matrix: Float64Array, size: number, values: Float64Array, vectors: Float64Array) {
  let [residual, skew] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const v = vectors.subarray(i * size, (i + 1) * size);
    for (let row = 0; row < size; row++) {
      const sum = v.reduce((total, x, d) => total + matrix[row * size + d]! * x, 0);
      residual = Math.max(residual, Math.abs(sum - values[i]! * v[row]!));
    }
    for (let j = 0; j < values.length; j++) {
      const dot = v.reduce((total, x, d) => total + x * vectors[j * size + d]!, 0);
      skew = Math.max(skew, Math.abs(dot - (i === j ? 1 : 0)));
    }
  }
  return { residual, skew };
}

describe("symmetricEigen()", () => {
  for (
    const values of [
      [3],
      [5, 2],
      [2, 2, 2],
      [9, 4, 4, 1e-9, 0, -3],
      Array.from({ length: 40 }, (_, i) => 100 / (i + 1)),
      Array.from({ length: 33 }, (_, i) => i < 3 ? 1 : 0),
    ]
  ) {
    it(`finds ${values.length} eigenvalues from ${values[0]} on`, () => {
      const size = values.length;
      const matrix = matrixOf(values);
      const found = symmetricEigen(matrix, size);
      values.forEach((value, i) => expect(Math.abs(found.values[i]! - value)).toBeLessThan(1e-12));
      const { residual, skew } = defects(matrix, size, found.values, found.vectors);
      expect(residual).toBeLessThan(1e-12 * Math.max(1, values[0]!));
      expect(skew).toBeLessThan(1e-13);
    });
  }

  it("ends for products of more points than dimensions, most of whose eigenvalues are rounding", () => {
    const [points, dim] = [100, 30];
    const random = seeded(1);
    const rows = Array.from(
      { length: points },
      () => Float64Array.from({ length: dim }, () => 6 * random() - 3),
    );
    const matrix = Float64Array.from({ length: points * points }, (_, at) => {
      const [one, other] = [rows[Math.floor(at / points)]!, rows[at % points]!];
      let sum = 0;
      for (let k = 0; k < dim; k++) sum += one[k]! * other[k]!;
      return sum;
    });
    const { values, vectors } = symmetricEigen(matrix, points);
    const { residual, skew } = defects(matrix, points, values, vectors);
    expect(residual / values[0]!).toBeLessThan(1e-13);
    expect(skew).toBeLessThan(1e-12);
    expect(values[dim - 1]! / values[0]!).toBeGreaterThan(1e-3);
    expect(Math.abs(values[dim]! / values[0]!)).toBeLessThan(1e-14);
  });

  it("solves matrices that are diagonal already, and zero", () => {
    const diagonal = Float64Array.of(1, 0, 0, 0, 7, 0, 0, 0, 3);
    expect([...symmetricEigen(diagonal, 3).values]).toEqual([7, 3, 1]);
    expect([...symmetricEigen(new Float64Array(16), 4).values]).toEqual([0, 0, 0, 0]);
  });
});

function productWith(matrix: Float64Array, size: number): SymmetricProduct {
  return (vectors, count, products) => {
    for (let i = 0; i < count; i++) {
      for (let row = 0; row < size; row++) {
        let sum = 0;
        for (let d = 0; d < size; d++) sum += matrix[row * size + d]! * vectors[i * size + d]!;
        products[i * size + row]! += sum;
      }
    }
  };
}

describe("largestEigen()", () => {
  it("turns no faint vector by more than its eigenvalue allows, of those that are wanted", () => {
    const tail = Array.from({ length: 155 }, (_, i) => 8e-9 * (1 - i / 160));
    const values = [1, 1e-2, 1e-4, 1e-6, 1e-8, ...tail];
    const size = values.length;
    const matrix = matrixOf(values, 5);
    const found = largestEigen(productWith(matrix, size), size, 7, 5);
    expect(found.values.length).toBe(7);
    for (let i = 0; i < 5; i++) {
      const own = found.vectors.subarray(i * size, (i + 1) * size);
      const { residual } = defects(matrix, size, found.values.subarray(i, i + 1), own);
      expect(residual).toBeLessThan(1e-4 * values[i]!);
    }
  });

  for (
    const [name, values] of [
      ["a slow decay", Array.from({ length: 120 }, (_, i) => 1 / (i + 1))],
      ["six decades", Array.from({ length: 60 }, (_, i) => 10 ** (-i / 5))],
      ["equal eigenvalues", [4, 4, 4, 4, 1, ...Array(60).fill(0.5)]],
      ["a low rank", [3, 2, ...Array(50).fill(0)]],
      ["few dimensions", [2, 1, 0.5, 0.1]],
    ] as const
  ) {
    it(`finds the first four of ${name}`, () => {
      const size = values.length;
      const matrix = matrixOf(values, 5);
      const found = largestEigen(productWith(matrix, size), size, 4);
      expect(found.residual).toBeLessThan(1e-10);
      found.values.forEach((value, i) => expect(Math.abs(value - values[i]!)).toBeLessThan(1e-9));
      const { residual, skew } = defects(matrix, size, found.values, found.vectors);
      expect(residual).toBeLessThan(1e-9);
      expect(skew).toBeLessThan(1e-12);
    });
  }
});
