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
/** Means of Poisson counts that are drawn at once: e^-mean is no number from 746 on. */
const MOST_AT_ONCE = 500;

/** High 32 bits of a product of two 32-bit integers, signed; no sum on the way exceeds 32 bits. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0;
  const cross = (Math.imul(aLow, bHigh) + (middle & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (cross >>> 16)) | 0;
}

/** Philox 4x32-10: four random words for a counter of four words and a key of two. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  // 32-bit integers throughout, and no arrays: some samplers draw millions
  let c0 = counter[0] | 0;
  let c1 = counter[1] | 0;
  let c2 = counter[2] | 0;
  let c3 = counter[3] | 0;
  let k0 = key[0] | 0;
  let k1 = key[1] | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIERS[0], c0);
    const high1 = multiplyHigh(MULTIPLIERS[1], c2);
    const low0 = Math.imul(MULTIPLIERS[0], c0);
    c0 = high1 ^ c1 ^ k0;
    c1 = Math.imul(MULTIPLIERS[1], c2);
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL[0]) | 0;
    k1 = (k1 + WEYL[1]) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
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

  /** Poisson count, by multiplication of uniforms: as many are drawn. */
  poisson(mean: number): number {
    let count = 0;
    for (; mean > MOST_AT_ONCE; mean -= MOST_AT_ONCE) count += this.poisson(MOST_AT_ONCE);
    const limit = Math.exp(-mean);
    for (let product = this.uniform(); product > limit; product *= this.uniform()) count++;
    return count;
  }
}
