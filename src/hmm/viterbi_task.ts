/**
 * The likeliest path as a task: a pass from the last row to the first, which keeps what lies ahead of every tile,
 * and one from the first to the last, which searches each tile again and reads the path.
 *
 * @module
 */

import { jsonNumber } from "../math/format.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import { checkRows, ofType } from "../chunked_array.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import { binCoordinates, rowCoordinates } from "./coordinates.ts";
import { dimensionsOf, gridArrays, gridFacts } from "./grid.ts";
import type { LogRows } from "./observation/log_likelihoods.ts";
import { positionNames } from "./row_outputs.ts";
import type { StateBins } from "./state_bins.ts";
import type { StateModel } from "./states.ts";
import type { TimeGrid } from "./time_grid.ts";
import { edgeOf, following, rowTime, timeArrays, timeFacts } from "./time_grid.ts";
import type { PathTransition } from "./transition/path_transition.ts";
import { tableBuffer } from "./transition/recursion.ts";
import { PATH_PREFIX as PREFIX, ViterbiPasses } from "./viterbi_passes.ts";

/** The likeliest path. */
export interface ViterbiResult extends Measured {
  /** `[time]` i32: state bin of every row, among those of all states. */
  stateBins: ChunkedArray<Int32Array>;
  /** `[time]` i32: its discrete state. */
  states: ChunkedArray<Int32Array>;
  /** `[time]` f64 along each dimension: its centre, position units; NaN for a bin that is nowhere. */
  positions: ChunkedArray<Float64Array>[];
  /** `[time]` f64, seconds: the centre of every row, when it begins and ends. */
  time: ChunkedArray<Float64Array>;
  timeBinStart: ChunkedArray<Float64Array>;
  timeBinEnd: ChunkedArray<Float64Array>;
  /** Names of the discrete states. */
  stateNames: readonly string[];
  /** log p(path, rows), natural; -Infinity where a row is impossible. */
  logProbability: number;
  /** Rows in which no bin has a likelihood: the path goes through them as if they were missing. */
  impossibleRows: number;
  close(): Promise<void>;
}

/** What a search works on. */
export interface ViterbiParts {
  bins: StateBins;
  model: StateModel;
  time: TimeGrid;
  transition: PathTransition;
  rows: LogRows;
  /** Whether every state has columns of its own. */
  perState: boolean;
  /** [rows] 1 for rows that carry no evidence. */
  missing: Uint8Array | undefined;
  warnings: readonly string[];
  adapter: string;
  out: string | undefined;
  overwrite: boolean | undefined;
}

/** Sums over rows: of whole nats, of 2^-32 above them, and of the largest log-likelihoods. */
type ViterbiHeld = {
  whole: { dtype: "float64"; length: number };
  fraction: { dtype: "float64"; length: number };
  largest: { dtype: "float64"; length: number };
  impossibleRows: { dtype: "float64"; length: number };
};

const FORMAT_VERSION = 1;

export class ViterbiTask implements Task<ViterbiHeld, ViterbiResult> {
  readonly name = "viterbi";
  readonly feeds: readonly Feed[];
  readonly held: ViterbiHeld = {
    whole: { dtype: "float64", length: 1 },
    fraction: { dtype: "float64", length: 1 },
    largest: { dtype: "float64", length: 1 },
    impossibleRows: { dtype: "float64", length: 1 },
  };
  readonly identity: Identity;
  readonly output: OutputSpec;
  readonly #parts: ViterbiParts;
  readonly #passes: ViterbiPasses;

