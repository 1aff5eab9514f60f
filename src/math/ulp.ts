/**
 * Distances between neighbouring floating-point numbers.
 *
 * @module
 */

/** Bits of a fraction: of numbers in 64 bits, in 32 and in 16. */
export const FRACTION_BITS = { float64: 52, float32: 23, float16: 10 } as const;

/** The unit in the last place at a magnitude: how far its neighbour lies, in 64 bits or fewer. */
export function ulpOf(value: number, fractionBits: number = FRACTION_BITS.float64): number {
  const magnitude = Math.abs(value);
  return magnitude > 0 ? 2 ** (Math.floor(Math.log2(magnitude)) - fractionBits) : 0;
}
