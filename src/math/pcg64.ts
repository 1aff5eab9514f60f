/**
 * numpy's default random numbers, so that what was split or permuted there is the same here:
 * `numpy.random.default_rng(seed)` and its `permutation`.
 *
 * Source: O'Neill 2014, "PCG: a family of simple fast space-efficient statistically good algorithms
 * for random number generation" (PCG XSL RR 128/64); seeds by numpy's `SeedSequence`,
 * compared with numpy 1.24.
 *
 * @module
 */

const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const POOL_WORDS = 4;

/** Words that numpy's `SeedSequence` makes of a seed below 2^53. */
function seedWords(seed: number, count: number): number[] {
  let hash = 0x43b0d7e5;
  const mixIn = (word: number) => {
    const value = word ^ hash;
    hash = Math.imul(hash, 0x931e8875);
    const product = Math.imul(value, hash);
    return product ^ product >>> 16;
  };
  const entropy = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
  const pool = Array.from({ length: POOL_WORDS }, (_, i) => mixIn(entropy[i] ?? 0));
  for (let from = 0; from < POOL_WORDS; from++) {
    for (let to = 0; to < POOL_WORDS; to++) {
      if (from === to) continue;
      const mixed = Math.imul(0xca01f9dd, pool[to]!) - Math.imul(0x4973f715, mixIn(pool[from]!)) |
        0;
      pool[to] = mixed ^ mixed >>> 16;
    }
  }
  hash = 0x8b51f9dd;
  return Array.from({ length: count }, (_, i) => {
    const value = pool[i % POOL_WORDS]! ^ hash;
    hash = Math.imul(hash, 0x58f38ded);
    const product = Math.imul(value, hash);
    return (product ^ product >>> 16) >>> 0;
  });
}

/** A stream of random numbers, word for word numpy's. */
export class Pcg64 {
  #state: bigint;
  readonly #increment: bigint;
  /** The high half of a 64-bit number whose low half was handed out. */
  #spare: number | undefined;

  /** @throws {RangeError} If the seed is no whole number from 0 that f64 holds exactly. */
  constructor(seed: number) {
    if (!(Number.isSafeInteger(seed) && seed >= 0)) {
      throw new RangeError(`Cannot draw numbers: seed is ${seed}, wanted a whole number from 0`);
    }
    const words = seedWords(seed, 8).map(BigInt);
    const wide = (i: number) =>
      words[i + 1]! << 96n | words[i]! << 64n | words[i + 3]! << 32n | words[i + 2]!;
    this.#increment = BigInt.asUintN(128, wide(4) << 1n | 1n);
    this.#state = BigInt.asUintN(128, this.#increment + wide(0));
    this.#step();
  }

  /** 32 random bits. */
  word(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    this.#step();
    const state = this.#state;
    const folded = BigInt.asUintN(64, state >> 64n ^ state);
    const turn = state >> 122n;
    const bits = BigInt.asUintN(64, folded >> turn | folded << (64n - turn));
    this.#spare = Number(bits >> 32n);
    return Number(bits & 0xffffffffn);
  }

  /** Whole number from 0 to `last`, below 2^32: masked words until one fits. */
  integer(last: number): number {
    const mask = 2 ** (32 - Math.clz32(last)) - 1;
    for (;;) {
      const value = (this.word() & mask) >>> 0;
      if (value <= last) return value;
    }
  }

  /** Shuffles in place, as `Generator.permutation` shuffles its copy. */
  shuffle<Values extends { length: number; [index: number]: unknown }>(values: Values): Values {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.integer(i);
      [values[i], values[j]] = [values[j], values[i]];
    }
    return values;
  }

  #step(): void {
    this.#state = BigInt.asUintN(128, this.#state * MULTIPLIER + this.#increment);
  }
}
