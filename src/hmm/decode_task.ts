/**
 * One decode as a task: the filter, the smoother, and what is stored of them.
 *
 * @module
 */

import { jsonNumber } from "../math/format.ts";
import { toWideRow } from "../math/wide.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import type { LaneReport } from "../stream/lanes.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import { CODECS } from "../zarr/codecs.ts";
import type { ZarrArraySpec } from "../zarr/metadata.ts";
import { binCoordinates, rowCoordinates } from "./coordinates.ts";
import type { DecodeOptions } from "./decode_options.ts";
import { DecodePasses } from "./decode_passes.ts";
import type { DecodeResult } from "./decode_result.ts";
import type { Grid } from "./grid.ts";
import { gridArrays, gridFacts } from "./grid.ts";
import type { LaneCuts } from "./lane_cuts.ts";
import { largestDivisor } from "./lane_cuts.ts";
import type { Observation } from "./observation/observation.ts";
import { elementBytesOf } from "./posterior_types.ts";
import { FORMAT_VERSION, RowOutputs } from "./row_outputs.ts";
import { StateBins } from "./state_bins.ts";
import type { StateModel } from "./states.ts";
import type { FilterHeld } from "./tile_filter.ts";
import { filterBuffers, layoutLanes } from "./tile_filter.ts";
import type { TimeGrid, TimeGridKind } from "./time_grid.ts";
import { timeArrays, timeFacts } from "./time_grid.ts";
import type { OperatorKind } from "./transition/choose_operator.ts";
import type { Recursion } from "./transition/recursion.ts";

const CHUNK_BYTES = 4 * 2 ** 20;
const SHARD_BYTES = 64 * 2 ** 20;
const SUMMARY_CHUNK_ROWS = 4096;

/** What attributes call a kind of time grid. */
const BIN_CONVENTIONS: Record<TimeGridKind, string> = {
  edges: "left_closed_right_open_final_closed",
  timestamps: "timestamps",
};

/** How a transition is applied, and why, in a line for people. */
export interface Operator {
  kind: OperatorKind;
  reason: string;
}

/** What attributes say of the place fields. */
export interface EncodingFacts {
  /** Seconds of position that went into them. */
  exposureSeconds: number;
  /** What units are called in the input, where that is not 0 and so on. */
  unitIds?: readonly number[];
}

/** What a decode works on. */
export interface DecodeParts {
  grid: Grid;
  model: StateModel;
  time: TimeGrid;
  lanes: LaneCuts;
  recursion: Recursion;
  observation: Observation;
  operator: Operator;
  /** [state bins] p of each before the first row; those of a state are alike where it is not given. */
  initialProbs?: ArrayLike<number> | undefined;
  /** Of place fields, where there are any. */
  encoding?: EncodingFacts;
  droppedSpikes: number;
  /** [rows] 1 for rows that carry no evidence, where there are any. */
  missing: Uint8Array | undefined;
  /** What people should know before they believe the result. */
  warnings: readonly string[];
  adapter: string;
  /** The same decode with its transition applied in another way, where the caller left that open. */
  withOperator(kind: string): DecodeTask | undefined;
}

/** What every recursion over the rows of a model has, whatever is made of it. */
export type ModelParts = Omit<
  DecodeParts,
  "encoding" | "droppedSpikes" | "warnings" | "withOperator"
>;

/** A decode. */
export class DecodeTask implements Task<FilterHeld, DecodeResult> {
  readonly name = "decode";
  readonly feeds: readonly Feed[];
  readonly held: FilterHeld;
  readonly identity: Identity;
  readonly output: OutputSpec;
  readonly #parts: DecodeParts;
  readonly #chunkRows: number;
  readonly #rowOutputs: RowOutputs;
  /** A row of wide numbers. */
  readonly #initial: Uint32Array<ArrayBuffer>;
  readonly #passes: DecodePasses;
  #held!: Held<FilterHeld>;

