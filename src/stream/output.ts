/**
 * What a task stores: a zarr group whose arrays are written row by row while passes run, or at the end;
 * or the same arrays in memory, where no place is named.
 *
 * @module
 */

import { fromTypedArray, openArray, readAll } from "../array/array.ts";
import { ChunkError, OutputConflictError } from "../errors.ts";
import type { Account } from "../gpu/ledger.ts";
import type { Claim } from "../store/journal.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/open_store.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import type { NumericArray } from "../types.ts";
import { VERSION } from "../version.ts";
import type { StoredChunk } from "../zarr/chunk_writer.ts";
import { ChunkWriter } from "../zarr/chunk_writer.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { createElements, elementBytes, elementCount } from "../zarr/data_types.ts";
import {
  removeArrays,
  storedBytes,
  writeArray,
  writeGroup,
  writeGroupAttributes,
} from "../zarr/group_writer.ts";
import type { ZarrArraySpec, ZarrFormat, ZarrGroupSpec } from "../zarr/metadata.ts";
import { projectedMetadataBytes, readGroupAttributes } from "../zarr/metadata.ts";
import type { Tile } from "./pass.ts";

/** An array that is there before the first row is computed. */
export interface Coordinate {
  spec: ZarrArraySpec;
  /** Values, or what makes them: those of rows are not held while a task runs. */
  data: NumericArray | readonly string[] | (() => NumericArray);
}

/** The arrays and attributes of a task's result, and where they go. */
export interface OutputSpec {
  /** What it is: `kmeans`, `pca`, `decode`. The attribute `format` is `sluice.<kind>`. */
  kind: string;
  /** Version of the layout; a reader refuses a newer one. */
  formatVersion: number;
  /** A path, `file:`, `opfs:` or `memory:` place. Results are only returned when not given. */
  place?: string | undefined;
  /** Replaces a result that is already there. */
  overwrite?: boolean | undefined;
  /** Adapter whose numbers these are. */
  adapter: string;
  /** Goes on with an unfinished result that another adapter began. */
  allowAdapterChange?: boolean | undefined;
  /** Written row by row, along the first axis. */
  streamed: readonly ZarrArraySpec[];
  /** Written at the end. */
  whole: readonly ZarrArraySpec[];
  coordinates?: readonly Coordinate[];
  /** What is known beforehand. */
  attributes: Record<string, unknown>;
  /** What the end of a run will add, at its longest. */
  longest?: Record<string, unknown>;
  zarrFormat?: ZarrFormat;
  /** Whether rows come from the last to the first. */
  descending?: boolean;
  /** Stretches of rows that are written side by side, and the rows of one. */
  lanes?: { count: number; rows: number };
}

/** What a task makes of all it computed: arrays and facts that are stored as they are. */
export interface Outcome {
  /** By the names of {@link OutputSpec.whole}. */
  values?: Record<string, NumericArray>;
  /** Attributes, by their names in the store. */
  facts?: Record<string, unknown>;
}

/** What was stored, or is held in memory where no place was named. */
export interface Stored {
  /** `undefined` for a result that is only returned. */
  place: string | undefined;
  attributes: Record<string, unknown>;
  /** Opens an array; one that lies in memory has its `values`. */
  open(name: string): Promise<ChunkedArray>;
  /** All of an array. */
  read(name: string): Promise<NumericArray>;
}

/** Chunks that are stored for good, by array. */
export type StoredChunks = Record<string, StoredChunk[]>;

/** A line of the memory table. */
export interface OutputItem {
  what: string;
  kind: "host" | "disk";
  bytes: number;
}

/** What a place holds, before any work. */
export interface Found {
  kind: "nothing" | "unfinished" | "finished";
  /** Hash of the plan whose finished result may be replaced. */
  replaces?: string;
}

