/**
 * The stored result of a decode: its names, dims and coordinates, how it is written and opened.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { openArray, readAll } from "../array/array.ts";
import { ChunkError, OutputConflictError } from "../errors.ts";
import type { Account } from "../gpu/ledger.ts";
import { Journal, openJournal } from "../store/journal.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/store.ts";
import type { ZarrArraySpec, ZarrGroupSpec } from "../store/zarr_metadata.ts";
import { projectedMetadataBytes } from "../store/zarr_metadata.ts";
import { ChunkWriter, writeArray, writeGroup, writeGroupAttributes } from "../store/zarr_writer.ts";
import type { Tile } from "../stream/pass.ts";
import type { MemoryItem, RunReport } from "../stream/plan.ts";
import type { MemoryBytes, NumericArray } from "../types.ts";
import { VERSION } from "../version.ts";
import type { Grid } from "./grid.ts";
import type { StateModel } from "./states.ts";
import type { TimeGrid } from "./time_grid.ts";

/** A finished decode. */
export interface DecodeResult {
  /** `[time, state_bins]` f32: p(state bin | all spikes). Interior bins only. */
  posterior: ChunkedArray;
  /** `[time, states]` f32: the posterior summed over each discrete state. */
  states: ChunkedArray;
  /** `[time]` f64, seconds. */
  time: ChunkedArray;
  /** Centre of every state bin along each dimension, `[state_bins]` f64, position units. */
  binCenters: Float64Array[];
  /** Natural logarithm, summed over rows in f64. */
  marginalLogLikelihood: number;
  /** Spikes outside the decoded time grid. */
  droppedSpikes: number;
  /** Promised and measured bytes; 0 when nothing had to be computed. */
  projectedBytes: MemoryBytes;
  peakBytes: MemoryBytes;
  /** Seconds by stage, `<pass>.<stage>`, and `total`; empty when nothing had to be computed. */
  seconds: Record<string, number>;
  close(): Promise<void>;
}

/** Version of the layout written here; a reader refuses a newer one. */
const FORMAT = "sluice.decode";
const FORMAT_VERSION = 1;

export interface DecodeOutputOptions {
  place: string;
  overwrite: boolean;
  grid: Grid;
  model: StateModel;
  time: TimeGrid;
  chunkRows: number;
  causal: boolean;
  adapter: string;
  droppedSpikes: number;
  /** Arrays that decide the result, for the plan hash. */
  inputs: readonly ArrayBufferView[];
  /** Values of one checkpoint. */
  stateLength: number;
}

interface Coordinate {
  spec: ZarrArraySpec;
  data: NumericArray | readonly string[];
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
  #store: Store | undefined;
  #journal: Journal | undefined;
  #account: Account | undefined;
  #writers: Record<string, ChunkWriter> = {};
  /** Bytes the writers hold and have written, as last told to the ledger. */
  #held = 0;
  #written = 0;

