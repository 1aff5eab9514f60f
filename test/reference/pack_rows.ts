import { fromWide } from "../../src/math/wide.ts";

/** Below it f32 has no number that adapters keep. */
const SMALLEST_NORMAL = 2 ** -126;

/** Twin of `pack_rows`: `packed[row, i] = unpacked[row, table[i]]`, out of wide numbers. */
export function packRows(
  unpacked: Uint32Array,
  sourceStride: number,
  table: Uint32Array,
): Float32Array {
  const rows = unpacked.length / sourceStride;
  const packed = new Float32Array(rows * table.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < table.length; column++) {
      const value = fromWide(unpacked[row * sourceStride + table[column]!]!);
      packed[row * table.length + column] = value < SMALLEST_NORMAL ? 0 : value;
    }
  }
  return packed;
}
