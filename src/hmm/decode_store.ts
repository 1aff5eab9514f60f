/**
 * The stored result of a decode: its names, dims and coordinates, how it is written and opened.
 *
 * @module
 */

import { OutputConflictError } from "../errors.ts";
import type { Account } from "../gpu/ledger.ts";
import { digestOf } from "../math/digest.ts";
import type { StoredChunk } from "../zarr/chunk_writer.ts";
import { ChunkWriter } from "../zarr/chunk_writer.ts";
import type { Codec } from "../zarr/codecs.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/store.ts";
import type { ZarrArraySpec, ZarrFormat, ZarrGroupSpec } from "../zarr/metadata.ts";
import { projectedMetadataBytes, readGroupAttributes } from "../zarr/metadata.ts";
import { removeGroup, writeArray, writeGroup, writeGroupAttributes } from "../zarr/group_writer.ts";
import type { Pass, Tile } from "../stream/pass.ts";
import type {
  Commit,
  FoundOutput,
  MemoryItem,
  RunContext,
  RunReport,
  StepRecord,
} from "../stream/plan.ts";
import type { NumericArray } from "../types.ts";
import { VERSION } from "../version.ts";
import type { OperatorKind } from "./transition/choose_operator.ts";
import type { DecodeResult } from "./decode_result.ts";
import { FORMAT, FORMAT_VERSION, openResult } from "./decode_result.ts";
import type { Grid } from "./grid.ts";
import type { LaneCuts } from "./lane_cuts.ts";
import type { RowOutputs } from "./row_outputs.ts";
import { binCenter, positionNames } from "./row_outputs.ts";
import type { StateModel } from "./states.ts";
import type { TimeGrid, TimeGridKind } from "./time_grid.ts";
import { edgeOf, rowTime } from "./time_grid.ts";

export interface DecodeOutputOptions {
  place: string;
  overwrite: boolean;
  grid: Grid;
  model: StateModel;
  time: TimeGrid;
  rowOutputs: RowOutputs;
  chunkRows: number;
  /** How time is cut. */
  lanes: LaneCuts;
  /** How the transition is applied, which shows in the last digits. */
  operator: OperatorKind;
  /** Chunks in a shard; every chunk has a file of its own when 1. */
  shardChunks: number;
  codec: Codec;
  zarrFormat: ZarrFormat;
  causal: boolean;
  adapter: string;
  allowAdapterChange: boolean;
  droppedSpikes: number;
  encoding: EncodingFacts;
  /** [rows] 1 for rows that carry no evidence, where there are any. */
  missing?: Uint8Array;
  /** Arrays that decide the result, for the plan hash. */
  inputs: readonly ArrayBufferView[];
}

/** What attributes say of the place fields. */
export interface EncodingFacts {
  /** Seconds of position that went into them. */
  exposureSeconds: number;
  /** What units are called in the input, where that is not 0 and so on. */
  unitIds?: readonly number[];
}

/** What attributes call a kind of time grid. */
const BIN_CONVENTIONS: Record<TimeGridKind, string> = {
  edges: "left_closed_right_open_final_closed",
  timestamps: "timestamps",
};

/** Bytes a stored chunk takes in an entry of the journal's log. */
const LOGGED_CHUNK_BYTES = 64;

/** What a commit puts into the journal: stored chunks by array. */
type StoredChunks = Record<string, StoredChunk[]>;

interface Coordinate {
  spec: ZarrArraySpec;
  /** Values, or what makes them: those of rows are not held while a decode runs. */
  data: NumericArray | readonly string[] | (() => NumericArray);
}

/** The output of one decode, from the first look at the place to the last attribute. */
export class DecodeOutput {
  readonly causal: boolean;
  readonly #options: DecodeOutputOptions;
  readonly #specs: Record<string, ZarrArraySpec>;
  readonly #coordinates: readonly Coordinate[];
  readonly #metadataBytes: number;
  // a placeholder of the right length until it is known
  #hash = "0".repeat(64);
  /** The adapter whose numbers the output holds: an earlier run's, if this one goes on with it. */
  #adapter: string;
  #store: Store | undefined;
  #account: Account | undefined;
  #writers: Record<string, ChunkWriter> = {};
  /** Bytes the writers hold and have written, as last told to the ledger. */
  #held = 0;
  #written = 0;

