/**
 * The directions in which standardised rows deviate most: what a descent takes for the shape of its valley.
 *
 * @module
 */

import { orthonormalize, symmetricEigen } from "../math/eigen.ts";
import { Random } from "../math/random.ts";

/** Up to so many features all directions are found, exactly. */
const WHOLE_FEATURES = 512;
/** Directions that are found of more features. */
const SOME = 160;
/** Sweeps that turn directions into the main ones, the last of which measures them, too. */
const TURNS = 3;

/** Directions that are sought. */
export function componentCount(rows: number, features: number): number {
  return isWhole(features) ? features : Math.min(SOME, rows, features);
}

/** Whether all directions are found, of the moments of rows. */
export function isWhole(features: number): boolean {
  return features <= WHOLE_FEATURES;
}

/** Sweeps that it takes otherwise: each gives the products X^T X v of all directions. */
export function componentSweeps(features: number): number {
  return isWhole(features) ? 1 : TURNS;
}

export function componentHeld(rows: number, features: number) {
  const count = componentCount(rows, features);
  return {
    /** `[count, features]`. */
    directions: { dtype: "float64", length: count * features },
    /** `[count + 1]`: variance along each, and mean variance across all of them. */
    spectrum: { dtype: "float64", length: count + 1 },
    /** `[count, features]`: X^T X v, or X^T X. */
    products: { dtype: "float64", length: count * features, role: "scratch" },
  } as const;
}

export interface ComponentHeld {
  directions: Float64Array;
  spectrum: Float64Array;
  products: Float64Array;
}

/** Directions and what they tell, in held arrays. */
export class Components {
  readonly #held: ComponentHeld;
  readonly #rows: number;
  readonly #features: number;
  readonly #count: number;

  constructor(held: ComponentHeld, rows: number, features: number) {
    this.#held = held;
    this.#rows = rows;
    this.#features = features;
    this.#count = componentCount(rows, features);
  }

  /** Begins with any directions, where not all are found. */
  start(): void {
    if (isWhole(this.#features)) return;
    const { directions } = this.#held;
    const random = new Random(0);
    directions.forEach((_, i) => directions[i] = random.normal());
    orthonormalize(directions, this.#features, 0, this.#count, random);
  }

  /** Takes the moments of rows, of which what is below the diagonal is not read. */
  find(): void {
    const { directions, products, spectrum } = this.#held;
    const features = this.#features;
    const matrix = products.map((sum) => sum / this.#rows);
    for (let i = 0; i < features; i++) {
      for (let j = 0; j < i; j++) matrix[i * features + j] = matrix[j * features + i]!;
    }
    const { values, vectors } = symmetricEigen(matrix, features);
    directions.set(vectors);
    values.forEach((value, i) => spectrum[i] = Math.max(0, value));
  }

  /** Takes the products of a sweep. */
  turn(sweep: number): void {
    const { directions, products, spectrum } = this.#held;
    const [features, count] = [this.#features, this.#count];
    if (sweep + 1 < componentSweeps(features)) {
      directions.set(products);
      orthonormalize(directions, features, 0, count, new Random(1, sweep));
      return;
    }
    // of X^T X in these directions
    const small = new Float64Array(count * count);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let d = 0; d < features; d++) {
          sum += directions[i * features + d]! * products[j * features + d]!;
        }
        small[i * count + j] = small[j * count + i] = sum / this.#rows;
      }
    }
    const { values, vectors } = symmetricEigen(small, count);
    const turned = new Float64Array(count * features);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        const weight = vectors[i * count + j]!;
        for (let d = 0; d < features; d++) {
          turned[i * features + d]! += weight * directions[j * features + d]!;
        }
      }
    }
    directions.set(turned);
    let left = features;
    values.forEach((value, i) => left -= spectrum[i] = Math.max(0, value));
    spectrum[count] = count < features ? Math.max(0, left) / (features - count) : 0;
  }

  /** Largest variance along a direction. */
  get most(): number {
    return this.#held.spectrum[0]!;
  }

  /**
   * Of a gradient, what (`curvature` x covariance + `penalty`)^-1 makes of it: where a bowl of that shape
   * has its bottom.
   */
  solve(gradient: Float64Array, curvature: number, penalty: number): Float64Array {
    const { directions, spectrum } = this.#held;
    const [features, count] = [this.#features, this.#count];
    const across = 1 / (curvature * spectrum[count]! + penalty);
    const solved = new Float64Array(features);
    for (let d = 0; d < features; d++) solved[d] = across * gradient[d]!;
    for (let i = 0; i < count; i++) {
      const from = i * features;
      let along = 0;
      for (let d = 0; d < features; d++) along += directions[from + d]! * gradient[d]!;
      const weight = (1 / (curvature * spectrum[i]! + penalty) - across) * along;
      for (let d = 0; d < features; d++) solved[d]! += weight * directions[from + d]!;
    }
    return solved;
  }
}
