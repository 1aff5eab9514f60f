/**
 * Probabilities from 1 down to 2^-8191 in 32 bits, each with an exponent of its own. The format and why
 * it is there: `shaders/shared/wide.wgsl`, which the kernels use.
 *
 * @module
 */

const DEEP = 0x80000000;
/** Depths that the deep form has: p = mantissa / 2^depth. */
const LEAST_DEPTH = 128;
const MOST_DEPTH = 8191;

/** Nearest wide number to `value` * 2^`exponent`; 0 below 2^-8191. */
export function toWide(value: number, exponent = 0): number {
  if (value === 0) return 0;
  // f64's subnormal numbers have too few digits to be brought to [1, 2) at once
  if (value < 2 ** -1022) return toWide(value * 2 ** 52, exponent - 52);
  let power = Math.floor(Math.log2(value));
  let mantissa = value * 2 ** -power;
  // log2 may err where a power of two is near
  if (mantissa < 1) {
    mantissa *= 2;
    power--;
  } else if (mantissa >= 2) {
    mantissa /= 2;
    power++;
  }
  const depth = -(power + exponent);
  if (depth <= LEAST_DEPTH) {
    const near = Math.fround(mantissa);
    return bitsOf(near * 2 ** (100 - depth));
  }
  if (depth > MOST_DEPTH) return 0;
  const digits = Math.min(2 ** 18 - 1, Math.round((mantissa - 1) * 2 ** 18));
  return (DEEP | (MOST_DEPTH - depth) << 18 | digits) >>> 0;
}

/** Logarithm of a wide number to base 2; -Infinity for 0. */
export function wideLog2(wide: number): number {
  if (wide === 0) return -Infinity;
  if (wide < DEEP) return Math.log2(floatOf(wide)) - 100;
  return Math.log2(1 + (wide & 0x3ffff) / 2 ** 18) - (MOST_DEPTH - (wide >>> 18 & 0x1fff));
}

/** A wide number in f64, which ends at 2^-1074. */
export function fromWide(wide: number): number {
  if (wide < DEEP) return floatOf(wide) * 2 ** -100;
  return (1 + (wide & 0x3ffff) / 2 ** 18) * 2 ** -(MOST_DEPTH - (wide >>> 18 & 0x1fff));
}

/** Wide numbers of probabilities, element by element. */
export function toWideRow(values: ArrayLike<number>): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(values, (value) => toWide(value));
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

function bitsOf(value: number): number {
  float[0] = value;
  return bits[0]!;
}

function floatOf(wide: number): number {
  bits[0] = wide;
  return float[0]!;
}
