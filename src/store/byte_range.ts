/** Part of a value: `length` bytes from `offset`, or the last `suffixLength` bytes. */
export type ByteRange = { offset: number; length: number } | { suffixLength: number };

/** First byte of a range, and one past its last, inside a value of `size` bytes. */
export function rangeBounds(range: ByteRange, size: number): [number, number] {
  if ("suffixLength" in range) return [Math.max(0, size - range.suffixLength), size];
  const start = Math.min(range.offset, size);
  return [start, Math.min(start + range.length, size)];
}
