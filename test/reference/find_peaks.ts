/** Twin of `find_peaks`: the largest element of every row, exact in f32 as in f64. */
export function findPeaks(packed: Float32Array, width: number): Float32Array {
  return Float32Array.from(
    { length: packed.length / width },
    (_, row) => Math.max(...packed.subarray(row * width, (row + 1) * width)),
  );
}