  constructor(parts: DecodeParts, options: DecodeOptions) {
    this.#parts = parts;
    const { grid, model, time, lanes, recursion, observation, adapter, missing } = parts;
    const bins = new StateBins(grid, model);
    this.feeds = observation.feeds;
    const initial = bins.initialProbs(model, parts.initialProbs);
    this.#initial = toWideRow(
      recursion.toRow((state, bin) => initial[bins.starts[state]! + bin]!),
    );
    this.held = {
      logLikelihoods: { dtype: "float64", length: lanes.count },
      impossibleRows: { dtype: "float64", length: 1 },
    };
    const { zarrFormat = 3, codec = "none", dtype = "f32", posterior = true } = options;
    const { causal = false, predictive = false } = options;
    this.#rowOutputs = new RowOutputs(bins, {
      dtype,
      posterior,
      summaries: options.summaries ?? [],
      ...(predictive && { predictive }),
    });
    const { chunkRows, shardChunks } = cutChunks(options, lanes, {
      // without the posterior a row is a few numbers: chunks then hold a large tile's rows
      rowBytes: posterior ? elementBytesOf(dtype) * bins.count : CHUNK_BYTES / SUMMARY_CHUNK_ROWS,
    });
    this.#chunkRows = chunkRows;
    const parameters = {
      states: withoutMatrices(withoutPrior(model)),
      operator: parts.operator.kind,
      time: timeFacts(time),
      grid: gridFacts(grid),
      ...this.#rowOutputs.choices,
      chunk_rows: chunkRows,
      shard_chunks: shardChunks,
      codec,
      zarr_format: zarrFormat,
      causal,
      lanes: {
        count: lanes.count,
        rows: lanes.rows,
        ...(lanes.count > 1 && { burn_in_rows: lanes.burnInRows, tolerance: lanes.tolerance }),
      },
    };
    const { droppedSpikes, encoding } = parts;
    this.identity = {
      facts: encoding ? [parameters, droppedSpikes, encoding] : [parameters, droppedSpikes],
      arrays: [
        ...observation.inputs,
        ...recursion.inputs,
        this.#initial,
        ...gridArrays(grid),
        ...timeArrays(time),
      ],
    };
    this.output = {
      kind: "decode",
      formatVersion: FORMAT_VERSION,
      place: options.out,
      overwrite: options.overwrite,
      adapter,
      allowAdapterChange: options.allowAdapterChange,
      streamed: streamed(this.#rowOutputs, time.rows, { chunkRows, shardChunks, codec, causal }),
      whole: [],
      coordinates: [...rowCoordinates(time, missing), ...binCoordinates(bins)],
      attributes: {
        parameters,
        dropped_spikes: droppedSpikes,
        time_units: "seconds",
        time_bin_convention: BIN_CONVENTIONS[time.kind],
        ...(encoding && {
          rate_units: "Hz",
          encoding_exposure_seconds: encoding.exposureSeconds,
          ...(encoding.unitIds && { unit_ids: encoding.unitIds }),
        }),
      },
      longest: {
        marginal_log_likelihoods: [-Number.MAX_VALUE],
        impossible_rows: Number.MAX_VALUE,
        lanes: { largest_distance: -Number.MAX_VALUE, redone_rows: Number.MAX_VALUE },
      },
      zarrFormat,
      // the smoother goes backward, and the filtered rows it starts from with it
      descending: true,
      lanes,
    };
    const stored = this.output.streamed;
    this.#passes = new DecodePasses({
      time,
      lanes,
      recursion,
      observation,
      rowOutputs: this.#rowOutputs,
      states: model.names.length,
      stateBytes: this.#initial.byteLength,
      causal,
      predictive,
      smoothed: stored.map(({ name }) => name).filter((name) => name.startsWith("acausal_")),
      // the posterior is handed on as it lies in its download
      smallBytes: stored.filter(({ name }) => !/_posterior$/.test(name))
        .reduce((sum, { shape }) => sum + 8 * (shape[1] ?? 1), 0),
      held: () => this.#held,
    });
  }

  layout(tileRows: number): TaskLayout {
    const { time, lanes, recursion, observation, operator, warnings, missing, encoding } = this
      .#parts;
    const shared = [
      ...filterBuffers({ recursion, observation, lanes }, this.#initial),
      ...this.#rowOutputs.shared(),
    ];
    const tables = observation.hostBytes + recursion.hostBytes + this.#initial.byteLength +
      (missing?.byteLength ?? 0);
    return {
      rows: time.rows,
      shared,
      passes: [this.#passes.filterPass(tileRows), this.#passes.smoothPass(tileRows)],
      tables: [{ what: encoding ? "spikes and tables" : "tables", bytes: tables }],
      ...layoutLanes(lanes, { sums: Object.keys(this.held) }),
      alignRows: this.#chunkRows,
      notes: [
        `transition by ${operator.reason}`,
        ...warnings.map((warning) => `warning: ${warning}`),
      ],
    };
  }

  adopt({ parameters }: Record<string, unknown>): DecodeTask | undefined {
    const { operator, withOperator } = this.#parts;
    const begun = (parameters as { operator?: string } | undefined)?.operator;
    if (!begun || begun === operator.kind) return undefined;
    return withOperator(begun);
  }

  begin(held: Held<FilterHeld>): void {
    this.#held = held;
  }

  finish(held: Held<FilterHeld>, { lanes }: { lanes?: LaneReport }): Outcome {
    const logLikelihood = held.logLikelihoods.reduce((sum, own) => sum + own, 0);
    return {
      facts: {
        marginal_log_likelihoods: [jsonNumber(logLikelihood!)],
        impossible_rows: held.impossibleRows[0],
        ...(lanes && {
          lanes: { largest_distance: lanes.largestDistance, redone_rows: lanes.redoneRows },
        }),
      },
    };
  }

  async result({ place }: Stored, measured: Measured): Promise<DecodeResult> {
    const { openResult } = await import("./decode_result.ts");
    return { ...(await openResult(place!)), ...measured };
  }
}

/** The arrays that are written row by row. */
function streamed(
  { choices, variables, filterVariables }: RowOutputs,
  rows: number,
  { chunkRows, shardChunks, codec, causal }: Pick<ZarrArraySpec, "codec"> & {
    chunkRows: number;
    shardChunks: number;
    causal: boolean;
  },
): ZarrArraySpec[] {
  const kinds = {
    acausal: variables,
    causal: [...(causal ? variables : []), ...filterVariables],
    predictive: choices.predictive ? variables : [],
  };
  const own = Math.min(chunkRows, rows);
  return Object.entries(kinds).flatMap(([kind, variables]) =>
    variables.map(({ name, dtype, columns, attributes }): ZarrArraySpec => ({
      name: `${kind}_${name}`,
      shape: columns ? [rows, columns[0]] : [rows],
      chunkShape: columns ? [own, columns[0]] : [own],
      dtype,
      dims: columns ? ["time", columns[1]] : ["time"],
      ...(codec && { codec }),
      ...(shardChunks > 1 && { shardChunks }),
      ...(attributes && { attributes }),
    }))
  );
}

/** Rows of a chunk, and chunks of a shard, that divide a lane. */
function cutChunks(
  { chunkRows: wanted, shardChunks: wantedChunks, zarrFormat = 3, codec = "none" }: DecodeOptions,
  lanes: LaneCuts,
  { rowBytes }: { rowBytes: number },
): { chunkRows: number; shardChunks: number } {
  const rowsOf = (bytes: number) => Math.max(1, Math.floor(bytes / rowBytes));
  // a chunk of every lane is being filled at a time
  const chunkRows = wanted ??
    Math.min(lanes.rows, divisorFor(lanes, lanes.rows, rowsOf(CHUNK_BYTES / lanes.count)));
  const laneChunks = Math.ceil(lanes.rows / chunkRows);
  const wholeShard = Math.max(1, Math.floor(rowsOf(SHARD_BYTES) / chunkRows));
  const shardChunks = wantedChunks ??
    (zarrFormat === 2 ? 1 : divisorFor(lanes, laneChunks, wholeShard));
  for (const [name, value] of Object.entries({ chunkRows, shardChunks })) {
    if (!(Number.isInteger(value) && value >= 1)) {
      throw new RangeError(
        `Cannot plan a decode: ${name} is ${value}, wanted a whole number from 1`,
      );
    }
  }
  if (lanes.count > 1 && lanes.rows % (chunkRows * shardChunks) !== 0) {
    throw new RangeError(
      `Cannot plan a decode: ${shardChunks} chunks of ${chunkRows} rows do not divide a lane of ` +
        `${lanes.rows} rows, wanted a divisor such as chunks of ` +
        `${largestDivisor(lanes.rows, chunkRows)}; or 1 lane`,
    );
  }
  if (!CODECS.includes(codec)) {
    throw new RangeError(
      `Cannot plan a decode: codec is "${codec}", wanted one of ${CODECS.join(", ")}`,
    );
  }
  if (!(zarrFormat === 3 || (zarrFormat === 2 && shardChunks === 1))) {
    throw new RangeError(
      `Cannot plan a decode: zarrFormat is ${zarrFormat} with ${shardChunks} chunks in a shard, ` +
        `wanted 3, or 2 and no shards`,
    );
  }
  return { chunkRows, shardChunks };
}

/** The largest number of rows up to `most` of which a whole number makes `whole`, where lanes ask for it. */
function divisorFor({ count }: LaneCuts, whole: number, most: number): number {
  return count === 1 ? Math.min(whole, most) : largestDivisor(whole, most);
}

/** A model as it is told in attributes; what a matrix holds, the hash knows. */
export function withoutMatrices(model: StateModel): unknown {
  const transitions = model.transitions.map((row) =>
    row.map((block) => block.kind === "matrix" ? { kind: block.kind } : block)
  );
  return { ...model, transitions };
}

/** A model as a decode knows it: what is believed of it before a search is none of its business. */
export function withoutPrior({ prior: _, ...model }: StateModel): StateModel {
  return model;
}