  constructor(options: DecodeOutputOptions) {
    this.#options = options;
    this.causal = options.causal;
    this.#adapter = options.adapter;
    const { grid, model, time, rowOutputs, chunkRows, shardChunks, codec } = options;
    const rows = Math.min(chunkRows, time.rows);
    this.#specs = {};
    const { variables, filterVariables } = rowOutputs;
    const kinds = {
      acausal: variables,
      causal: [...(options.causal ? variables : []), ...filterVariables],
    };
    for (const [kind, own] of Object.entries(kinds)) {
      for (const { name, dtype, columns, attributes } of own) {
        this.#specs[`${kind}_${name}`] = {
          name: `${kind}_${name}`,
          shape: columns ? [time.rows, columns[0]] : [time.rows],
          chunkShape: columns ? [rows, columns[0]] : [rows],
          dtype,
          dims: columns ? ["time", columns[1]] : ["time"],
          codec,
          ...(shardChunks > 1 && { shardChunks }),
          ...(attributes && { attributes }),
        };
      }
    }
    this.#coordinates = [...rowCoordinates(time, options.missing), ...coordinatesOf(grid, model)];
    // as long as it can get: the attributes grow by the log-likelihood at the end
    const longest = this.#attributes({
      complete: false,
      marginal_log_likelihoods: [-Number.MAX_VALUE],
      impossible_rows: Number.MAX_VALUE,
      lanes: { largest_distance: -Number.MAX_VALUE, redone_rows: Number.MAX_VALUE },
    });
    this.#metadataBytes = projectedMetadataBytes(this.#group(longest));
  }

  /** Host and disk bytes the output needs. */
  memory(): MemoryItem[] {
    const { zarrFormat } = this.#options;
    const specs = Object.values(this.#specs);
    const sum = (bytes: readonly number[]) => bytes.reduce((total, part) => total + part, 0);
    const { lanes } = this.#options;
    const stored = sum(specs.map((spec) => ChunkWriter.projectedDiskBytes(spec, zarrFormat)));
    // a file that is written again lies beside the one it will replace
    const again = lanes.count === 1 ? 0 : sum(specs.map((spec) => {
      const { chunkShape, shardChunks = 1 } = spec;
      const rows = Math.min(chunkShape[0]! * shardChunks, spec.shape[0]!);
      const file = { ...spec, shape: [rows, ...spec.shape.slice(1)] };
      return ChunkWriter.projectedDiskBytes(file, zarrFormat);
    }));
    const coordinates = sum(
      this.#coordinates.map(({ spec, data }) => coordinateBytes(spec, data, zarrFormat)),
    );
    const chunks = sum(specs.map(({ shape, chunkShape }) => Math.ceil(shape[0]! / chunkShape[0]!)));
    return [
      {
        what: "output chunks being filled",
        kind: "host",
        bytes: sum(
          specs.map((spec) => ChunkWriter.projectedHostBytes(spec, zarrFormat, lanes.count)),
        ),
      },
      { what: "posteriors", kind: "disk", bytes: stored + again },
      { what: "coordinates and metadata", kind: "disk", bytes: coordinates + this.#metadataBytes },
      {
        what: "list of stored chunks, removed at the end",
        kind: "disk",
        bytes: (lanes.count === 1 ? 1 : 2) * chunks * LOGGED_CHUNK_BYTES,
      },
    ];
  }

  /** SHA-256 over everything that changes the stored bytes, in hexadecimal digits. */
  async hash(): Promise<string> {
    if (this.#options.allowAdapterChange) {
      const store = await openStore(this.#options.place);
      const stored = (await readGroupAttributes(store))?.attributes.adapter;
      await store.close();
      this.#adapter = typeof stored === "string" ? stored : this.#options.adapter;
    }
    this.#hash = await this.#hashFor(this.#adapter);
    return this.#hash;
  }

  /**
   * Looks at the output place.
   *
   * @param begun Whether the journal beside it is this plan's.
   * @throws {OutputConflictError} If something else is there.
   * @throws {StoreError} If the place cannot be written.
   */
  async check(begun: boolean): Promise<FoundOutput<DecodeResult>> {
    const { place, overwrite } = this.#options;
    const store = await openStore(place, { mode: "write" });
    try {
      const group = await readGroupAttributes(store);
      if (group === undefined) {
        // a run that was killed in its first moments left metadata without the group
        if (!begun && (await store.list("/")).length > 0) {
          throw this.#conflict("files that are no decode, name another place");
        }
        return { kind: "nothing" };
      }
      const { attributes } = group;
      if (attributes.format !== FORMAT) {
        throw this.#conflict("another zarr store, name another place");
      }
      if (overwrite) return { kind: "nothing" };
      if (attributes.plan_hash !== this.#hash) {
        throw this.#conflict(
          attributes.plan_hash === await this.#hashFor(attributes.adapter as string)
            ? `a decode of this plan on another adapter, "${attributes.adapter}", not on ` +
              `"${this.#options.adapter}"; allow the change of adapter, overwriting, or name ` +
              "another place"
            : "the decode of another plan, allow overwriting or name another place",
        );
      }
      if (attributes.complete !== true) return { kind: "unfinished" };
    } finally {
      await store.close();
    }
    return { kind: "finished", result: await openResult(place) };
  }

  /** Why stored files are not what the steps told; `undefined` if they are. */
  async verify(steps: readonly StepRecord[]): Promise<Error | undefined> {
    const store = await openStore(this.#options.place);
    try {
      const chunks = storedChunks(steps);
      for (const [name, spec] of Object.entries(this.#specs)) {
        const writer = this.#writer(store, spec);
        const problem = await writer.verify(chunks[name] ?? []);
        if (problem) return problem;
      }
      return undefined;
    } finally {
      await store.close();
    }
  }

  /** Takes the place: coordinates first, then metadata; or goes on where the steps end. */
  async begin({ account, steps }: RunContext): Promise<void> {
    const { place, zarrFormat } = this.#options;
    this.#account = account;
    this.#held = 0;
    this.#written = 0;
    const store = await openStore(place, { mode: "write" });
    this.#store = store;
    const coordinates = this.#coordinates.map(({ spec, data }) =>
      coordinateBytes(spec, data, zarrFormat)
    );
    account.take("disk", this.#metadataBytes, "metadata");
    account.take("disk", coordinates.reduce((sum, bytes) => sum + bytes, 0), "coordinates");
    if (steps.length === 0) {
      await removeGroup(store);
      for (const { spec, data } of this.#coordinates) {
        await writeArray(store, spec, typeof data === "function" ? data() : data, zarrFormat);
      }
      // last: whoever finds the group finds its coordinates
      await writeGroup(store, this.#group(this.#attributes({ complete: false })));
    }
    this.#writers = {};
    const chunks = storedChunks(steps);
    for (const [name, spec] of Object.entries(this.#specs)) {
      const writer = this.#writer(store, spec);
      this.#writers[name] = writer;
      if (chunks[name]) await writer.restore(chunks[name]);
    }
    this.#countWriters();
  }

  /** Makes what a tile wrote safe. */
  async commit(pass: Pass, tile: Tile): Promise<Commit> {
    // every row is stored on the way back
    if (pass.direction === "forward") return { storedTo: tile.end, output: {} };
    let storedTo = tile.start;
    let replacing = false;
    const output: StoredChunks = {};
    for (const [name, writer] of Object.entries(this.#writers)) {
      const commit = await writer.commit();
      if (commit.chunks.length > 0) output[name] = commit.chunks;
      for (const [, end] of commit.openRows) {
        storedTo = Math.max(storedTo, (end - 1) % this.#options.lanes.rows + 1);
      }
      replacing ||= commit.replacing;
    }
    this.#countWriters();
    if (!tile.again) return { storedTo, output };
    // the log tells of files that replaced others alone
    return { storedTo: replacing ? tile.end : tile.start, output };
  }

  /** Which rows of the smoother may be written again. */
  redo(rows: "all" | "begun" | "none"): void {
    for (const [name, writer] of Object.entries(this.#writers)) {
      if (name.startsWith("acausal_")) writer.redo(rows);
    }
  }

  /** Takes rows from `start` on of every variable of a kind, by name. */
  async write(
    kind: "causal" | "acausal",
    start: number,
    values: Record<string, NumericArray>,
    signal: AbortSignal,
  ): Promise<void> {
    for (const [name, rows] of Object.entries(values)) {
      await this.#writers[`${kind}_${name}`]!.write(start, rows, signal);
    }
    this.#countWriters();
  }

  /** Completes the store and opens it. */
  async finish(
    marginalLogLikelihood: number,
    impossibleRows: number,
    report: RunReport,
  ): Promise<DecodeResult> {
    for (const writer of Object.values(this.#writers)) await writer.finish();
    this.#countWriters();
    await writeGroupAttributes(
      this.#store!,
      this.#group(this.#attributes({
        complete: true,
        marginal_log_likelihoods: [jsonNumber(marginalLogLikelihood)],
        impossible_rows: impossibleRows,
        ...(report.lanes && {
          lanes: {
            largest_distance: report.lanes.largestDistance,
            redone_rows: report.lanes.redoneRows,
          },
        }),
      })),
    );
    await this.release();
    const seconds: Record<string, number> = {};
    for (const [pass, stages] of Object.entries(report.passes)) {
      for (const [stage, value] of Object.entries(stages)) seconds[`${pass}.${stage}`] = value;
    }
    seconds.total = report.totalSeconds;
    return {
      ...(await openResult(this.#options.place)),
      projectedBytes: report.projectedBytes,
      peakBytes: report.peakBytes,
      seconds,
      ...(report.resumed && { resumed: report.resumed }),
    };
  }

  /** Lets go of the place. What is there stays, marked as incomplete unless it is finished. */
  async release(): Promise<void> {
    for (const writer of Object.values(this.#writers)) await writer.close();
    await this.#store?.close();
    this.#writers = {};
    this.#store = undefined;
  }

  #writer(store: Store, spec: ZarrArraySpec): ChunkWriter {
    const { zarrFormat: format, lanes } = this.#options;
    // the smoother goes backward, and the filtered rows it starts from with it
    return new ChunkWriter(store, spec, { format, descending: true, openChunks: lanes.count });
  }

  /** Tells the ledger what the writers hold and have written. */
  #countWriters(): void {
    const account = this.#account!;
    let held = 0;
    let written = 0;
    for (const writer of Object.values(this.#writers)) {
      held += writer.hostBytes;
      written += writer.bytesWritten;
    }
    if (held > this.#held) account.take("host", held - this.#held, "output chunks");
    else account.giveBack("host", this.#held - held);
    this.#held = held;
    if (written > this.#written) account.take("disk", written - this.#written, "output chunks");
    else account.giveBack("disk", this.#written - written);
    this.#written = written;
  }

  #group(attributes: Record<string, unknown>): ZarrGroupSpec {
    const coordinates = this.#coordinates.map(({ spec }) => spec);
    const { zarrFormat } = this.#options;
    return { zarrFormat, attributes, arrays: [...Object.values(this.#specs), ...coordinates] };
  }

  #attributes(state: Record<string, unknown>): Record<string, unknown> {
    const { droppedSpikes, encoding, time } = this.#options;
    return {
      format: FORMAT,
      format_version: FORMAT_VERSION,
      sluice_version: VERSION,
      plan_hash: this.#hash,
      parameters: this.#parameters(),
      adapter: this.#adapter,
      dropped_spikes: droppedSpikes,
      time_units: "seconds",
      time_bin_convention: BIN_CONVENTIONS[time.kind],
      rate_units: "Hz",
      encoding_exposure_seconds: encoding.exposureSeconds,
      ...(encoding.unitIds && { unit_ids: encoding.unitIds }),
      // what xarray makes coordinates, beside those named after their dim
      coordinates: this.#coordinates.map(({ spec }) => spec)
        .filter(({ name, dims }) => !dims.includes(name))
        .map(({ name }) => name).join(" "),
      ...state,
    };
  }

  #parameters(): Record<string, unknown> {
    const { model, time, grid, rowOutputs, causal } = this.#options;
    const { chunkRows, shardChunks, codec, zarrFormat, lanes, operator } = this.#options;
    return {
      states: withoutMatrices(model),
      operator,
      time: { ...time },
      grid: { bin_size: grid.binSize, shape: [...grid.shape] },
      ...rowOutputs.choices,
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
  }

  #conflict(what: string): OutputConflictError {
    const { place } = this.#options;
    return new OutputConflictError(`Cannot write to ${place}: it holds ${what}`, place);
  }

  async #hashFor(adapter: string): Promise<string> {
    const { inputs, grid, droppedSpikes, encoding } = this.#options;
    return await digestOf([
      JSON.stringify([
        FORMAT_VERSION,
        VERSION,
        this.#parameters(),
        adapter,
        droppedSpikes,
        encoding,
      ]),
      ...inputs,
      ...grid.edges,
      grid.interior,
    ]);
  }
}

/** A model as it is told in attributes; what a matrix holds, the hash knows. */
function withoutMatrices(model: StateModel): unknown {
  const transitions = model.transitions.map((row) =>
    row.map((block) => block.kind === "matrix" ? { kind: block.kind } : block)
  );
  return { ...model, transitions };
}

/** JSON has no infinities: they are written as zarr writes them. */
function jsonNumber(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/** The chunks that steps stored, by array. */
function storedChunks(steps: readonly StepRecord[]): StoredChunks {
  const all: StoredChunks = {};
  for (const { output } of steps) {
    for (const [name, chunks] of Object.entries(output as StoredChunks ?? {})) {
      (all[name] ??= []).push(...chunks);
    }
  }
  return all;
}

/** Bytes of the one chunk a coordinate is stored in. */
function coordinateBytes(
  spec: ZarrArraySpec,
  data: Coordinate["data"],
  format: ZarrFormat,
): number {
  if (spec.dtype !== "string") return ChunkWriter.projectedDiskBytes(spec, format);
  const texts = data as readonly string[];
  if (format === 2) return 4 * spec.stringLength! * texts.length;
  return texts.reduce((bytes, text) => bytes + 4 + new TextEncoder().encode(text).length, 4);
}

/** Characters of the longest string, 1 at least. */
function longest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, [...text].length), 1);
}

/** Times of rows, and which of them carry no evidence. */
function rowCoordinates(time: TimeGrid, missing: Uint8Array | undefined): Coordinate[] {
  const coordinate = (name: string, at: (row: number) => number): Coordinate => ({
    spec: {
      name,
      shape: [time.rows],
      chunkShape: [time.rows],
      dtype: "float64",
      dims: ["time"],
      attributes: { units: "s" },
    },
    data: () => Float64Array.from({ length: time.rows }, (_, row) => at(row)),
  });
  return [
    coordinate("time", (row) => rowTime(time, row)),
    ...(time.kind === "timestamps" ? [] : [
      coordinate("time_bin_start", (row) => edgeOf(time, row)),
      coordinate("time_bin_end", (row) => edgeOf(time, row + 1)),
    ]),
    ...(missing
      ? [{
        spec: {
          name: "is_missing",
          shape: [time.rows],
          chunkShape: [time.rows],
          dtype: "bool",
          dims: ["time"],
        } as const,
        data: missing,
      }]
      : []),
  ];
}

function coordinatesOf(grid: Grid, model: StateModel): Coordinate[] {
  const states = model.names.length;
  const coordinate = (
    name: string,
    dim: string,
    dtype: ZarrArraySpec["dtype"],
    data: NumericArray | readonly string[],
  ): Coordinate => ({
    spec: {
      name,
      shape: [data.length],
      chunkShape: [Math.max(1, data.length)],
      dtype,
      dims: [dim],
      ...(dtype === "string" && { stringLength: longest(data as readonly string[]) }),
    },
    data,
  });
  const interior = grid.interiorIndex;
  const box = Uint32Array.from(grid.interior.keys());
  /** A value for every bin of every state, `bins` being those of one. */
  const perBin = <Value>(bins: Uint32Array, value: (state: number, bin: number) => Value) =>
    Array.from(
      { length: states * bins.length },
      (_, i) => value(Math.floor(i / bins.length), bins[i % bins.length]!),
    );
  const binCoordinates = (prefix: string, dim: string, bins: Uint32Array) => [
    coordinate(`${prefix}state`, dim, "string", perBin(bins, (state) => model.names[state]!)),
    coordinate(
      `${prefix}state_ind`,
      dim,
      "int32",
      Int32Array.from(perBin(bins, (state) => state)),
    ),
    ...positionNames(grid.dimensions).map((name, dimension) =>
      coordinate(
        prefix + name,
        dim,
        "float64",
        Float64Array.from(perBin(bins, (_, bin) => binCenter(grid, bin, dimension))),
      )
    ),
  ];
  return [
    coordinate("states", "states", "string", model.names),
    ...binCoordinates("", "state_bins", interior),
    coordinate(
      "interior_index",
      "state_bins",
      "int32",
      Int32Array.from(perBin(interior, (state, bin) => state * box.length + bin)),
    ),
    // so that results on all bins of the box have coordinates too
    ...binCoordinates("full_", "full_state_bins", box),
    coordinate(
      "is_track_interior",
      "full_state_bins",
      "bool",
      Uint8Array.from(perBin(box, (_, bin) => grid.interior[bin]!)),
    ),
  ];
}