/** What a run asks of an output, stored or not. */
export interface Output {
  memory(): OutputItem[];
  /**
   * Looks at the place.
   *
   * @param claim Of the journal beside it.
   * @throws {OutputConflictError} If something else is there.
   */
  check(
    hash: string,
    claim: Claim | undefined,
    hashFor: (adapter: string) => Promise<string>,
  ): Promise<Found>;
  /** Why stored files are not what earlier checkpoints told; `undefined` if they are. */
  verify(chunks: StoredChunks): Promise<Error | undefined>;
  /** Takes the place, or goes on where checkpoints end. */
  begin(account: Account, hash: string, adapter: string, chunks?: StoredChunks): Promise<void>;
  /** Takes rows from `start` on. */
  write(name: string, start: number, values: NumericArray, signal: AbortSignal): Promise<void>;
  /** Makes safe what is complete; tells up to where, counted in a lane, a tile's rows are. */
  commit(tile: Tile, forward: boolean): Promise<{ storedTo: number; chunks: StoredChunks }>;
  /** Which rows of arrays that one pass writes may come again. */
  redo(names: readonly string[], rows: "all" | "begun" | "none"): void;
  finish(outcome: Outcome): Promise<Stored>;
  /** Lets go of the place. What is there stays. */
  release(): Promise<void>;
}

/** Rows of a chunk of small arrays, in bytes. */
const CHUNK_BYTES = 4 * 2 ** 20;
/** Bytes a stored chunk takes in an entry of the journal's log. */
const LOGGED_CHUNK_BYTES = 64;

/** A variable in chunks of at most 4 MiB. */
export function variable(
  name: string,
  dtype: NumericType,
  shape: readonly number[],
  dims: readonly string[],
): ZarrArraySpec {
  const rowBytes = elementBytes(dtype) * elementCount(shape.slice(1));
  const rows = Math.max(1, Math.min(shape[0]!, Math.floor(CHUNK_BYTES / rowBytes)));
  return { name, dtype, shape, dims, chunkShape: [rows, ...shape.slice(1)] };
}

/** The output of one run, in a store or in memory. */
export function createOutput(spec: OutputSpec): Output {
  return spec.place === undefined ? new MemoryOutput(spec) : new StoredOutput(spec, spec.place);
}

const sum = (bytes: readonly number[]) => bytes.reduce((total, part) => total + part, 0);

export class StoredOutput implements Output {
  readonly #spec: OutputSpec;
  readonly #place: string;
  readonly #metadataBytes: number;
  readonly #coordinateBytes: number;
  #hash = "";
  /** The adapter whose numbers are there: an earlier run's, if this one goes on with it. */
  #adapter = "";
  #store: Store | undefined;
  #account!: Account;
  #writers: Record<string, ChunkWriter> = {};
  /** Bytes the writers hold and have written, as last told to the account. */
  #held = 0;
  #written = 0;

