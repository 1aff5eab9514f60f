/**
 * Rounds: stretches of an epoch whose frames fit a pool. Each is one sweep over the table, which reads
 * every frame the stretch needs once, in the order they lie in; so no chunk is visited more often in an
 * epoch than there are rounds.
 *
 * @module
 */

import type { FrameTable, Run } from "./frame_table.ts";
import { bytesOfRead, readsOf, storedRowBytes } from "./frame_table.ts";

/** A stretch of an epoch and the rows it needs, packed. */
export interface Round {
  /** Positions [from, to) of the epoch: whole batches. */
  from: number;
  to: number;
  /** Ascending, apart from each other. */
  runs: Run[];
  /** Rows of all runs. */
  rows: number;
}

/** What an epoch costs when its frames are on disk. */
export interface EpochCost {
  /** Sweeps over the table. */
  rounds: number;
  reads: number;
  bytesRead: number;
  /** Bytes read in tables. */
  passes: number;
}

/** Where the row of a window stands in a round's pool. */
export function poolRow(round: Round, row: number): number {
  const { runs } = round;
  let [low, high] = [0, runs.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (runs[middle]!.row <= row) low = middle;
    else high = middle - 1;
  }
  return runs[low]!.at + row - runs[low]!.row;
}

/** Rows that a batch needs at most: what a pool must have room for. */
export function batchRows(table: FrameTable, batchSize: number): number {
  return Math.min(table.rows, batchSize * table.windowRows);
}

/**
 * Cuts an epoch into rounds, each as long as a pool of `capacity` rows allows.
 *
 * @param windowAt The window at a position.
 * @param from First position, and one past the last.
 */
export function* cutRounds(
  table: FrameTable,
  windowAt: (position: number) => number,
  [from, to]: readonly [number, number],
  batchSize: number,
  capacity: number,
): Generator<Round> {
  /** First rows of the windows of the next so many batches, ascending. */
  const rowsOf = (batches: number) => {
    const end = Math.min(to, from + batches * batchSize);
    return Uint32Array.from({ length: end - from }, (_, i) => table.rowOf(windowAt(from + i)))
      .sort();
  };
  const fits = (batches: number) => unionRows(rowsOf(batches), table.windowRows) <= capacity;
  let guess = 1;
  while (from < to) {
    // no more windows than rows, so that what is kept of a round is small beside its pool
    const most = Math.max(batchSize, capacity);
    const all = Math.ceil(Math.min(to - from, most) / batchSize);
    // the next round is about as long as the last: close in from there
    let [low, high] = [1, all + 1];
    let reach = Math.min(guess, all);
    let step = Math.max(1, Math.floor(reach / 8));
    if (reach > 1 && !fits(reach)) {
      high = reach;
      while (high > 2 && !fits(Math.max(1, high - step))) {
        high = Math.max(2, high - step);
        step *= 2;
      }
      low = Math.max(1, high - step);
    } else {
      low = reach;
      while ((reach = Math.min(all, low + step)) > low) {
        if (!fits(reach)) {
          high = reach;
          break;
        }
        low = reach;
        step *= 2;
      }
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (fits(middle)) low = middle;
      else high = middle;
    }
    const end = Math.min(to, from + low * batchSize);
    const runs = mergeRuns(rowsOf(low), table.windowRows);
    const last = runs.at(-1)!;
    yield { from, to: end, runs, rows: last.at + last.rows };
    guess = low;
    from = end;
  }
}

/** Rows that windows of `size` rows cover together. */
function unionRows(starts: Uint32Array, size: number): number {
  let rows = 0;
  for (let i = 0; i < starts.length; i++) {
    rows += i + 1 < starts.length ? Math.min(size, starts[i + 1]! - starts[i]!) : size;
  }
  return rows;
}

function mergeRuns(starts: Uint32Array, size: number): Run[] {
  const runs: Run[] = [];
  let last: Run | undefined;
  for (const row of starts) {
    if (last && row <= last.row + last.rows) last.rows = row + size - last.row;
    else runs.push(last = { row, rows: size, at: last ? last.at + last.rows : 0 });
  }
  return runs;
}

/** What rounds cost, all added up. */
export function costOf(table: FrameTable, rounds: Iterable<Round>): EpochCost {
  const cost: EpochCost = { rounds: 0, reads: 0, bytesRead: 0, passes: 0 };
  for (const { runs } of rounds) {
    cost.rounds++;
    for (const read of readsOf(table, runs)) {
      cost.reads++;
      cost.bytesRead += bytesOfRead(table, read);
    }
  }
  cost.passes = cost.bytesRead / (table.rows * storedRowBytes(table));
  return cost;
}