  constructor(options: DecodeOutputOptions) {
    this.#options = options;
    this.causal = options.causal;
    const { grid, model, time, chunkRows } = options;
    const width = grid.interiorIndex.length * model.names.length;
    const rows = Math.min(chunkRows, time.rows);
    const posterior = (name: string, columns: number, dim: string): ZarrArraySpec => ({
      name,
      shape: [time.rows, columns],
      chunkShape: [rows, columns],
      dtype: "float32",
      dims: ["time", dim],
    });
    this.#specs = {};
    for (const kind of options.causal ? ["acausal", "causal"] : ["acausal"]) {
      const bins = `${kind}_posterior`;
      const states = `${kind}_state_probabilities`;
      this.#specs[bins] = posterior(bins, width, "state_bins");
      this.#specs[states] = posterior(states, model.names.length, "states");
    }
    this.#coordinates = coordinatesOf(grid, model, time);
    // as long as it can get: the attributes grow by the log-likelihood at the end
    const longest = this.#attributes({
      complete: false,
      marginal_log_likelihoods: [-Number.MAX_VALUE],
    });
    this.#metadataBytes = projectedMetadataBytes(this.#group(longest));
  }

  /** Host and disk bytes the output needs, for so many tiles. */
  memory(tiles: number): MemoryItem[] {
    const specs = Object.values(this.#specs);
    const sum = (bytes: readonly number[]) => bytes.reduce((total, part) => total + part, 0);
    const stored = sum(specs.map((spec) => ChunkWriter.projectedDiskBytes(spec)));
    const coordinates = sum(this.#coordinates.map(({ spec, data }) => coordinateBytes(spec, data)));
    return [
      {
        what: "output chunks being filled",
        kind: "host",
        bytes: sum(specs.map((spec) => ChunkWriter.projectedHostBytes(spec))),
      },
      { what: "posteriors", kind: "disk", bytes: stored },
      { what: "coordinates and metadata", kind: "disk", bytes: coordinates + this.#metadataBytes },
      {
        what: "checkpoints, removed at the end",
        kind: "disk",
        bytes: tiles * Journal.checkpointBytes(this.#options.stateLength),
      },
    ];
  }

  /**
   * Looks at the output place before any work.
   *
   * @returns The result, if this very plan has finished there before.
   * @throws {OutputConflictError} If something else is there.
   * @throws {StoreError} If the place cannot be written.
   */
  async check(): Promise<DecodeResult | undefined> {
    const { place, overwrite } = this.#options;
    this.#hash = await this.#planHash();
    const store = await openStore(place, { mode: "write" });
    try {
      const attributes = await readAttributes(store);
      if (attributes === undefined) {
        if ((await store.list("/")).length > 0) {
          throw new OutputConflictError(
            `Cannot write to ${place}: it holds files that are no decode, name another place`,
            place,
          );
        }
        return undefined;
      }
      if (attributes.format !== FORMAT) {
        throw new OutputConflictError(
          `Cannot write to ${place}: it holds another zarr store, name another place`,
          place,
        );
      }
      if (overwrite) return undefined;
      if (attributes.plan_hash !== this.#hash) {
        throw new OutputConflictError(
          `Cannot write to ${place}: it holds the decode of another plan, allow overwriting or name ` +
            "another place",
          place,
        );
      }
      if (attributes.complete !== true) return undefined;
    } finally {
      await store.close();
    }
    return await openResult(place);
  }

  /** Takes the place: metadata first, then coordinates. */
  async begin(account: Account): Promise<void> {
    const { place } = this.#options;
    this.#account = account;
    this.#held = 0;
    this.#written = 0;
    this.#store = await openStore(place, { mode: "write" });
    this.#journal = await openJournal(place);
    await this.#journal.deleteAll();
    await this.#store.deleteAll();
    await writeGroup(this.#store, this.#group(this.#attributes({ complete: false })));
    account.take("disk", this.#metadataBytes, "metadata");
    for (const { spec, data } of this.#coordinates) {
      account.take("disk", await writeArray(this.#store, spec, data), spec.name);
    }
    this.#writers = {};
    for (const [name, spec] of Object.entries(this.#specs)) {
      this.#writers[name] = new ChunkWriter(this.#store, spec);
    }
  }

  async saveCheckpoint(tile: Tile, state: Float32Array): Promise<void> {
    await this.#journal!.saveCheckpoint(tile.index, state);
    this.#account!.take("disk", Journal.checkpointBytes(state.length), "checkpoint");
  }

  async loadCheckpoint(tile: Tile): Promise<Float32Array> {
    const state = await this.#journal!.loadCheckpoint(tile.index);
    if (state) return state;
    const { place } = this.#journal!;
    throw new ChunkError(`Cannot smooth: checkpoint ${tile.index} is missing in ${place}`, place);
  }

  writeCausal(
    start: number,
    posterior: Float32Array,
    states: Float32Array,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#write("causal", start, posterior, states, signal);
  }

  writeAcausal(
    start: number,
    posterior: Float32Array,
    states: Float32Array,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#write("acausal", start, posterior, states, signal);
  }

  /** Completes the store and opens it. */
  async finish(marginalLogLikelihood: number, report: RunReport): Promise<DecodeResult> {
    for (const writer of Object.values(this.#writers)) await writer.finish();
    this.#countWriters();
    const store = this.#store!;
    await writeGroupAttributes(
      store,
      this.#attributes({
        complete: true,
        marginal_log_likelihoods: [jsonNumber(marginalLogLikelihood)],
      }),
    );
    await this.#journal!.deleteAll();
    await this.#close();
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
    };
  }

  /** Lets go of the place after a failure. What is there stays marked as incomplete. */
  async release(): Promise<void> {
    await this.#journal?.deleteAll().catch(() => {});
    await this.#close();
  }

  async #close(): Promise<void> {
    await this.#journal?.close();
    await this.#store?.close();
    this.#journal = undefined;
    this.#store = undefined;
  }

  async #write(
    kind: "causal" | "acausal",
    start: number,
    posterior: Float32Array,
    states: Float32Array,
    signal: AbortSignal,
  ): Promise<void> {
    const bins = this.#writers[`${kind}_posterior`]!;
    const probabilities = this.#writers[`${kind}_state_probabilities`]!;
    await bins.write(start, posterior, signal);
    await probabilities.write(start, states, signal);
    this.#countWriters();
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
    account.take("disk", written - this.#written, "output chunks");
    this.#written = written;
  }

  #group(attributes: Record<string, unknown>): ZarrGroupSpec {
    const coordinates = this.#coordinates.map(({ spec }) => spec);
    return { attributes, arrays: [...Object.values(this.#specs), ...coordinates] };
  }

  #attributes(state: Record<string, unknown>): Record<string, unknown> {
    const { adapter, droppedSpikes } = this.#options;
    return {
      format: FORMAT,
      format_version: FORMAT_VERSION,
      sluice_version: VERSION,
      plan_hash: this.#hash,
      parameters: this.#parameters(),
      adapter,
      dropped_spikes: droppedSpikes,
      // what xarray makes coordinates, beside those named after their dim
      coordinates: this.#coordinates.map(({ spec }) => spec)
        .filter(({ name, dims }) => !dims.includes(name))
        .map(({ name }) => name).join(" "),
      ...state,
    };
  }

  #parameters(): Record<string, unknown> {
    const { model, time, grid, chunkRows, causal } = this.#options;
    return {
      states: model,
      time: { start: time.start, step: time.step, rows: time.rows },
      grid: { bin_size: grid.binSize, shape: [...grid.shape] },
      chunk_rows: chunkRows,
      causal,
    };
  }

  /** SHA-256 over everything that changes the stored bytes. */
  async #planHash(): Promise<string> {
    const { inputs, grid, adapter, droppedSpikes } = this.#options;
    const digest = async (data: ArrayBufferView | string) => {
      const bytes = typeof data === "string"
        ? new TextEncoder().encode(data)
        : new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    };
    const parts: string[] = [
      JSON.stringify([FORMAT_VERSION, VERSION, this.#parameters(), adapter, droppedSpikes]),
    ];
    for (const input of [...inputs, ...grid.edges, grid.interior]) parts.push(await digest(input));
    return await digest(parts.join("\n"));
  }
}

/**
 * Opens a finished decode.
 *
 * @throws {ChunkError} If there is no decode at `place`, it is unfinished, or a newer version wrote it.
 */
export async function openResult(place: string): Promise<DecodeResult> {
  const store = await openStore(place);
  const attributes = await readAttributes(store);
  await store.close();
  if (attributes?.format !== FORMAT) {
    throw new ChunkError(`Cannot open ${place}: no decode is stored there`, place);
  }
  if ((attributes.format_version as number) > FORMAT_VERSION) {
    throw new ChunkError(
      `Cannot open ${place}: it has format version ${attributes.format_version}, this package reads ` +
        `up to ${FORMAT_VERSION}`,
      place,
    );
  }
  if (attributes.complete !== true) {
    throw new ChunkError(`Cannot open ${place}: the decode has not finished, run it again`, place);
  }
  const posterior = await openArray(`${place}/acausal_posterior`);
  const states = await openArray(`${place}/acausal_state_probabilities`);
  const time = await openArray(`${place}/time`);
  const flat = (attributes.parameters as { grid: { shape: number[] } }).grid.shape.length === 1;
  const binCenters = await Promise.all(
    positionNames(flat ? 1 : 2).map(async (name) => {
      const centers = await openArray(`${place}/${name}`);
      const values = await readAll(centers);
      await centers.close();
      return values as Float64Array;
    }),
  );
  const nothing = () => ({ gpu: 0, host: 0, disk: 0 });
  return {
    posterior,
    states,
    time,
    binCenters,
    marginalLogLikelihood: Number((attributes.marginal_log_likelihoods as unknown[])[0]),
    droppedSpikes: attributes.dropped_spikes as number,
    projectedBytes: nothing(),
    peakBytes: nothing(),
    seconds: {},
    async close() {
      await posterior.close();
      await states.close();
      await time.close();
    },
  };
}

/**
 * Mean of the smoothed position in every row, read one chunk at a time.
 *
 * @returns One array a dimension, `[time]` f64, position units.
 */
export async function posteriorMean(result: DecodeResult): Promise<Float64Array[]> {
  const { posterior, binCenters } = result;
  const [rows, width] = posterior.shape as [number, number];
  const means = binCenters.map(() => new Float64Array(rows));
  for (let start = 0; start < rows; start += posterior.chunkRows) {
    const end = Math.min(rows, start + posterior.chunkRows);
    const values = await posterior.read(start, end) as Float32Array;
    for (let row = start; row < end; row++) {
      const at = (row - start) * width;
      let mass = 0;
      for (let bin = 0; bin < width; bin++) mass += values[at + bin]!;
      binCenters.forEach((centers, dimension) => {
        let sum = 0;
        for (let bin = 0; bin < width; bin++) sum += values[at + bin]! * centers[bin]!;
        means[dimension]![row] = sum / mass;
      });
    }
  }
  return means;
}

/** Names of the coordinates of state bins. */
function positionNames(dimensions: 1 | 2): string[] {
  return dimensions === 1 ? ["position"] : ["x_position", "y_position"];
}

/** JSON has no infinities: they are written as zarr writes them. */
function jsonNumber(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

async function readAttributes(store: Store): Promise<Record<string, unknown> | undefined> {
  const bytes = await store.get("/zarr.json");
  if (!bytes) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)).attributes ?? {};
  } catch (cause) {
    throw new ChunkError(`Cannot read ${store.place}: zarr.json is no JSON`, store.place, cause);
  }
}

function coordinateBytes(spec: ZarrArraySpec, data: NumericArray | readonly string[]): number {
  if (spec.dtype !== "string") return (data as NumericArray).byteLength;
  const texts = data as readonly string[];
  return texts.reduce((bytes, text) => bytes + 4 + new TextEncoder().encode(text).length, 4);
}

function coordinatesOf(grid: Grid, model: StateModel, time: TimeGrid): Coordinate[] {
  const states = model.names.length;
  const interior = grid.interiorIndex.length;
  const box = grid.interior.length;
  const width = states * interior;
  const columns = grid.shape[grid.dimensions - 1]!;
  const coordinate = (
    name: string,
    dim: string,
    dtype: ZarrArraySpec["dtype"],
    data: NumericArray | readonly string[],
    attributes?: Record<string, unknown>,
  ): Coordinate => ({
    spec: {
      name,
      shape: [data.length],
      chunkShape: [Math.max(1, data.length)],
      dtype,
      dims: [dim],
      ...(attributes && { attributes }),
    },
    data,
  });
  const perBin = <Value>(value: (state: number, bin: number) => Value) =>
    Array.from(
      { length: width },
      (_, i) => value(Math.floor(i / interior), grid.interiorIndex[i % interior]!),
    );
  const centers = (dimension: number) =>
    Float64Array.from(perBin((_, bin) => {
      const index = grid.dimensions === 1
        ? bin
        : dimension === 0
        ? Math.floor(bin / columns)
        : bin % columns;
      return grid.centers[dimension]![index]!;
    }));
  const positions = positionNames(grid.dimensions);
  const full = Uint8Array.from({ length: states * box }, (_, i) => grid.interior[i % box]!);
  return [
    coordinate(
      "time",
      "time",
      "float64",
      Float64Array.from({ length: time.rows }, (_, row) => time.start + row * time.step),
      { units: "s" },
    ),
    coordinate("states", "states", "string", model.names),
    coordinate("state", "state_bins", "string", perBin((state) => model.names[state]!)),
    coordinate("state_ind", "state_bins", "int32", Int32Array.from(perBin((state) => state))),
    ...positions.map((name, dimension) =>
      coordinate(name, "state_bins", "float64", centers(dimension))
    ),
    coordinate(
      "interior_index",
      "state_bins",
      "int32",
      Int32Array.from(perBin((state, bin) => state * box + bin)),
    ),
    coordinate("is_track_interior", "full_state_bins", "bool", full),
  ];
}
