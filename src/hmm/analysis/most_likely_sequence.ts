/**
 * The most likely sequence of discrete states as a table of stretches.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";

/** What tells the state of every row: a decode, a part of it, or the likeliest path. */
export interface StateRows {
  /** `[time, states]` f32 probabilities, or `[time]` i32 states. */
  states: ChunkedArray<Float32Array> | ChunkedArray<Int32Array>;
  stateNames: readonly string[];
  /** `[time]` f64, seconds. */
  timeBinStart: ChunkedArray<Float64Array>;
  timeBinEnd: ChunkedArray<Float64Array>;
}

/** A stretch of rows whose most likely state is the same. */
export interface StateRun {
  state: string;
  /** Its number among the states. */
  stateInd: number;
  /** Seconds: when its first row begins, and its last one ends. */
  startTime: number;
  endTime: number;
  duration: number;
  /** Rows [first, end). */
  rows: [first: number, end: number];
}

const READ_ROWS = 2 ** 16;

/**
 * Lists the stretches of the most likely sequence of states. Of a path (`viterbi()`) it is the sequence that is likeliest as a
 * whole, as the original's `most_likely_sequence`; of a decode each row has the state that is likeliest in it, of equals the
 * first. Rows of a decode that are not stored yet are in no stretch.
 */
export async function mostLikelySequence(
  { states, stateNames, timeBinStart, timeBinEnd }: StateRows,
): Promise<StateRun[]> {
  const [rows] = states.shape as [number];
  const width = states.shape[1] ?? 1;
  const runs: StateRun[] = [];
  let stateBefore = -1;
  for (let start = 0; start < rows; start += READ_ROWS) {
    const end = Math.min(rows, start + READ_ROWS);
    const values = await states.read(start, end);
    const [starts, ends] = [
      await timeBinStart.read(start, end),
      await timeBinEnd.read(start, end),
    ];
    for (let row = start; row < end; row++) {
      const at = row - start;
      const stateInd = states.shape.length === 1
        ? values[at]!
        : likeliest(values.subarray(at * width, (at + 1) * width));
      if (stateInd >= 0 && stateInd !== stateBefore) {
        const startTime = starts[at]!;
        runs.push({
          ...{ state: stateNames[stateInd]!, stateInd, startTime },
          ...{ endTime: startTime, duration: 0, rows: [row, row] },
        });
      }
      stateBefore = stateInd;
      const run = runs.at(-1);
      if (stateInd < 0 || !run) continue;
      run.endTime = ends[at]!;
      run.duration = run.endTime - run.startTime;
      run.rows[1] = row + 1;
    }
  }
  return runs;
}

/** -1 of a row that is not stored. */
function likeliest(probabilities: Float32Array | Int32Array): number {
  let [found, most] = [-1, -1];
  probabilities.forEach((probability, state) => {
    if (probability > most) [found, most] = [state, probability];
  });
  return found;
}
