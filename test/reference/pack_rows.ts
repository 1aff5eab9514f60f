/** Twin of `pack_rows`: `packed[row, i] = unpacked[row, table[i]]`. */
export function packRows(
  unpacked: Float32Array,
  sourceStride: number,
  table: Uint32Array,
): Float32Array {
  const rows = unpacked.length / sourceStride;
  const packed = new Float32Array(rows * table.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < table.length; column++) {
      packed[row * table.length + column] = unpacked[row * sourceStride + table[column]!]!;
    }
  }
  return packed;
}
