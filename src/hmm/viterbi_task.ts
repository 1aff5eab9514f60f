/**
 * The likeliest path as a task: a pass from the last row to the first, which keeps what lies ahead of every tile,
 * and one from the first to the last, which searches each tile again and reads the path.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import { readScore, writeScore } from "../math/log_score.ts";
import {
  viterbiStep,
  viterbiStepConstants,
  viterbiStepParams,
  viterbiStepWorkgroups,
} from "../kernels/viterbi_step.ts";
import {
  viterbiTrace,
  viterbiTraceConstants,
  viterbiTraceParams,
} from "../kernels/viterbi_trace.ts";
import {
  viterbiWeigh,
  viterbiWeighConstants,
  viterbiWeighParams,
} from "../kernels/viterbi_weigh.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { LoopStep, Pass, SlotBuffer } from "../stream/pass.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import { binCoordinates, rowCoordinates } from "./coordinates.ts";
import type { LogRows } from "./observation/log_likelihoods.ts";
import { positionNames } from "./row_outputs.ts";
import type { StateBins } from "./state_bins.ts";
import type { StateModel } from "./states.ts";
import type { TimeGrid } from "./time_grid.ts";
import { rowTime } from "./time_grid.ts";
import type { PathTransition } from "./transition/path_transition.ts";
import { tableBuffer } from "./transition/recursion.ts";

/** The likeliest path. */
export interface ViterbiResult extends Measured {
  /** `[time]` i32: state bin of every row, among those of all states. */
  stateBins: ChunkedArray;
  /** `[time]` i32: its discrete state. */
  states: ChunkedArray;
  /** `[time]` f64 along each dimension: its centre, position units; NaN for a bin that is nowhere. */
  positions: ChunkedArray[];
  /** `[time]` f64, seconds. */
  time: ChunkedArray;
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
const PREFIX = "path_";

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

