/**
 * f64 twin of `sum_blocks`: sums over blocks, and what is spread onto every bin of a lane.
 *
 * @param partial [blocks, lanes, kept].
 * @param spread [lanes].
 * @returns [lanes, bins], the first of those kept.
 */
export function sumBlocks(
  partial: ArrayLike<number>,
  kept: number,
  bins: number,
  spread: readonly number[],
): Float64Array {
  const lanes = spread.length;
  const blocks = partial.length / lanes / kept;
  const product = new Float64Array(lanes * bins);
  for (let lane = 0; lane < lanes; lane++) {
    for (let bin = 0; bin < bins; bin++) {
      let sum = spread[lane]!;
      for (let block = 0; block < blocks; block++) {
        sum += partial[(block * lanes + lane) * kept + bin]!;
      }
      product[lane * bins + bin] = sum;
    }
  }
  return product;
}
