/**
 * Rounds: stretches of an epoch whose frames fit a pool. Each is one sweep over the table, which reads
 * every frame the stretch needs once, in the order they lie in; so no chunk is visited more often in an
 * epoch than there are rounds.
 *
 * @module
 */

import type { Epoch } from "./epochs.ts";
import type { FrameTable, Run } from "./frame_table.ts";
import { bytesOfRead, readsOf, spanRows, storedRowBytes } from "./frame_table.ts";

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
 * Cuts an epoch into rounds, each as long as a pool of `capacity` rows allows. On two levels rounds end
 * with the batch in which a pool of the order does: what comes of a pool later is read again.
 *
 * @param from First position, and one past the last.
 */
export function* cutRounds(
  table: FrameTable,
  { windowAt, order }: Epoch,
  [from, to]: readonly [number, number],
  batchSize: number,
  capacity: number,
): Generator<Round> {
  const span = spanRows(table);
  const firsts = new Uint32Array(Math.min(to - from, mostWindows(batchSize, capacity)));
  // the round a row was last wanted in, so that nothing has to be cleared between rounds
  const wantedIn = new Uint8Array(table.rows);
  let round = 0;
  while (from < to) {
    if (++round === 256) {
      wantedIn.fill(0);
      round = 1;
    }
    let rows = 0;
    let end = from;
    while (end < to) {
      const next = Math.min(to, end + batchSize);
      if (next - from > firsts.length) break;
      for (let position = end; position < next; position++) {
        const first = table.rowOf(windowAt(position));
        firsts[position - from] = first;
        for (let row = first; row < first + span; row++) {
          if (wantedIn[row] === round) continue;
          wantedIn[row] = round;
          rows++;
        }
      }
      if (rows > capacity) break;
      end = next;
    }
    const boundary = order.poolBefore?.(end) ?? 0;
    if (boundary > from) {
      end = Math.min(end, from + Math.ceil((boundary - from) / batchSize) * batchSize);
    }
    const runs = mergeRuns(firsts.slice(0, end - from).sort(), span);
    const last = runs.at(-1)!;
    yield { from, to: end, runs, rows: last.at + last.rows };
    from = end;
  }
}

/** Windows of a round at most: what is kept of it is to be small beside its pool. */
function mostWindows(batchSize: number, capacity: number): number {
  return Math.max(batchSize, capacity);
}

/** Host bytes of cutting rounds. */
export function cuttingBytes(table: FrameTable, batchSize: number, capacity: number): number {
  return table.rows + 2 * 4 * mostWindows(batchSize, capacity);
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
