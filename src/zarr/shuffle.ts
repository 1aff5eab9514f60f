/**
 * Undoes the shuffles that bring alike bytes, or bits, together.
 *
 * @module
 */

/** Bytes that lie first bytes first, then the second ones; what is left over at the end lies as it is. */
export function unshuffle(bytes: Uint8Array, elementBytes: number): Uint8Array {
  const count = Math.floor(bytes.length / elementBytes);
  const result = new Uint8Array(bytes.length);
  for (let byte = 0; byte < elementBytes; byte++) {
    const plane = byte * count;
    for (let i = 0, at = byte; i < count; i++, at += elementBytes) result[at] = bytes[plane + i]!;
  }
  result.set(bytes.subarray(count * elementBytes), count * elementBytes);
  return result;
}

/** Bits that lie lowest bits of the first bytes first. Blosc leaves what is not in eights as it is. */
export function unshuffleBits(bytes: Uint8Array, elementBytes: number): Uint8Array {
  const count = Math.floor(bytes.length / elementBytes);
  if (count % 8 !== 0) return bytes;
  const result = new Uint8Array(bytes.length);
  const planeBytes = count / 8;
  for (let byte = 0; byte < elementBytes; byte++) {
    for (let bit = 0; bit < 8; bit++) {
      const plane = (byte * 8 + bit) * planeBytes;
      for (let i = 0; i < planeBytes; i++) {
        let row = bytes[plane + i]!;
        for (let at = 8 * i * elementBytes + byte; row !== 0; row >>= 1, at += elementBytes) {
          result[at]! |= (row & 1) << bit;
        }
      }
    }
  }
  result.set(bytes.subarray(count * elementBytes), count * elementBytes);
  return result;
}
