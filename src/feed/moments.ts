/**
 * Moments of rows, and shifts and scales that suit them.
 *
 * @module
 */

/** Larger values have differences that are not finite. */
export const MOST_VALUE = 2 ** 1000;
const MOST_EXPONENT = 1000;

/** Sums over rows, about references of their own, and merged exactly. */
export class Moments {
  readonly mean: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
  /** Whether every value of a feature is whole. */
  readonly whole: Uint8Array;
  #count = 0;
  /** Squares about the mean, of values that were multiplied by `#unit`. */
  readonly #squares: Float64Array;
  #unit = 1;

  constructor(features: number) {
    this.mean = new Float64Array(features);
    this.min = new Float64Array(features).fill(Infinity);
    this.max = new Float64Array(features).fill(-Infinity);
    this.whole = new Uint8Array(features).fill(1);
    this.#squares = new Float64Array(features);
  }

  /** Adds rows; whether all of their values are sound. */
  add(values: ArrayLike<number>): boolean {
    const features = this.mean.length;
    const count = values.length / features;
    const least = new Float64Array(features).fill(Infinity);
    const most = new Float64Array(features).fill(-Infinity);
    const references = new Float64Array(features);
    for (let at = 0; at < values.length;) {
      for (let d = 0; d < features; d++, at++) {
        const value = values[at]!;
        if (value < least[d]!) least[d] = value;
        if (value > most[d]!) most[d] = value;
        references[d]! += value;
      }
    }
    // NaN is neither less nor more, and spoils the sum
    const sound = (sum: number, d: number) =>
      Number.isFinite(sum) && isSound(least[d]!) && isSound(most[d]!);
    if (!references.every(sound)) return false;
    // near the means: what is summed about them loses nothing to an offset, or to one row far out
    references.forEach((sum, d) => references[d] = sum / count);
    this.#checkWhole(values);
    let range = 0;
    for (let d = 0; d < features; d++) {
      this.min[d] = Math.min(this.min[d]!, least[d]!);
      this.max[d] = Math.max(this.max[d]!, most[d]!);
      range = Math.max(range, this.max[d]! - this.min[d]!);
    }
    // squares of any range are finite
    const unit = powerOfTwo(0, range);
    const grown = unit / this.#unit;
    if (this.#count > 0) this.#squares.forEach((sum, d) => this.#squares[d] = sum * grown * grown);
    this.#unit = unit;
    const sums = new Float64Array(features);
    const squares = new Float64Array(features);
    for (let at = 0; at < values.length;) {
      for (let d = 0; d < features; d++, at++) {
        const off = (values[at]! - references[d]!) * unit;
        sums[d]! += off;
        squares[d]! += off * off;
      }
    }
    const all = this.#count + count;
    for (let d = 0; d < features; d++) {
      const own = references[d]! + sums[d]! / count / unit;
      const apart = this.#count === 0 ? 0 : (own - this.mean[d]!) * unit;
      this.#squares[d]! += squares[d]! - sums[d]! ** 2 / count +
        apart * apart * this.#count * count / all;
      const mean = this.#count === 0 ? own : this.mean[d]! + (own - this.mean[d]!) * count / all;
      // rounding puts the mean of equal values beside them
      this.mean[d] = Math.min(this.max[d]!, Math.max(this.min[d]!, mean));
    }
    this.#count = all;
    return true;
  }

  #checkWhole(values: ArrayLike<number>): void {
    if (!(values instanceof Float32Array || values instanceof Float64Array)) return;
    const features = this.whole.length;
    for (let d = 0; d < features; d++) {
      for (let at = d; this.whole[d] && at < values.length; at += features) {
        if (Math.floor(values[at]!) !== values[at]) this.whole[d] = 0;
      }
    }
  }

  /** Of values that are multiplied by `scale`. */
  variance(scale: number): Float64Array {
    const ratio = scale / this.#unit;
    return this.#squares.map((sum, d) =>
      // what is left of equal values is rounding
      this.min[d] === this.max[d] ? 0 : Math.max(0, sum) / this.#count * ratio * ratio
    );
  }

  /** Largest standard deviation of a feature, as values are. */
  deviation(): number {
    const most = this.variance(this.#unit).reduce((most, value) => Math.max(most, value), 0);
    return Math.sqrt(most) / this.#unit;
  }

  /** Means; those of whole numbers are whole, lest f32 rounds them. */
  roundedMean(): Float64Array {
    return this.mean.map((center, d) => this.whole[d] ? Math.round(center) : center);
  }

  /**
   * Shifts whose difference from every value is one of the type's numbers, so that nothing is rounded: a
   * multiple of the least digit of any value near the mean, or 0 where values are not far from 0 for
   * how far they are apart.
   */
  exactShift(digits: 24 | 53): Float64Array {
    const { mean, min, max, whole } = this;
    return mean.map((center, d) => {
      const reach = (shift: number) => Math.max(max[d]! - shift, shift - min[d]!);
      if (whole[d] && Math.max(-min[d]!, max[d]!) <= 2 ** 53) {
        const rounded = Math.round(center);
        if (reach(rounded) <= 2 ** digits) return rounded;
      }
      const least = Math.max(min[d]!, -max[d]!);
      if (least <= 0) return 0;
      const digit = 2 ** Math.max(-MOST_EXPONENT, exponentOf(least) - digits + 1);
      const shift = Math.round(center / digit) * digit;
      return reach(shift) <= 2 ** digits * digit ? shift : 0;
    });
  }

  /** Largest distance of a value from its shift; `around` are values, too. */
  reach(shift: Float64Array, around: ArrayLike<number> = []): number {
    let reach = 0;
    shift.forEach((at, d) => reach = Math.max(reach, this.max[d]! - at, at - this.min[d]!));
    for (let i = 0; i < around.length; i++) {
      reach = Math.max(reach, Math.abs(around[i]! - shift[i % shift.length]!));
    }
    return reach;
  }
}

/** Whether a value may be a coordinate. */
export function isSound(value: number): boolean {
  // false for NaN too
  return Math.abs(value) < MOST_VALUE;
}

function exponentOf(value: number): number {
  const exponent = Math.floor(Math.log2(value));
  // the logarithm is rounded
  return 2 ** exponent > value ? exponent - 1 : exponent;
}

/** The power of two that makes a value about 2^target; 1 for 0. */
export function powerOfTwo(target: number, value: number): number {
  if (!(value > 0)) return 1;
  const exponent = target - Math.ceil(Math.log2(value));
  return 2 ** Math.min(MOST_EXPONENT, Math.max(-MOST_EXPONENT, exponent));
}
