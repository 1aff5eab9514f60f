/**
 * The rows of a decode and the spikes of each.
 *
 * @module
 */

/** Row i stands at `start + i * step` seconds. */
export interface TimeGrid {
  start: number;
  step: number;
  rows: number;
}

/** Spikes sorted by row. */
export interface SpikeBins {
  /** [rows + 1] first spike of each row in `units`. */
  rowStarts: Uint32Array;
  /** [spikes] unit of each kept spike, in order of time. */
  units: Uint32Array;
  /** Spikes outside the grid. */
  dropped: number;
  /** [rows] 1 for rows that carry no evidence; none when not given. */
  missing?: Uint8Array;
}

/** More rows than a u32 can count, and than anyone has recorded. */
const MAX_ROWS = 2 ** 31;

/**
 * Lays rows over [start, stop]: `floor((stop - start) / step + 1e-9) + 1` of them.
 *
 * @throws {RangeError} If an argument is not finite, the step not positive, or stop before start.
 */
export function timeGrid(
  { start, stop, step }: { start: number; stop: number; step: number },
): TimeGrid {
  if (!(Number.isFinite(start) && Number.isFinite(stop) && stop >= start)) {
    throw new RangeError(
      `Cannot lay a time grid: start is ${start} s and stop ${stop} s, wanted start <= stop`,
    );
  }
  if (!(step > 0 && Number.isFinite(step))) {
    throw new RangeError(`Cannot lay a time grid: step is ${step} s, wanted a positive number`);
  }
  const rows = Math.floor((stop - start) / step + 1e-9) + 1;
  if (rows > MAX_ROWS) {
    throw new RangeError(
      `Cannot lay a time grid: ${rows} rows, at most ${MAX_ROWS} are supported; use a larger step`,
    );
  }
  return { start, step, rows };
}

/**
 * Puts every spike into a row, once for the whole grid, so that no chunk can lose any: a spike
 * belongs to the last row at or before it, the grid's last row never receives one (its bin would
 * be empty), and spikes outside [first row, last row] are dropped and counted. A grid of one row
 * keeps the spikes at its very time.
 *
 * Source of the rule: non_local_detector, `digitize(spikes, time[1:-1])`.
 *
 * @param spikes `times` ascending, seconds; `units` of the same length.
 */
export function binSpikes(
  spikes: { times: ArrayLike<number>; units: ArrayLike<number> },
  grid: TimeGrid,
): SpikeBins {
  const { start, step, rows } = grid;
  const timeOf = (row: number) => start + row * step;
  const count = spikes.times.length;
  const rowStarts = new Uint32Array(rows + 1);
  const units = new Uint32Array(count);
  let kept = 0;
  let row = 0;
  for (let spike = 0; spike < count; spike++) {
    const time = spikes.times[spike]!;
    if (time < start || time > timeOf(rows - 1)) continue;
    while (row < rows - 2 && timeOf(row + 1) <= time) row++;
    rowStarts[row + 1]!++;
    units[kept++] = spikes.units[spike]!;
  }
  for (let i = 0; i < rows; i++) rowStarts[i + 1]! += rowStarts[i]!;
  return { rowStarts, units: units.slice(0, kept), dropped: count - kept };
}
