/**
 * f64 twin of `vq_sums`: the sum of the rows of every code less that code, in blocks of rows.
 *
 * @param points [rows, features].
 * @param codebook [codes, features].
 * @returns [codes, features] a block.
 */
export function vqSums(
  points: ArrayLike<number>,
  codebook: ArrayLike<number>,
  ids: ArrayLike<number>,
  { features, blockRows }: { features: number; blockRows: number },
): Float64Array[] {
  const rows = points.length / features;
  const blocks = Array.from(
    { length: Math.ceil(rows / blockRows) },
    () => new Float64Array(codebook.length),
  );
  for (let row = 0; row < rows; row++) {
    const sums = blocks[Math.floor(row / blockRows)]!;
    for (let d = 0; d < features; d++) {
      sums[ids[row]! * features + d]! += points[row * features + d]! -
        codebook[ids[row]! * features + d]!;
    }
  }
  return blocks;
}
