/**
 * Half-precision floats as bits, by integers alone: the shaders do the same, and Node 20 has no
 * `Float16Array`.
 *
 * @module
 */

const scratch = new DataView(new ArrayBuffer(4));

/** The value of 16 bits of half precision, exactly. */
export function float16BitsToFloat32(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/**
 * The bits of the half-precision float next to an f32, ties to even; infinity from 65,520 on. Every
 * NaN becomes the one quiet NaN `0x7e00`.
 */
export function float32ToFloat16Bits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  const exponent = magnitude >>> 23;
  // below half of the smallest half, 2^-25 itself being a tie that goes to zero
  if (exponent < 102) return sign;
  // below 2^-14 a half has fewer bits, and no implied one
  const small = exponent < 113;
  const fraction = small ? (magnitude & 0x7fffff) | 0x800000 : magnitude - (112 << 23);
  const shift = small ? 126 - exponent : 13;
  const kept = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  // a carry out of the fraction rightly becomes the next exponent, and infinity at the top
  return sign | (kept + (rest > half || (rest === half && kept & 1) ? 1 : 0));
}

let table: Float32Array | undefined;

/** The values of many halves, put into `values`. */
export function decodeFloat16(
  bits: Uint16Array,
  values: Float32Array = new Float32Array(bits.length),
): Float32Array {
  // looking up is several times faster than working out; 256 KiB, made at first use
  table ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => float16BitsToFloat32(half));
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i]!]!;
  return values;
}

/** The bits of many values, each rounded as {@link float32ToFloat16Bits} does. */
export function encodeFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = float32ToFloat16Bits(values[i]!);
  return bits;
}
