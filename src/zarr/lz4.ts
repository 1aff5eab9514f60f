/**
 * Blocks of LZ4, decoded with a look at every length.
 *
 * @module
 */

/** Shortest run that is copied from before. */
const LEAST_MATCH = 4;

/**
 * Decodes a block into all of `target`.
 *
 * @throws {RangeError} If the block is damaged, or holds more or fewer bytes.
 */
export function decodeLz4(source: Uint8Array, target: Uint8Array): void {
  let from = 0;
  let to = 0;
  const length = (nibble: number): number => {
    let total = nibble;
    if (nibble < 15) return total;
    for (;;) {
      const byte = source[from++];
      if (byte === undefined) throw damaged();
      total += byte;
      if (byte < 255) return total;
    }
  };
  while (from < source.length) {
    const token = source[from++]!;
    const literals = length(token >> 4);
    if (from + literals > source.length || to + literals > target.length) throw damaged();
    copyForward(source, from, target, to, literals);
    from += literals;
    to += literals;
    // a block ends in literals
    if (from === source.length) break;
    if (from + 2 > source.length) throw damaged();
    const distance = source[from]! | (source[from + 1]! << 8);
    from += 2;
    const match = length(token & 15) + LEAST_MATCH;
    if (distance === 0 || distance > to || to + match > target.length) throw damaged();
    copyForward(target, to - distance, target, to, match);
    to += match;
  }
  if (to !== target.length) {
    throw new RangeError(`its LZ4 block holds ${to} bytes, wanted ${target.length}`);
  }
}

/** Copies byte by byte in effect: what is copied may overlap what it is copied from. */
export function copyForward(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number,
  length: number,
): void {
  const overlaps = source === target && to - from < length;
  // a call costs as much as some ten bytes
  if (length > 32 && !overlaps) target.set(source.subarray(from, from + length), to);
  else if (length > 32 && to - from === 1) target.fill(source[from]!, to, to + length);
  else for (let i = 0; i < length; i++) target[to + i] = source[from + i]!;
}

function damaged(): RangeError {
  return new RangeError("its LZ4 block is damaged");
}
