/**
 * Floats of the brain kind, the upper halves of f32, as bits.
 *
 * @module
 */

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The value of one, exactly. */
export function bfloat16BitsToFloat32(bits: number): number {
  word[0] = bits << 16;
  return float[0]!;
}

/** The values of many halves, exactly. */
export function decodeBfloat16(
  bits: Uint16Array,
  values: Float32Array = new Float32Array(bits.length),
): Float32Array {
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i]! << 16;
  return values;
}

/**
 * The bits next to many f32, ties to even; beyond the largest they are infinity. Every NaN becomes the one
 * quiet NaN `0x7fc0`.
 */
export function encodeBfloat16(values: Float32Array): Uint16Array {
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < wide.length; i++) {
    const own = wide[i]!;
    const isNaN = (own & 0x7fffffff) > 0x7f800000;
    // a carry out of the fraction rightly becomes the next exponent, and infinity at the top
    bits[i] = isNaN ? 0x7fc0 : (own + 0x7fff + ((own >>> 16) & 1)) >>> 16;
  }
  return bits;
}
