import { logSum } from "./logarithms.ts";

/**
 * f64 twin of `sum_blocks`: sums over blocks, and what is spread onto every bin of a lane; natural
 * logarithms throughout.
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
  return Float64Array.from({ length: lanes * bins }, (_, i) => {
    const [lane, bin] = [Math.floor(i / bins), i % bins];
    const terms = [spread[lane]!];
    for (let block = 0; block < blocks; block++) {
      terms.push(partial[(block * lanes + lane) * kept + bin]!);
    }
    return logSum(terms);
  });
}
