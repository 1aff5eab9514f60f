/**
 * Rows in which cells are silent: spikes come at a rate that is next to nothing, wherever the animal is.
 *
 * @module
 */

import type { SpikeBins } from "../time_grid.ts";

/** As in the original. */
const NO_SPIKE_RATE = 1e-10;

/**
 * @param units Cells, or electrodes.
 * @param seconds Of a row.
 * @param rate Spikes a second of each of them.
 * @returns [rows] f64 natural logarithms of p(spikes of a row).
 */
export function noSpikeRows(
  { rowStarts, missing }: SpikeBins,
  units: number,
  seconds: number,
  rate = NO_SPIKE_RATE,
): Float64Array {
  const log = Math.log(rate * seconds);
  return Float64Array.from({ length: rowStarts.length - 1 }, (_, row) => {
    if (missing?.[row]) return 0;
    const spikes = rowStarts[row + 1]! - rowStarts[row]!;
    return spikes * log - units * rate * seconds;
  });
}
