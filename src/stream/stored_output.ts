/**
 * An output that is a zarr group at a place.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import type { Account } from "../gpu/ledger.ts";
import type { Claim } from "../store/journal.ts";
import { openStore } from "../store/open_store.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import type { FileSums } from "../zarr/checksums.ts";
import { CHECKSUMS_KEY, problemOfFile, readChecksums } from "../zarr/checksums.ts";
import { ChunkWriter } from "../zarr/chunk_writer.ts";
import {
  metadataSums,
  projectedChecksumBytes,
  removeArrays,
  storedBytes,
  writeArray,
  writeChecksums,
  writeGroup,
  writeGroupAttributes,
} from "../zarr/group_writer.ts";
import type { ZarrArraySpec, ZarrGroupSpec } from "../zarr/metadata.ts";
import { projectedMetadataBytes } from "../zarr/metadata.ts";
import type {
  Found,
  Outcome,
  Output,
  OutputItem,
  OutputSpec,
  Stored,
  StoredChunks,
} from "./output.ts";
import type { Tile } from "./pass.ts";
import { groupOf, lookAtPlace, storedAt } from "./places.ts";

/** Bytes a stored chunk takes in an entry of the journal's log. */
const LOGGED_CHUNK_BYTES = 64;

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
  /** Of coordinates. */
  #sums: FileSums = new Map();
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
    const group = this.#group(false, longest);
    this.#metadataBytes = projectedMetadataBytes(group) + projectedChecksumBytes(group);
  }

  memory(): OutputItem[] {
    return storedMemory(this.#spec, this.#coordinateBytes + this.#metadataBytes);
  }

  check(
    hash: string,
    claim: Claim | undefined,
    hashFor: (adapter: string) => Promise<string>,
  ): Promise<Found> {
    return lookAtPlace(this.#spec, this.#place, this.#names, { hash, claim, hashFor });
  }

  async verify(chunks: StoredChunks): Promise<Error | undefined> {
    const store = await openStore(this.#place);
    try {
      const problem = await this.#verifyCoordinates(store);
      if (problem) return problem;
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
    const group = this.#group(false);
    const { arrays, own: begun } = metadataSums(group);
    const list = async () =>
      await writeChecksums(store, { files: new Map([...arrays, ...this.#sums]), begun });
    this.#sums = new Map();
    if (!chunks) {
      await removeArrays(store, this.#names);
      for (const { spec, data } of coordinates) {
        const values = typeof data === "function" ? data() : data;
        await writeArray(store, spec, values, zarrFormat, this.#sums);
      }
      await list();
      // last: whoever finds the group finds its coordinates, and what they have to be
      await writeGroup(store, group);
    } else {
      this.#sums = this.#coordinateSums((await readChecksums(store))!.files);
      // a run that was killed when it was all but done told of arrays that may be written again
      await list();
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
    const { lanes, passRow = (row: number) => row } = this.#spec;
    let storedTo = forward ? end : start;
    let replacing = false;
    const chunks: StoredChunks = {};
    for (const [name, writer] of Object.entries(this.#writers)) {
      const commit = await writer.commit();
      if (commit.chunks.length > 0) chunks[name] = commit.chunks;
      for (const [from, to] of commit.openRows) {
        storedTo = forward
          ? Math.min(storedTo, lanes ? from % lanes.rows : passRow(from))
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
    const wholeSums: FileSums = new Map();
    for (const spec of whole) {
      const held = ChunkWriter.projectedHostBytes(spec, zarrFormat);
      this.#account.take("host", held, "output chunks");
      const bytes = await writeArray(this.#store!, spec, values[spec.name]!, zarrFormat, wholeSums);
      this.#account.giveBack("host", held);
      this.#account.take("disk", bytes, "result");
    }
    const group = this.#group(true, facts);
    const { arrays, own } = metadataSums(group);
    const streamed = Object.values(this.#writers).flatMap(({ sums }) => [...sums]);
    await writeChecksums(this.#store!, {
      files: new Map([...arrays, ...own, ...this.#sums, ...wholeSums, ...streamed]),
      begun: metadataSums(this.#group(false)).own,
    });
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

  /** Of a list, what it says of coordinates. */
  #coordinateSums(files: FileSums): FileSums {
    const { coordinates = [] } = this.#spec;
    const folders = coordinates.map(({ spec }) => `/${spec.name}/`);
    const isMetadata = (key: string) => /\/(zarr\.json|\.zarray|\.zattrs)$/.test(key);
    return new Map(
      [...files].filter(([key]) =>
        !isMetadata(key) && folders.some((folder) => key.startsWith(folder))
      ),
    );
  }

  /** Why coordinates are not what an earlier run stored: they are not written again. */
  async #verifyCoordinates(store: Store): Promise<Error | undefined> {
    try {
      const list = await readChecksums(store);
      if (!list) {
        const path = store.place + CHECKSUMS_KEY;
        return new ChunkError(`Cannot go on with "${path}": it is missing`, path);
      }
      for (const [key, sum] of this.#coordinateSums(list.files)) {
        const problem = await problemOfFile(store, key, sum);
        const path = store.place + key;
        if (problem) return new ChunkError(`Cannot go on with "${path}": ${problem}`, path);
      }
    } catch (error) {
      if (error instanceof ChunkError) return error;
      throw error;
    }
  }

  get #names(): string[] {
    const { streamed, whole, coordinates = [] } = this.#spec;
    return [...streamed, ...whole, ...coordinates.map(({ spec }) => spec)].map(({ name }) => name);
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
}

/**
 * What a stored output holds on the host and on disk.
 *
 * @param besideBytes Of coordinates and metadata.
 */
function storedMemory(
  { streamed, whole, zarrFormat, lanes }: OutputSpec,
  besideBytes: number,
): OutputItem[] {
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
      bytes: besideBytes,
    },
    {
      what: "list of stored chunks, removed at the end",
      kind: "disk",
      bytes: ((lanes?.count ?? 1) === 1 ? 1 : 2) * chunks * LOGGED_CHUNK_BYTES,
    },
  ];
}
