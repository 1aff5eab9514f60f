/**
 * Python's random numbers, so that what was shuffled there is the same here: `random.Random(seed)` of a whole
 * number, its words and its `shuffle`.
 *
 * Source: Matsumoto and Nishimura 1998, "Mersenne Twister" (MT19937, seeded by an array); the shuffle draws
 * below n by words of as many bits as n has until one fits. Compared with Python 3.11.
 *
 * @module
 */

const WORDS = 624;
const AHEAD = 397;

/** A stream of random numbers, word for word Python's. */
export class PythonRandom {
  readonly #state = new Uint32Array(WORDS);
  #next = WORDS;

  /** @throws {RangeError} If the seed is no whole number from 0 that f64 holds exactly. */
  constructor(seed: number) {
    if (!(Number.isSafeInteger(seed) && seed >= 0)) {
      throw new RangeError(`Cannot draw numbers: seed is ${seed}, wanted a whole number from 0`);
    }
    const high = Math.floor(seed / 2 ** 32);
    const key = high === 0 ? [seed] : [seed % 2 ** 32, high];
    const state = this.#state;
    state[0] = 19650218;
    const mixed = (i: number) => state[i - 1]! ^ state[i - 1]! >>> 30;
    for (let i = 1; i < WORDS; i++) state[i] = Math.imul(mixed(i), 1812433253) + i;
    let i = 1;
    const step = () => {
      if (++i < WORDS) return;
      state[0] = state[WORDS - 1]!;
      i = 1;
    };
    for (let k = 0; k < WORDS; k++, step()) {
      const j = k % key.length;
      state[i] = (state[i]! ^ Math.imul(mixed(i), 1664525)) + key[j]! + j;
    }
    for (let k = 1; k < WORDS; k++, step()) {
      state[i] = (state[i]! ^ Math.imul(mixed(i), 1566083941)) - i;
    }
    state[0] = 2 ** 31;
  }

  /** 32 random bits. */
  word(): number {
    if (this.#next === WORDS) this.#twist();
    let word = this.#state[this.#next++]!;
    word ^= word >>> 11;
    word ^= word << 7 & 0x9d2c5680;
    word ^= word << 15 & 0xefc60000;
    word ^= word >>> 18;
    return word >>> 0;
  }

  /** Whole number from 0 up to `end`, below 2^32, without it. */
  integer(end: number): number {
    const spare = Math.clz32(end);
    for (;;) {
      const value = this.word() >>> spare;
      if (value < end) return value;
    }
  }

  /** Shuffles in place. */
  shuffle<Values extends { length: number; [index: number]: unknown }>(values: Values): Values {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [values[i], values[j]] = [values[j], values[i]];
    }
    return values;
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < WORDS; i++) {
      const mixed = state[i]! & 0x80000000 | state[(i + 1) % WORDS]! & 0x7fffffff;
      state[i] = state[(i + AHEAD) % WORDS]! ^ mixed >>> 1 ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}