  constructor(parts: ViterbiParts) {
    this.#parts = parts;
    const { bins, model, time, transition, rows, missing, adapter } = parts;
    const { grid } = bins;
    this.feeds = rows.feeds;
    const parameters = {
      states: model.names,
      time: { ...time },
      grid: { bin_size: grid.binSize, shape: [...grid.shape] },
    };
    const { sources, entries, spread } = transition;
    this.identity = {
      facts: parameters,
      arrays: [
        ...rows.inputs,
        ...[sources, entries, spread, ...grid.edges, grid.interior],
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
        ...positionNames(grid.dimensions).map((name) => row(name, "float64")),
      ],
      whole: [],
      coordinates: [...rowCoordinates(time, missing), ...binCoordinates(bins)],
      attributes: { parameters, time_units: "seconds" },
      longest: { log_probability: [-Number.MAX_VALUE], impossible_rows: Number.MAX_VALUE },
    };
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
        tableBuffer("entries", transition.entries),
        tableBuffer("spread", transition.spread),
        // after the last row nothing is left to lose
        tableBuffer("message", new Uint32Array(2 * (count + 1))),
        tableBuffer("path_bin", Uint32Array.of(count)),
        scratch("weighted", 8 * count),
        scratch("best", 12 * states),
        scratch("row_next", 4 * (count + 1)),
      ],
      passes: [this.#scorePass(tileRows), this.#pathPass(tileRows)],
      tables: [{
        what: "transition",
        bytes: Object.values(transition).reduce((sum, { byteLength }) => sum + byteLength, 0) +
          rows.hostBytes + (missing?.byteLength ?? 0),
      }],
      notes: warnings.map((warning) => `warning: ${warning}`),
    };
  }

  #slotBuffers(tileRows: number): SlotBuffer[] {
    return [
      { name: "log_likelihood", bytes: 8 * this.#parts.rows.columns * tileRows, role: "upload" },
      { name: "row_best", bytes: 8 * tileRows, role: "download" },
    ];
  }

  /** Rows of a tile from the last to the first. */
  #search(next: { buffer: string; rowStride: number }): LoopStep {
    const { rows, bins, perState } = this.#parts;
    const states = bins.names.length;
    return {
      name: "viterbi",
      order: "descending",
      loop: [
        {
          kernel: viterbiWeigh,
          constants: viterbiWeighConstants(states, rows.columns),
          params: (_tile, row) => viterbiWeighParams(row, perState),
          workgroups: () => [1],
        },
        {
          kernel: viterbiStep,
          constants: viterbiStepConstants(states),
          buffers: { next: next.buffer },
          params: (tile, row) =>
            viterbiStepParams(
              row,
              bins.count + (tile.start + row === 0 ? 1 : 0),
              row * next.rowStride,
            ),
          workgroups: () => viterbiStepWorkgroups(bins.count),
        },
      ],
    };
  }

  #scorePass(tileRows: number): Pass {
    return {
      name: "score",
      direction: "backward",
      cost: 1,
      carry: { buffer: "message", bytes: 8 * (this.#parts.bins.count + 1) },
      slotBuffers: this.#slotBuffers(tileRows),
      steps: [this.#search({ buffer: "row_next", rowStride: 0 })],
      ...this.#reading(tileRows),
      write: ({ start, end }, { row_best }) => {
        const scores = new Uint32Array(row_best!);
        for (let row = end - 1; row >= start; row--) {
          if (readScore(scores, 2 * (row - start))) continue;
          throw new RangeError(
            `Cannot find a path: no bin of row ${row} that agrees with it leads to one that agrees with ` +
              "the rows after it, wanted one",
          );
        }
      },
    };
  }

  #pathPass(tileRows: number): Pass {
    const { bins } = this.#parts;
    const stride = bins.count + 1;
    const names = this.output.streamed.map(({ name }) => name);
    const rowBytes = 4 + 4 + 8 * bins.grid.dimensions;
    const reading = this.#reading(tileRows);
    const bytes = 8 * stride;
    return {
      name: "path",
      direction: "forward",
      cost: 1,
      carry: { buffer: "path_bin", bytes: 4 },
      startsFrom: { pass: "score", upload: "ahead" },
      slotBuffers: [
        ...this.#slotBuffers(tileRows),
        { name: "ahead", bytes, role: "upload" },
        { name: "next", bytes: 4 * stride * tileRows, role: "scratch" },
        { name: "path", bytes: 4 * tileRows, role: "download" },
        { name: "start", bytes: 8, role: "download" },
      ],
      steps: [
        {
          copy: { from: "ahead", to: "message" },
          ranges: () => [{ fromOffset: 0, toOffset: 0, bytes }],
        },
        this.#search({ buffer: "next", rowStride: stride }),
        {
          copy: { from: "message", to: "start" },
          ranges: () => [{ fromOffset: 8 * bins.count, toOffset: 0, bytes: 8 }],
        },
        {
          kernel: viterbiTrace,
          constants: viterbiTraceConstants,
          order: "ascending",
          params: (_tile, from, to) => viterbiTraceParams(from, to, stride),
          workgroups: () => [1],
        },
      ],
      ...reading,
      hostBytes: { ...reading.hostBytes, write: rowBytes * tileRows },
      writes: names,
      write: async (tile, { row_best, path, start }, { beside, held, store }) => {
        const rows = tile.end - tile.start;
        const scores = new Uint32Array(row_best!);
        const largest = beside.largest as Float64Array;
        const own = Int32Array.from(new Uint32Array(path!, 0, rows));
        for (let row = 0; row < rows; row++) {
          const { whole, fraction } = readScore(scores, 2 * row)!;
          held.whole![0]! += whole;
          held.fraction![0]! += fraction;
          if (largest[row] === -Infinity) held.impossibleRows![0]!++;
          else held.largest![0]! += largest[row]!;
        }
        if (tile.start === 0) {
          // by how much the best that can start lies below the best of the row
          const score = readScore(new Uint32Array(start!), 0);
          if (!score) throw new RangeError(NO_START);
          held.whole![0]! += score.whole;
          held.fraction![0]! += score.fraction;
        }
        const values = [
          own,
          own.map((bin) => bins.stateOf(bin)),
          ...positionNames(bins.grid.dimensions).map((_, d) =>
            Float64Array.from(own, (bin) => bins.centerOf(bin, d))
          ),
        ];
        for (const [i, name] of names.entries()) await store(name, tile.start, values[i]!);
      },
    };
  }

  /** Log-likelihoods of a tile relative to the largest of their row, and that. */
  #reading(tileRows: number): Pick<Pass, "read" | "hostBytes" | "besideBytes"> {
    const { rows, missing } = this.#parts;
    return {
      hostBytes: { read: rows.readBytes(tileRows) },
      besideBytes: 8 * tileRows,
      read: async ({ start, end }, { signal }) => {
        const scores = new Uint32Array(2 * rows.columns * (end - start));
        const largest = new Float64Array(end - start);
        await rows.read(start, end, signal, (values, row, at, most) => {
          if (missing?.[row]) return;
          largest[row - start] = most;
          // a row that is impossible says nothing
          if (most === -Infinity) return;
          const first = 2 * rows.columns * (row - start);
          for (let i = 0; i < rows.columns; i++) {
            writeScore(values[at + i]! - most, scores, first + 2 * i);
          }
        });
        return { log_likelihood: scores, largest };
      },
    };
  }

  finish({ whole, fraction, largest, impossibleRows }: Held<ViterbiHeld>): Outcome {
    const logProbability = impossibleRows[0]! > 0
      ? -Infinity
      : whole[0]! + fraction[0]! * 2 ** -32 + largest[0]!;
    return {
      facts: {
        // JSON has no infinities: they are written as zarr writes them
        log_probability: [
          Number.isFinite(logProbability) ? logProbability : String(logProbability),
        ],
        impossible_rows: impossibleRows[0],
      },
    };
  }

  async result({ attributes, open }: Stored, measured: Measured): Promise<ViterbiResult> {
    const { bins: { grid } } = this.#parts;
    const stateBins = await open(`${PREFIX}state_bin`);
    const states = await open(`${PREFIX}state_ind`);
    const positions = await Promise.all(
      positionNames(grid.dimensions).map((name) => open(PREFIX + name)),
    );
    const { time: rows } = this.#parts;
    const time: ChunkedArray = {
      ...{ shape: [rows.rows], dtype: "float64", dims: ["time"], chunkRows: 1 },
      read(start, end) {
        checkRows([rows.rows], start, end);
        const times = { length: end - start };
        return Promise.resolve(Float64Array.from(times, (_, i) => rowTime(rows, start + i)));
      },
      close: () => Promise.resolve(),
    };
    return {
      ...measured,
      ...{ stateBins, states, positions, time },
      logProbability: Number((attributes.log_probability as unknown[])[0]),
      impossibleRows: attributes.impossible_rows as number,
      async close() {
        for (const array of [stateBins, states, ...positions]) await array.close();
      },
    };
  }
}

const NO_START =
  "Cannot find a path: no bin that the initial probabilities allow agrees with the first row and leads on, " +
  "wanted one";
