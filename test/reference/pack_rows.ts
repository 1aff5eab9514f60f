import { fromWide } from "../../src/math/wide.ts";

/** Below it f32 has no number that adapters keep. */
const SMALLEST_NORMAL = 2 ** -126;

/**
 * Twin of `pack_rows`: `packed[row, i] = unpacked[row, table[i]]`, out of wide numbers.
 *
 * @param laneRows After how many rows the source has one that is left out; 0 where it has none.
 */
export function packRows(
  unpacked: Uint32Array,
  sourceStride: number,
  table: Uint32Array,
  laneRows = 0,
): Float32Array {
  const all = unpacked.length / sourceStride;
  const rows = laneRows > 0 ? all / (laneRows + 1) * laneRows : all;
  const packed = new Float32Array(rows * table.length);
  for (let row = 0; row < rows; row++) {
    const from = laneRows > 0 ? row + Math.floor(row / laneRows) : row;
    for (let column = 0; column < table.length; column++) {
      const value = fromWide(unpacked[from * sourceStride + table[column]!]!);
      packed[row * table.length + column] = value < SMALLEST_NORMAL ? 0 : value;
    }
  }
  return packed;
}
