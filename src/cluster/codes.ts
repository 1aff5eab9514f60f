/**
 * Codes in the device's coordinates, in f64 and as the device has them.
 *
 * @module
 */

/** `[codes, features]`, in the device's coordinates. */
export interface Codes {
  centers: Float64Array;
  /**
   * The device has these, which rows are compared with and subtracted from, and beside them what they
   * leave over. They stay while they are near enough: sums over the same rows are then the same bits.
   */
  coarse: Float32Array;
}

/** Codes as they are handed out, or come. */
export function codesOf(centers: Float64Array): Codes {
  return { centers, coarse: Float32Array.from(centers) };
}