  constructor(spec: OutputSpec, place: string) {
    this.#spec = spec;
    this.#place = place;
    const { zarrFormat, coordinates = [], longest } = spec;
    this.#coordinateBytes = sum(
      coordinates.map(({ spec, data }) =>
        storedBytes(spec, typeof data === "function" ? undefined : data, zarrFormat)
      ),
    );
    this.#hash = "0".repeat(64);
    this.#adapter = spec.adapter;
    this.#metadataBytes = projectedMetadataBytes(this.#group(false, longest));
  }

  memory(): OutputItem[] {
    const { streamed, whole, zarrFormat, lanes } = this.#spec;
    const disk = (specs: readonly ZarrArraySpec[]) =>
      sum(specs.map((spec) => ChunkWriter.projectedDiskBytes(spec, zarrFormat)));
    // a file that is written again lies beside the one it will replace
    const again = (lanes?.count ?? 1) === 1 ? 0 : disk(streamed.map((spec) => {
      const { chunkShape, shardChunks = 1 } = spec;
      const rows = Math.min(chunkShape[0]! * shardChunks, spec.shape[0]!);
      return { ...spec, shape: [rows, ...spec.shape.slice(1)] };
    }));
    const chunks = sum(
      streamed.map(({ shape, chunkShape }) => Math.ceil(shape[0]! / chunkShape[0]!)),
    );
    const hostOf = (spec: ZarrArraySpec, open = 1) =>
      ChunkWriter.projectedHostBytes(spec, zarrFormat, open);
    return [
      {
        what: "output chunks being filled",
        kind: "host",
        bytes: Math.max(
          sum(streamed.map((spec) => hostOf(spec, lanes?.count))),
          ...whole.map((spec) => hostOf(spec)),
        ),
      },
      { what: "result", kind: "disk", bytes: disk(streamed) + disk(whole) + again },
      {
        what: "coordinates and metadata",
        kind: "disk",
        bytes: this.#coordinateBytes + this.#metadataBytes,
      },
      {
        what: "list of stored chunks, removed at the end",
        kind: "disk",
        bytes: ((lanes?.count ?? 1) === 1 ? 1 : 2) * chunks * LOGGED_CHUNK_BYTES,
      },
    ];
  }

  async check(
    hash: string,
    claim: Claim | undefined,
    hashFor: (adapter: string) => Promise<string>,
  ): Promise<Found> {
    const { kind, overwrite, adapter } = this.#spec;
    const begun = claim?.hash === hash;
    const store = await openStore(this.#place, { mode: "write" });
    try {
      const group = await readGroupAttributes(store);
      if (!group) {
        const foreign = await this.#foreign(store);
        if (foreign.length > 0) {
          throw this.#conflict(
            `files that are no result, such as ${foreign[0]}; name another place`,
          );
        }
        // what a run that was killed in its first moments left has our names
        if (begun) return { kind: overwrite ? "nothing" : "unfinished" };
        if ((await store.list("/")).length > 0) {
          throw this.#conflict("files that are no result; name another place");
        }
        if (claim && !overwrite) {
          throw this.#conflict(
            "what another plan, or this one on another adapter, has not finished; run that to its " +
              "end, allow overwriting or name another place",
          );
        }
        return { kind: "nothing" };
      }
      const { attributes } = group;
      if (attributes.format !== formatOf(kind)) {
        throw this.#conflict("another zarr store, name another place");
      }
      const found = attributes.plan_hash as string;
      if (overwrite) return { kind: "nothing", replaces: found };
      if (found === hash) {
        return { kind: attributes.complete === false ? "unfinished" : "finished" };
      }
      // that was allowed when this plan began
      if (begun && claim.replaces === found) return { kind: "nothing", replaces: found };
      const stored = attributes.adapter as string;
      throw this.#conflict(
        found === await hashFor(stored)
          ? `a result of this plan on another adapter, "${stored}", not on "${adapter}"; allow ` +
            "the change of adapter, overwriting, or name another place"
          : "the result of another plan, allow overwriting or name another place",
      );
    } finally {
      await store.close();
    }
  }

  async verify(chunks: StoredChunks): Promise<Error | undefined> {
    const store = await openStore(this.#place);
    try {
      for (const spec of this.#spec.streamed) {
        const problem = await this.#writer(store, spec).verify(chunks[spec.name] ?? []);
        if (problem) return problem;
      }
      return undefined;
    } finally {
      await store.close();
    }
  }

  async begin(
    account: Account,
    hash: string,
    adapter: string,
    chunks?: StoredChunks,
  ): Promise<void> {
    this.#account = account;
    this.#hash = hash;
    this.#adapter = adapter;
    this.#held = 0;
    this.#written = 0;
    const { coordinates = [], streamed, zarrFormat } = this.#spec;
    const store = await openStore(this.#place, { mode: "write" });
    this.#store = store;
    account.take("disk", this.#metadataBytes, "metadata");
    account.take("disk", this.#coordinateBytes, "coordinates");
    if (!chunks) {
      await removeArrays(store, this.#names);
      for (const { spec, data } of coordinates) {
        await writeArray(store, spec, typeof data === "function" ? data() : data, zarrFormat);
      }
      // last: whoever finds the group finds its coordinates
      await writeGroup(store, this.#group(false));
    }
    this.#writers = {};
    for (const spec of streamed) {
      const writer = this.#writer(store, spec);
      this.#writers[spec.name] = writer;
      if (chunks?.[spec.name]) await writer.restore(chunks[spec.name]!);
    }
    this.#count();
  }

  async write(
    name: string,
    start: number,
    values: NumericArray,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#writers[name]!.write(start, values, signal);
    this.#count();
  }

  async commit({ start, end, again }: Tile, forward: boolean) {
    const { lanes } = this.#spec;
    let storedTo = forward ? end : start;
    let replacing = false;
    const chunks: StoredChunks = {};
    for (const [name, writer] of Object.entries(this.#writers)) {
      const commit = await writer.commit();
      if (commit.chunks.length > 0) chunks[name] = commit.chunks;
      for (const [from, to] of commit.openRows) {
        storedTo = forward
          ? Math.min(storedTo, lanes ? from % lanes.rows : from)
          : Math.max(storedTo, lanes ? (to - 1) % lanes.rows + 1 : to);
      }
      replacing ||= commit.replacing;
    }
    this.#count();
    // of rows that come again the log tells of files that replaced others alone
    if (again) storedTo = replacing ? (forward ? start : end) : (forward ? end : start);
    return { storedTo, chunks };
  }

  redo(names: readonly string[], rows: "all" | "begun" | "none"): void {
    for (const name of names) this.#writers[name]!.redo(rows);
  }

  async finish({ values = {}, facts }: Outcome): Promise<Stored> {
    const { whole, zarrFormat } = this.#spec;
    for (const writer of Object.values(this.#writers)) await writer.finish();
    this.#count();
    for (const spec of whole) {
      const held = ChunkWriter.projectedHostBytes(spec, zarrFormat);
      this.#account.take("host", held, "output chunks");
      const bytes = await writeArray(this.#store!, spec, values[spec.name]!, zarrFormat);
      this.#account.giveBack("host", held);
      this.#account.take("disk", bytes, "result");
    }
    const group = this.#group(true, facts);
    await writeGroupAttributes(this.#store!, group);
    await this.release();
    return storedAt(this.#place, group.attributes);
  }

  async release(): Promise<void> {
    for (const writer of Object.values(this.#writers)) await writer.close();
    await this.#store?.close();
    this.#writers = {};
    this.#store = undefined;
  }

  get #names(): string[] {
    const { streamed, whole, coordinates = [] } = this.#spec;
    return [...streamed, ...whole, ...coordinates.map(({ spec }) => spec)].map(({ name }) => name);
  }

  /** Keys of files that no run of this kind makes. */
  async #foreign(store: Store): Promise<string[]> {
    const own = new Set(this.#names);
    const roots = ["zarr.json", ".zgroup", ".zattrs", ".zmetadata"];
    return (await store.list("/")).filter((key) => {
      const [first, ...rest] = key.slice(1).split("/");
      return rest.length === 0 ? !roots.includes(first!) : !own.has(first!);
    });
  }

  #writer(store: Store, spec: ZarrArraySpec): ChunkWriter {
    const { zarrFormat: format, descending = false, lanes } = this.#spec;
    return new ChunkWriter(store, spec, {
      ...(format && { format }),
      descending,
      openChunks: lanes?.count ?? 1,
    });
  }

  /** Tells the account what the writers hold and have written. */
  #count(): void {
    const account = this.#account;
    let held = 0;
    let written = 0;
    for (const writer of Object.values(this.#writers)) {
      held += writer.hostBytes;
      written += writer.bytesWritten;
    }
    if (held > this.#held) account.take("host", held - this.#held, "output chunks");
    else account.giveBack("host", this.#held - held);
    this.#held = held;
    if (written > this.#written) account.take("disk", written - this.#written, "result");
    else account.giveBack("disk", this.#written - written);
    this.#written = written;
  }

  #group(complete: boolean, facts?: Record<string, unknown>): ZarrGroupSpec {
    const who = { plan_hash: this.#hash, adapter: this.#adapter };
    return groupOf(this.#spec, who, { complete, ...facts });
  }

  #conflict(what: string): OutputConflictError {
    return new OutputConflictError(
      `Cannot write to ${this.#place}: it holds ${what}`,
      this.#place,
    );
  }
}

/** Arrays that are returned. */
class MemoryOutput implements Output {
  readonly #spec: OutputSpec;
  #account: Account | undefined;
  #arrays: Record<string, NumericArray> = {};

  constructor(spec: OutputSpec) {
    this.#spec = spec;
  }

  memory(): OutputItem[] {
    return [{ what: "result", kind: "host", bytes: this.#bytes }];
  }

  check(): Promise<Found> {
    return Promise.resolve({ kind: "nothing" });
  }

  verify(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  begin(account: Account): Promise<void> {
    this.#account = account;
    account.take("host", this.#bytes, "result");
    const arrays = this.#spec.streamed.map(({ name, dtype, shape }) => [
      name,
      createElements(dtype as NumericType, elementCount(shape)),
    ]);
    this.#arrays = Object.fromEntries(arrays);
    return Promise.resolve();
  }

  write(name: string, start: number, values: NumericArray): Promise<void> {
    const { shape } = this.#spec.streamed.find((spec) => spec.name === name)!;
    this.#arrays[name]!.set(
      values as ArrayLike<number> & never,
      start * elementCount(shape.slice(1)),
    );
    return Promise.resolve();
  }

  commit({ start, end }: Tile, forward: boolean) {
    return Promise.resolve({ storedTo: forward ? end : start, chunks: {} });
  }

  redo(): void {}

  finish({ values = {}, facts = {} }: Outcome): Promise<Stored> {
    this.#account!.giveBack("host", this.#bytes);
    const { streamed, whole, attributes } = this.#spec;
    const arrays: Record<string, NumericArray> = { ...this.#arrays, ...values };
    this.#arrays = {};
    const shapes = new Map([...streamed, ...whole].map(({ name, shape }) => [name, shape]));
    const open = (name: string) => fromTypedArray(arrays[name]!, [...shapes.get(name)!]);
    return Promise.resolve({
      place: undefined,
      attributes: { ...attributes, ...facts },
      open: (name: string) => Promise.resolve(open(name)),
      read: (name: string) => Promise.resolve(arrays[name]!),
    });
  }

  release(): Promise<void> {
    this.#arrays = {};
    return Promise.resolve();
  }

  get #bytes(): number {
    const { streamed, whole } = this.#spec;
    return sum(
      [...streamed, ...whole].map(({ dtype, shape }) =>
        elementBytes(dtype as NumericType) * elementCount(shape)
      ),
    );
  }
}

/** Metadata of a result, with what is to be told of it. */
function groupOf(
  { kind, formatVersion, streamed, whole, coordinates = [], attributes, zarrFormat }: OutputSpec,
  who: { plan_hash: string; adapter: string },
  state: Record<string, unknown>,
): ZarrGroupSpec {
  const own = coordinates.map(({ spec }) => spec);
  return {
    ...(zarrFormat && { zarrFormat }),
    attributes: {
      format: formatOf(kind),
      format_version: formatVersion,
      sluice_version: VERSION,
      ...who,
      ...attributes,
      // what xarray makes coordinates, beside those named after their dim
      ...(own.length > 0 && {
        coordinates: own.filter(({ name, dims }) => !dims.includes(name))
          .map(({ name }) => name).join(" "),
      }),
      ...state,
    },
    arrays: [...streamed, ...whole, ...own],
  };
}

/** Stores a small result at once, in place of what is there: whoever finds the group finds all of it. */
export async function storeResult(
  spec: OutputSpec & { place: string },
  hash: string,
  { values = {}, facts }: Outcome,
): Promise<void> {
  const store = await openStore(spec.place, { mode: "write" });
  try {
    await removeArrays(store, spec.whole.map(({ name }) => name));
    for (const own of spec.whole) await writeArray(store, own, values[own.name]!, spec.zarrFormat);
    const who = { plan_hash: hash, adapter: spec.adapter };
    await writeGroup(store, groupOf(spec, who, { complete: true, ...facts }));
  } finally {
    await store.close();
  }
}

/**
 * Reads what a result says of itself.
 *
 * @throws {ChunkError} If none of this kind is at `place`, it is not finished, or a newer version wrote it.
 */
export async function openStored(
  place: string,
  { kind, formatVersion }: Pick<OutputSpec, "kind" | "formatVersion">,
): Promise<Stored> {
  const store = await openStore(place);
  try {
    const group = await readGroupAttributes(store);
    const { format, format_version: version, complete } = group?.attributes ?? {};
    const why = format !== formatOf(kind)
      ? `${format === undefined ? "no result is stored there" : `it holds "${format}"`}, wanted "${
        formatOf(kind)
      }"`
      : version as number > formatVersion
      ? `it has format version ${version}, this package reads up to ${formatVersion}`
      : complete === false
      ? "its run has not finished, run it again"
      : undefined;
    if (why) throw new ChunkError(`Cannot open ${place}: ${why}`, place);
    return storedAt(place, group!.attributes);
  } finally {
    await store.close();
  }
}

function storedAt(place: string, attributes: Record<string, unknown>): Stored {
  const open = (name: string) => openArray(`${place}/${name}`);
  return {
    place,
    attributes,
    open,
    async read(name) {
      const array = await open(name);
      try {
        return await readAll(array);
      } finally {
        await array.close();
      }
    },
  };
}

/** What a group says of itself; `undefined` if there is none. */
export async function storedAttributes(
  place: string,
): Promise<Record<string, unknown> | undefined> {
  const store = await openStore(place);
  try {
    return (await readGroupAttributes(store))?.attributes;
  } finally {
    await store.close();
  }
}

function formatOf(kind: string): string {
  return `sluice.${kind}`;
}
