/**
 * What encodings say of recorded spikes, row by row: one of each environment and group of samples.
 *
 * @module
 */

import type { AnimalPath } from "../animal_path.ts";
import type { MarkEncoding } from "../clusterless_encoding.ts";
import type { Grid } from "../grid.ts";
import type { LaneCuts } from "../lane_cuts.ts";
import type { RecordedSpikes } from "../recording.ts";
import type { Encoding } from "../sorted_spikes.ts";
import { rateTable } from "../sorted_spikes.ts";
import type { SpikeBins, TimeGrid } from "../time_grid.ts";
import { binSpikes, rowSeconds } from "../time_grid.ts";
import { clusterlessObservation, markedLogRows } from "./clusterless.ts";
import { localFittedRows, localMarkedRows, localSortedRows } from "./local.ts";
import type { LogRows } from "./log_likelihoods.ts";
import type { Observation } from "./observation.ts";
import type { PartCells } from "./part_cells.ts";
import { poissonObservation, poissonRows } from "./poisson.ts";

/** What was recorded, by the rows of a decode. */
export interface EncodedRows {
  spikes: SpikeBins;
  /** What is expected in the bins of these parts. */
  observationOf(lanes: LaneCuts, cells: PartCells): Observation;
  /** The same of one part on the host, f64. */
  logRows(part: number): LogRows;
  /** [rows] log-likelihoods of what is represented being where the animal is. */
  localRows(part: number, path: AnimalPath): Float64Array;
}

/** An encoding, and the bins that it speaks of. */
export interface EncodedGrid<Encoding> {
  grid: Grid;
  encoding: Encoding;
}

/** The rows, and which of them carry no evidence. */
export interface RowsToDecode {
  time: TimeGrid;
  missing: Uint8Array | undefined;
}

/** Rows of sorted spikes. */
export function sortedRows(
  parts: readonly EncodedGrid<Encoding>[],
  recorded: RecordedSpikes["spikes"],
  { time, missing }: RowsToDecode,
): EncodedRows {
  const spikes = binSpikes(recorded, time, missing);
  const ratesOf = (part: number) => rateTable(parts[part]!.encoding, rowSeconds(time));
  return {
    spikes,
    observationOf: (lanes, cells) =>
      poissonObservation(cells.parts.map(ratesOf), {
        ...{ spikes, time, lanes, cells },
        units: parts[0]!.encoding.unitCount,
      }),
    logRows: (part) => poissonRows(ratesOf(part), spikes, parts[part]!.grid.interiorIndex.length),
    localRows(part, path) {
      const { encoding } = parts[part]!;
      return encoding.glm
        ? localFittedRows(encoding.glm, { spikes, time, path })
        : localSortedRows(encoding, { spikes, time, path });
    },
  };
}

/** Rows of spikes with features. */
export function markedRows(
  parts: readonly EncodedGrid<MarkEncoding>[],
  /** `features` [spikes, features] f64, in order of time. */
  recorded: RecordedSpikes["spikes"] & { features: Float64Array },
  { time, missing }: RowsToDecode,
): EncodedRows {
  const { times, units: electrodes, features } = recorded;
  const spikes = binSpikes({ times, units: Uint32Array.from(times.keys()) }, time, missing);
  const shared = { spikes, electrodes, features, time };
  return {
    spikes,
    observationOf: (lanes, cells) =>
      clusterlessObservation(
        cells.parts.map((part) => parts[part]!.encoding),
        { ...shared, lanes, cells },
      ),
    logRows: (part) => {
      const { grid, encoding } = parts[part]!;
      return markedLogRows(encoding, { ...shared, grid });
    },
    localRows: (part, path) =>
      localMarkedRows(parts[part]!.encoding, { ...shared, path, spikeTimes: times }),
  };
}
