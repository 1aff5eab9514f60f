/**
 * One decode as a task: the filter, the smoother, and what is stored of them.
 *
 * @module
 */

import { FILTER_SUMS_HEAD, logNormaliser } from "../kernels/hmm_filter.ts";
import { hilbertDistance } from "../math/hilbert.ts";
import { toWideRow } from "../math/wide.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import type { Pass, SharedBuffer, SlotBuffer, Step, Tile, WriteTurn } from "../stream/pass.ts";
import { tileSize } from "../stream/pass.ts";
import type { LaneReport } from "../stream/lanes.ts";
import type { Held, Measured, Task, TaskLayout } from "../stream/task.ts";
import type { NumericArray } from "../types.ts";
import { CODECS } from "../zarr/codecs.ts";
import type { ZarrArraySpec } from "../zarr/metadata.ts";
import { binCoordinates, rowCoordinates } from "./coordinates.ts";
import type { DecodeOptions } from "./decode_options.ts";
import type { DecodeResult } from "./decode_result.ts";
import { FORMAT_VERSION, openResult } from "./decode_result.ts";
import type { Grid } from "./grid.ts";
import type { LaneCuts } from "./lane_cuts.ts";
import { largestDivisor } from "./lane_cuts.ts";
import type { Observation } from "./observation/observation.ts";
import { elementBytesOf } from "./posterior_types.ts";
import type { RowKind } from "./row_outputs.ts";
import { RowOutputs } from "./row_outputs.ts";
import type { StateModel } from "./states.ts";
import type { TimeGrid, TimeGridKind } from "./time_grid.ts";
import type { OperatorKind } from "./transition/choose_operator.ts";
import type { PredictedLayout, Recursion } from "./transition/recursion.ts";
import { tableBuffer } from "./transition/recursion.ts";

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
  encoding: EncodingFacts;
  droppedSpikes: number;
  /** [rows] 1 for rows that carry no evidence, where there are any. */
  missing: Uint8Array | undefined;
  /** What people should know before they believe the result. */
  warnings: readonly string[];
  adapter: string;
  /** The same decode with its transition applied in another way, where the caller left that open. */
  withOperator(kind: string): DecodeTask | undefined;
}

/** What goes from tile to tile on the host. */
type DecodeHeld = {
  /** Log-likelihood of every lane so far, natural logarithm. */
  logLikelihoods: { dtype: "float64"; length: number };
  /** Rows in which nothing that is expected agrees with what was seen. */
  impossibleRows: { dtype: "float64"; length: number };
};

/** A decode. */
export class DecodeTask implements Task<DecodeHeld, DecodeResult> {
  readonly name = "decode";
  readonly feeds = [];
  readonly held: DecodeHeld;
  readonly identity: Task<DecodeHeld, DecodeResult>["identity"];
  readonly output: OutputSpec;
  readonly #parts: DecodeParts;
  readonly #causal: boolean;
  readonly #chunkRows: number;
  readonly #rowOutputs: RowOutputs;
  readonly #states: number;
  /** A row of wide numbers. */
  readonly #initial: Uint32Array<ArrayBuffer>;
  #held!: Held<DecodeHeld>;