  constructor(parts: ViterbiParts) {
    this.#parts = parts;
    const { bins, model, time, transition, rows, missing, adapter } = parts;
    const { grid } = bins;
    this.feeds = rows.feeds;
    const parameters = {
      states: model.names,
      time: timeFacts(time),
      grid: gridFacts(grid),
    };
    const { sources, parts: entryParts, spread } = transition;
    const entries = entryParts.map((part) => part.entries);
    this.identity = {
      facts: parameters,
      arrays: [
        ...rows.inputs,
        ...[sources, ...entries, spread, ...gridArrays(grid), ...timeArrays(time)],
        ...(missing ? [missing] : []),
      ],
    };
    const row = (name: string, dtype: "int32" | "float64") =>
      variable(PREFIX + name, dtype, [time.rows], ["time"]);
    this.output = {
      kind: "path",
      formatVersion: FORMAT_VERSION,
      place: parts.out,
      overwrite: parts.overwrite,
      adapter,
      streamed: [
        row("state_bin", "int32"),
        row("state_ind", "int32"),
        ...positionNames(dimensionsOf(grid)).map((name) => row(name, "float64")),
      ],
      whole: [],
      coordinates: [...rowCoordinates(time, missing), ...binCoordinates(bins)],
      attributes: { parameters, time_units: "seconds" },
      longest: { log_probability: [-Number.MAX_VALUE], impossible_rows: Number.MAX_VALUE },
    };
    this.#passes = new ViterbiPasses(
      { ...parts, parts: entryParts },
      this.output.streamed.map(({ name }) => name),
    );
  }

  layout(tileRows: number): TaskLayout {
    const { time, transition, bins, rows, warnings, missing } = this.#parts;
    const { count } = bins;
    const states = bins.names.length;
    const scratch = (name: string, bytes: number) =>
      ({ name, bytes, kind: "storage", scratch: true }) as const;
    return {
      rows: time.rows,
      shared: [
        tableBuffer("states", Uint32Array.from(bins.starts)),
        tableBuffer("sources", transition.sources),
        ...transition.parts.map(({ entries }, part) => tableBuffer(`entries_${part}`, entries)),
        tableBuffer("spread", transition.spread),
        // after the last row nothing is left to lose
        tableBuffer("message", new Uint32Array(2 * (count + 1))),
        tableBuffer("path_bin", Uint32Array.of(count)),
        scratch("weighted", 8 * count),
        scratch("best", 12 * states),
        scratch("row_next", 4 * (count + 1)),
      ],
      passes: [this.#passes.scorePass(tileRows), this.#passes.pathPass(tileRows)],
      tables: [{
        what: "transition",
        bytes: transition.parts.reduce((sum, { entries }) => sum + entries.byteLength, 0) +
          transition.sources.byteLength + transition.spread.byteLength + rows.hostBytes +
          (missing?.byteLength ?? 0),
      }],
      notes: warnings.map((warning) => `warning: ${warning}`),
    };
  }

  finish({ whole, fraction, largest, impossibleRows }: Held<ViterbiHeld>): Outcome {
    const logProbability = impossibleRows[0]! > 0
      ? -Infinity
      : whole[0]! + fraction[0]! * 2 ** -32 + largest[0]!;
    return {
      facts: {
        log_probability: [jsonNumber(logProbability)],
        impossible_rows: impossibleRows[0],
      },
    };
  }

  async result({ attributes, open }: Stored, measured: Measured): Promise<ViterbiResult> {
    const { bins: { grid } } = this.#parts;
    const stateBins = ofType(await open(`${PREFIX}state_bin`), "int32");
    const states = ofType(await open(`${PREFIX}state_ind`), "int32");
    const positions = await Promise.all(
      positionNames(dimensionsOf(grid)).map(async (name) =>
        ofType(await open(PREFIX + name), "float64")
      ),
    );
    const { time: rows, bins: { names: stateNames } } = this.#parts;
    const timesBy = (at: (row: number) => number): ChunkedArray<Float64Array> => ({
      ...{ shape: [rows.rows], dtype: "float64", dims: ["time"], chunkRows: 1 },
      read(start, end) {
        checkRows([rows.rows], start, end);
        const times = { length: end - start };
        return Promise.resolve(Float64Array.from(times, (_, i) => at(start + i)));
      },
      close: () => Promise.resolve(),
    });
    const time = timesBy((row) => rowTime(rows, row));
    const [timeBinStart, timeBinEnd] = rows.kind === "timestamps"
      ? [time, following(time)]
      : [timesBy((row) => edgeOf(rows, row)), timesBy((row) => edgeOf(rows, row + 1))];
    return {
      ...measured,
      ...{ stateBins, states, positions, time, timeBinStart, timeBinEnd, stateNames },
      logProbability: Number((attributes.log_probability as unknown[])[0]),
      impossibleRows: attributes.impossible_rows as number,
      async close() {
        for (const array of [stateBins, states, ...positions]) await array.close();
      },
    };
  }
}
