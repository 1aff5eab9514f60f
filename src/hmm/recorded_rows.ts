/**
 * The rows of a decode of a recording: when they are, whether they can be meant, and which carry no evidence.
 *
 * @module
 */

import type { DecodeOptions, timeOptions } from "./decode_options.ts";
import { untrackedSpans } from "./exposure.ts";
import type { RecordedSpikes, Recording } from "./recording.ts";
import { checkSpikePrecision } from "./recording.ts";
import { knownSamples, mergeStamps } from "./sorted_spikes.ts";
import type { StateModel } from "./states.ts";
import { checkRowSeconds, looksAtAnimal } from "./states.ts";
import type { Interval, TimeGrid } from "./time_grid.ts";
import { givenGrid, gridRange, missingRows, rowSeconds, timeGrid } from "./time_grid.ts";

/** What a decode and a path are told of their rows. */
export type RowChoices = Pick<DecodeOptions, keyof typeof timeOptions>;

/** What is decoded: where the animal was may not be known. */
export type DecodedRecording = RecordedSpikes & Partial<Pick<Recording, "position" | "dimensions">>;

/** Rows for a sample of position: more are a step in the wrong unit. */
const MOST_ROWS_A_SAMPLE = 10_000;

/** What tells which rows carry no evidence. */
interface MissingParts {
  recording: DecodedRecording;
  states: StateModel;
  /** In which the animal is tracked. */
  intervals: readonly Interval[];
}

/** The rows of a decode, and a look at whether they can be meant. */
export function recordedGrid(
  recording: DecodedRecording,
  states: StateModel,
  { time, timeGrid: kind, timeEdges }: RowChoices,
): TimeGrid {
  const { position, spikes } = recording;
  const [from, to] = position ? [position.times[0]!, position.times.at(-1)!] : [];
  const { start = from, stop = to, ...rate } = time ?? {};
  if (!timeEdges && (start === undefined || stop === undefined)) {
    throw new RangeError(
      "Cannot plan a decode: without a position rows have no first and last time, wanted start and stop " +
        "of time, or timeEdges",
    );
  }
  const grid = timeEdges
    ? givenGrid(timeEdges, time, kind)
    : timeGrid({ start: start!, stop: stop!, ...rate, ...(kind && { kind }) });
  if (position) checkRowsOf(grid, position.times);
  const [first, last] = gridRange(grid);
  const ends = [
    ...(position ? [from!, to!] : []),
    ...(spikes.times.length > 0 ? [spikes.times[0]!, spikes.times.at(-1)!] : []),
  ];
  // of silence alone nothing is known
  if (ends.length > 0 && (last < Math.min(...ends) || first > Math.max(...ends))) {
    throw new RangeError(
      `Cannot plan a decode: rows from ${first} to ${last} s lie outside of the recording, wanted ` +
        `some of ${Math.min(...ends)} to ${Math.max(...ends)} s`,
    );
  }
  checkSpikePrecision(recording, rowSeconds(grid));
  checkRowSeconds(states, rowSeconds(grid));
  return grid;
}

/** [rows] 1 for rows that carry no evidence; `undefined` where all do. */
export function missingOf(
  grid: TimeGrid,
  { recording, states, intervals }: MissingParts,
  { missing = [], isMissing }: RowChoices,
): Uint8Array | undefined {
  // where the animal is has to be known in all others, as in the original
  const told = looksAtAnimal(states) ? [...missing, "untracked" as const] : missing;
  const spans = told.flatMap((span): readonly Interval[] => {
    if (span === "untracked") {
      const { position, dimensions } = recording;
      if (!position || !dimensions) {
        throw new RangeError(
          'Cannot plan a decode: missing has "untracked", and there is no position, wanted one',
        );
      }
      const { times, values } = mergeStamps(position, dimensions);
      return untrackedSpans(times, knownSamples(values, dimensions), intervals);
    }
    return [span];
  });
  return missingRows(grid, spans, isMissing);
}

function checkRowsOf(grid: TimeGrid, times: Float64Array): void {
  const perSample = grid.rate * (times.at(-1)! - times[0]!) / (times.length - 1);
  if (perSample <= MOST_ROWS_A_SAMPLE) return;
  throw new RangeError(
    `Cannot plan a decode: rows of ${rowSeconds(grid)} s are ${
      Math.round(perSample)
    } for a sample ` +
      `of position, wanted at most ${MOST_ROWS_A_SAMPLE}; use a larger step, in seconds`,
  );
}