  constructor(parts: DecodeParts, options: DecodeOptions) {
    this.#parts = parts;
    const { grid, model, time, lanes, recursion, observation, adapter, missing } = parts;
    const interior = grid.interiorIndex.length;
    this.#states = model.names.length;
    this.#initial = toWideRow(recursion.toRow((state) => model.initial[state]! / interior));
    this.held = {
      logLikelihoods: { dtype: "float64", length: lanes.count },
      impossibleRows: { dtype: "float64", length: 1 },
    };
    const { zarrFormat = 3, codec = "none", dtype = "f32", posterior = true } = options;
    this.#causal = options.causal ?? false;
    this.#rowOutputs = new RowOutputs(grid, this.#states, {
      dtype,
      posterior,
      summaries: options.summaries ?? [],
    });
    const { chunkRows, shardChunks } = cutChunks(options, lanes, {
      // without the posterior a row is a few numbers: chunks then hold a large tile's rows
      rowBytes: posterior
        ? elementBytesOf(dtype) * this.#states * interior
        : CHUNK_BYTES / SUMMARY_CHUNK_ROWS,
    });
    this.#chunkRows = chunkRows;
    const parameters = {
      states: withoutMatrices(model),
      operator: parts.operator.kind,
      time: { ...time },
      grid: { bin_size: grid.binSize, shape: [...grid.shape] },
      ...this.#rowOutputs.choices,
      chunk_rows: chunkRows,
      shard_chunks: shardChunks,
      codec,
      zarr_format: zarrFormat,
      causal: this.#causal,
      lanes: {
        count: lanes.count,
        rows: lanes.rows,
        ...(lanes.count > 1 && { burn_in_rows: lanes.burnInRows, tolerance: lanes.tolerance }),
      },
    };
    const { droppedSpikes, encoding } = parts;
    this.identity = {
      facts: [parameters, droppedSpikes, encoding],
      arrays: [
        ...observation.inputs,
        ...recursion.inputs,
        this.#initial,
        ...grid.edges,
        grid.interior,
      ],
    };
    this.output = {
      kind: "decode",
      formatVersion: FORMAT_VERSION,
      place: options.out,
      overwrite: options.overwrite,
      adapter,
      allowAdapterChange: options.allowAdapterChange,
      streamed: this.#streamed({ chunkRows, shardChunks, codec }),
      whole: [],
      coordinates: [...rowCoordinates(time, missing), ...binCoordinates(grid, model)],
      attributes: {
        parameters,
        dropped_spikes: droppedSpikes,
        time_units: "seconds",
        time_bin_convention: BIN_CONVENTIONS[time.kind],
        rate_units: "Hz",
        encoding_exposure_seconds: encoding.exposureSeconds,
        ...(encoding.unitIds && { unit_ids: encoding.unitIds }),
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
  }

  layout(tileRows: number): TaskLayout {
    const { time, lanes, recursion, observation, operator, warnings, missing } = this.#parts;
    const starts = new Uint32Array(lanes.count * this.#initial.length);
    for (let lane = 0; lane < lanes.count; lane++) {
      starts.set(this.#initial, lane * this.#initial.length);
    }
    const shared: SharedBuffer[] = [
      ...recursion.shared(lanes.count),
      tableBuffer("pack_table", recursion.packTable),
      ...observation.shared(),
      tableBuffer("predicted_carry", starts),
      {
        name: "smoothed_carry",
        bytes: lanes.count * this.#initial.byteLength,
        kind: "storage",
      },
      ...this.#rowOutputs.shared(),
    ];
    const tables = observation.hostBytes + recursion.hostBytes + this.#initial.byteLength +
      (missing?.byteLength ?? 0);
    return {
      rows: time.rows,
      shared,
      passes: [this.#filterPass(tileRows), this.#smoothPass(tileRows)],
      tables: [{ what: "spikes and tables", bytes: tables }],
      ...(lanes.count > 1 && {
        lanes: {
          ...lanes,
          distance: (a: Uint8Array, b: Uint8Array) => hilbertDistance(asWide(a), asWide(b)),
        },
      }),
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

  begin(held: Held<DecodeHeld>): void {
    this.#held = held;
  }

  finish(held: Held<DecodeHeld>, { lanes }: { lanes?: LaneReport }): Outcome {
    const logLikelihood = held.logLikelihoods.reduce((sum, own) => sum + own, 0);
    return {
      facts: {
        // JSON has no infinities: they are written as zarr writes them
        marginal_log_likelihoods: [
          Number.isFinite(logLikelihood) ? logLikelihood : String(logLikelihood),
        ],
        impossible_rows: held.impossibleRows[0],
        ...(lanes && {
          lanes: { largest_distance: lanes.largestDistance, redone_rows: lanes.redoneRows },
        }),
      },
    };
  }

  async result({ place }: Stored, measured: Measured): Promise<DecodeResult> {
    return { ...(await openResult(place!)), ...measured };
  }

  #streamed(
    { chunkRows, shardChunks, codec }: Pick<ZarrArraySpec, "codec"> & {
      chunkRows: number;
      shardChunks: number;
    },
  ): ZarrArraySpec[] {
    const { rows } = this.#parts.time;
    const { variables, filterVariables } = this.#rowOutputs;
    const kinds = {
      acausal: variables,
      causal: [...(this.#causal ? variables : []), ...filterVariables],
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

  get #sumsWidth(): number {
    return FILTER_SUMS_HEAD + this.#states;
  }

  /** Buffers both passes work in. */
  #slotBuffers(tileRows: number): SlotBuffer[] {
    const { lanes, observation, recursion: { cells, rowLength } } = this.#parts;
    const rows = lanes.count * tileRows;
    return [
      ...observation.uploads(tileRows),
      { name: "likelihood", bytes: 16 * cells * rows, role: "scratch" },
      { name: "filtered", bytes: 4 * rowLength * rows, role: "scratch" },
      { name: "row_maximum", bytes: observation.rowMaximumBytes * rows, role: "scratch" },
      { name: "filter_sums", bytes: 4 * this.#sumsWidth * rows, role: "scratch" },
    ];
  }

  /** Finds out the states that lanes have at the start of every tile. Everything else comes after. */
  #filterPass(tileRows: number): Pass {
    const { lanes, observation, recursion } = this.#parts;
    return {
      name: "filter",
      direction: "forward",
      cost: 1,
      slotBuffers: this.#slotBuffers(tileRows),
      carry: { buffer: "predicted_carry", bytes: this.#initial.byteLength },
      steps: [
        ...observation.steps(),
        recursion.filterStep(lanes.count, {
          buffer: "predicted_carry",
          rowStride: 0,
          laneStride: () => recursion.rowLength,
        }),
      ],
      read: (tile) => Promise.resolve(observation.read(tile)),
      write: () => {},
    };
  }

  /** Filters each tile again, from the state at its start, and smooths it. */
  #smoothPass(tileRows: number): Pass {
    const { time, lanes, observation, recursion } = this.#parts;
    const stateBytes = this.#initial.byteLength;
    const states = this.#states;
    const { rowLength } = recursion;
    const { rows: laneLength, count, burnInRows } = lanes;
    const rows = count * tileRows;
    const predicted: PredictedLayout = {
      rowStride: rowLength,
      laneStride: ({ start, end }) => (end - start + 1) * rowLength,
    };
    const outputs: RowKind[] = this.#causal ? ["causal", "acausal"] : ["acausal"];
    const rowSteps = (kind: RowKind): Step[] =>
      outputs.includes(kind) ? this.#rowOutputs.steps(rowLength, kind) : [];
    return {
      name: "smooth",
      direction: "backward",
      cost: 3,
      carry: { buffer: "smoothed_carry", bytes: stateBytes },
      startsFrom: { pass: "filter", upload: "checkpoint" },
      slotBuffers: [
        ...this.#slotBuffers(tileRows).map((buffer): SlotBuffer =>
          buffer.name === "row_maximum" || buffer.name === "filter_sums"
            ? { ...buffer, role: "download" }
            : buffer
        ),
        { name: "checkpoint", bytes: count * stateBytes, role: "upload" },
        { name: "predicted", bytes: count * stateBytes * (tileRows + 1), role: "scratch" },
        { name: "smooth_sums", bytes: 4 * states * rows, role: "download" },
        ...outputs.flatMap((kind) => this.#rowOutputs.slotBuffers(rows, kind)),
      ],
      steps: [
        {
          copy: { from: "checkpoint", to: "predicted" },
          ranges: (tile) =>
            Array.from({ length: tile.lanes }, (_, lane) => ({
              fromOffset: lane * stateBytes,
              toOffset: lane * (tile.end - tile.start + 1) * stateBytes,
              bytes: stateBytes,
            })),
        },
        ...observation.steps(),
        recursion.filterStep(count, predicted),
        ...rowSteps("causal"),
        recursion.smoothStep(count, predicted, ({ start, firstLane }) => ({
          firstEnd: time.rows - 1 - firstLane * laneLength - start,
          laneLength,
          burnInEnd: start < laneLength ? undefined : laneLength + burnInRows - 1 - start,
        })),
        ...rowSteps("acausal"),
      ],
      writes: this.output.streamed.map(({ name }) => name)
        .filter((name) => name.startsWith("acausal_")),
      hostBytes: { write: this.#writeBytes(rows) },
      read: (tile) => Promise.resolve(observation.read(tile)),
      write: async (tile, downloads, { store }) => {
        const rows = tileSize(tile);
        const { normalisers, probabilities } = this.#filterSums(tile, downloads);
        // a lane that is smoothed again was filtered rightly
        if (!tile.again) {
          this.#countLogLikelihood(tile, normalisers);
          await this.#store("causal", tile, {
            ...(this.#causal && this.#rowOutputs.values(downloads, rows, probabilities, "causal")),
            ...(this.#rowOutputs.filterVariables.length > 0 && { log_normaliser: normalisers }),
          }, store);
        }
        const shares = new Float32Array(downloads.smooth_sums!, 0, rows * states);
        const values = this.#rowOutputs.values(downloads, rows, shares, "acausal");
        await this.#store("acausal", tile, values, store);
      },
    };
  }

  /** Host bytes of normalisers, probabilities of states and summaries of so many rows. */
  #writeBytes(rows: number): number {
    const { streamed } = this.output;
    // the posterior is handed on as it lies in its download
    const small = streamed.filter(({ name }) => !/_posterior$/.test(name));
    const rowBytes = small.reduce((sum, { shape }) => sum + 8 * (shape[1] ?? 1), 0);
    return rows * (8 + 4 * this.#states + rowBytes);
  }

  /** Log normaliser of every row, f64, and filtered probability of every discrete state, f32. */
  #filterSums(
    tile: Tile,
    downloads: Record<string, ArrayBuffer>,
  ): { normalisers: Float64Array; probabilities: Float32Array } {
    const { observation } = this.#parts;
    const states = this.#states;
    const rows = tileSize(tile);
    const width = this.#sumsWidth;
    const own = observation.rowMaximumBytes / 4;
    const maxima = new Int32Array(downloads.row_maximum!, 0, own * rows);
    const sums = new Float32Array(downloads.filter_sums!, 0, rows * width);
    const probabilities = new Float32Array(rows * states);
    const normalisers = new Float64Array(rows);
    this.#forEachRow(tile, (row, i) => {
      const [shift, inverse, ...shares] = sums.subarray(i * width, (i + 1) * width);
      normalisers[i] = observation.logEvidence(
        logNormaliser(shift!, inverse!),
        row,
        maxima.subarray(i * own, (i + 1) * own),
      );
      probabilities.set(shares, i * states);
    });
    return { normalisers, probabilities };
  }

  /** Adds rows from the last to the first, whatever the tiles are. */
  #countLogLikelihood(tile: Tile, normalisers: Float64Array): void {
    const { logLikelihoods, impossibleRows } = this.#held;
    this.#forEachRow(tile, (_row, i, lane) => {
      logLikelihoods[lane]! += normalisers[i]!;
      if (normalisers[i] === -Infinity) impossibleRows[0]!++;
    });
  }

  /** Visits the rows of a tile that are rows of the recording, every lane from its last. */
  #forEachRow(
    { start, end, firstLane, lanes }: Tile,
    visit: (row: number, index: number, lane: number) => void,
  ): void {
    const { rows: laneRows } = this.#parts.lanes;
    for (let own = 0; own < lanes; own++) {
      const first = (firstLane + own) * laneRows + start;
      const present = Math.min(end - start, this.#parts.time.rows - first);
      for (let i = present - 1; i >= 0; i--) {
        visit(first + i, own * (end - start) + i, firstLane + own);
      }
    }
  }

  /** Stores what a tile has of every variable, lane by lane. */
  async #store(
    kind: RowKind,
    tile: Tile,
    values: Record<string, NumericArray>,
    store: WriteTurn["store"],
  ): Promise<void> {
    const { start, end, firstLane, lanes } = tile;
    for (let own = 0; own < lanes; own++) {
      const first = (firstLane + own) * this.#parts.lanes.rows + start;
      const present = Math.min(end - start, this.#parts.time.rows - first);
      if (present <= 0) continue;
      for (const [name, all] of Object.entries(values)) {
        const width = all.length / tileSize(tile);
        const from = own * (end - start) * width;
        await store(`${kind}_${name}`, first, all.subarray(from, from + present * width));
      }
    }
  }
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
function withoutMatrices(model: StateModel): unknown {
  const transitions = model.transitions.map((row) =>
    row.map((block) => block.kind === "matrix" ? { kind: block.kind } : block)
  );
  return { ...model, transitions };
}

function asWide({ buffer, byteOffset, byteLength }: Uint8Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}
