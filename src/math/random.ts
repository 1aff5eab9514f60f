/**
 * Seeded random numbers by counter: equal in every runtime, and any draw can be had on its own.
 *
 * Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox 4x32-10).
 *
 * @module
 */

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/** High and low 32 bits of a product of two 32-bit integers. */
function multiplyWide(a: number, b: number): [number, number] {
  const [aHigh, aLow] = [a >>> 16, a & 0xffff];
  const [bHigh, bLow] = [b >>> 16, b & 0xffff];
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  // each sum stays below 2^33, where f64 is exact
  const high = aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(cross / 65536);
  return [high >>> 0, Math.imul(a, b) >>> 0];
}

/** Philox 4x32-10: four random words for a counter of four words and a key of two. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter as [number, number, number, number];
  let [k0, k1] = key as [number, number];
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = multiplyWide(MULTIPLIERS[0], c0);
    const [high1, low1] = multiplyWide(MULTIPLIERS[1], c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL[0]) >>> 0;
    k1 = (k1 + WEYL[1]) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** A stream of random numbers; different streams of one seed are independent. */
export class Random {
  readonly #key: readonly [number, number];
  #block = 0;
  #words: number[] = [];
  #spare: number | undefined;

  constructor(seed: number, stream = 0) {
    this.#key = [seed >>> 0, stream >>> 0];
  }

  /** 32 random bits. */
  word(): number {
    if (this.#words.length === 0) {
      const block = this.#block++;
      this.#words = philox([block >>> 0, Math.floor(block / 2 ** 32), 0, 0], this.#key).reverse();
    }
    return this.#words.pop()!;
  }

  /** Uniform in [0, 1), 32 bits fine. */
  uniform(): number {
    return this.word() / 2 ** 32;
  }

  /** Whole number in [0, end). */
  integer(end: number): number {
    return Math.floor(this.uniform() * end);
  }

  /** Standard normal, by the polar method. */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      const squared = x * x + y * y;
      if (squared >= 1 || squared === 0) continue;
      const scale = Math.sqrt(-2 * Math.log(squared) / squared);
      this.#spare = y * scale;
      return x * scale;
    }
  }

  /** Poisson count of a small mean, by multiplication of uniforms. */
  poisson(mean: number): number {
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = this.uniform(); product > limit; product *= this.uniform()) count++;
    return count;
  }
}
