/**
 * An output that is a zarr group at a place.
 *
 * @module
 */

import type { Account } from "../gpu/ledger.ts";
import type { Claim } from "../store/journal.ts";
import { CreateOnlyStore } from "../parts/create_only_store.ts";
import { openStore } from "../store/open_store.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import { fullAttributes } from "../zarr/attributes.ts";
import type { FileSums } from "../zarr/checksums.ts";
import { readChecksums } from "../zarr/checksums.ts";
import type { WriterCommit } from "../zarr/chunk_writer.ts";
import { ChunkWriter } from "../zarr/chunk_writer.ts";
import {
  metadataSums,
  projectedChecksumBytes,
  removeArrays,
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
import { StoredCoordinates } from "./stored_coordinates.ts";
import { StreamedArrays } from "./streamed_arrays.ts";

/** Bytes a stored chunk takes in an entry of the journal's log. */
const LOGGED_CHUNK_BYTES = 64;

type Facts = Record<string, unknown>;

const sum = (bytes: readonly number[]) => bytes.reduce((total, part) => total + part, 0);

export class StoredOutput implements Output {
  readonly #spec: OutputSpec;
  readonly #place: string;
  readonly #metadataBytes: number;
  readonly #coordinates: StoredCoordinates;
  #hash = "";
  /** The adapter whose numbers are there: an earlier run's, if this one goes on with it. */
  #adapter = "";
  #store: Store | undefined;
  #account!: Account;
  #arrays: StreamedArrays | undefined;

  constructor(spec: OutputSpec, place: string) {
    this.#spec = spec;
    this.#place = place;
    this.#coordinates = new StoredCoordinates(spec);
    this.#hash = "0".repeat(64);
    this.#adapter = spec.adapter;
    const group = this.#group(false, spec.longest);
    this.#metadataBytes = projectedMetadataBytes(group) + projectedChecksumBytes(group) +
      (spec.companion?.bytes ?? 0);
  }

  memory(): OutputItem[] {
    return storedMemory(this.#spec, this.#coordinates.bytes + this.#metadataBytes);
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
      const problem = await this.#coordinates.verify(store);
      if (problem) return problem;
      return await new StreamedArrays(store, this.#spec).verify(chunks);
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
    const store = await openStore(this.#place, { mode: "write" });
    this.#store = store;
    account.take("disk", this.#metadataBytes, "metadata");
    account.take("disk", this.#coordinates.bytes, "coordinates");
    const group = this.#group(false);
    if (!chunks) {
      await removeArrays(store, this.#names);
      await this.#lay(store, group);
    } else {
      this.#coordinates.take((await readChecksums(store))!.files);
      // a run that was killed when it was all but done told of arrays that may be written again
      await this.#list(store, group);
    }
    this.#arrays = new StreamedArrays(store, this.#spec, account);
    await this.#arrays.restore(chunks ?? {});
  }

  /** Leaves a group that has no rows yet, for those who write them. Nothing that is there is replaced. */
  async beginForOthers(hash: string, adapter: string): Promise<void> {
    this.#hash = hash;
    this.#adapter = adapter;
    const store = await openStore(this.#place, { mode: "write" });
    try {
      await this.#lay(new CreateOnlyStore(store), this.#group(false));
    } finally {
      await store.close();
    }
  }

  async #lay(store: Store, group: ZarrGroupSpec): Promise<void> {
    await this.#coordinates.write(store);
    await this.#list(store, group);
    // last: whoever finds the group finds its coordinates, and what they have to be
    await writeGroup(store, group);
  }

  async #list(store: Store, group: ZarrGroupSpec): Promise<void> {
    const { arrays, own: begun } = metadataSums(group);
    const files = new Map([...arrays, ...this.#coordinates.sums]);
    await writeChecksums(store, { files, begun });
  }

  async write(
    name: string,
    start: number,
    values: NumericArray,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#arrays!.write(name, start, values, signal);
  }

  async commit(tile: Tile, forward: boolean) {
    const { chunks, ...open } = await this.#arrays!.commit();
    return { storedTo: storedTo(this.#spec, tile, forward, open), chunks };
  }

  async settle() {
    const { chunks, openRows, replacing } = await this.#arrays!.commit();
    return { isWhole: openRows.length === 0 && !replacing, chunks };
  }

  redo(names: readonly string[], rows: "all" | "begun" | "none"): void {
    this.#arrays!.redo(names, rows);
  }

  async finish({ values = {}, facts }: Outcome): Promise<Stored> {
    const { whole, zarrFormat, companion } = this.#spec;
    const streamed = await this.#arrays!.finish();
    const sums: FileSums = new Map(this.#coordinates.sums);
    for (const spec of whole) {
      const held = ChunkWriter.projectedHostBytes(spec, zarrFormat);
      this.#account.take("host", held, "output chunks");
      const bytes = await writeArray(this.#store!, spec, values[spec.name]!, zarrFormat, sums);
      this.#account.giveBack("host", held);
      this.#account.take("disk", bytes, "result");
    }
    const others = await companion?.write(this.#store!, sums);
    const group: ZarrGroupSpec = {
      ...this.#group(true, { ...companion?.attributes, ...facts }),
      ...(others && { others }),
    };
    const { arrays, own } = metadataSums(group);
    const files = new Map([...arrays, ...own, ...sums, ...streamed]);
    await writeChecksums(this.#store!, { files, begun: metadataSums(this.#group(false)).own });
    await writeGroupAttributes(this.#store!, group);
    await this.release();
    return storedAt(this.#place, fullAttributes(group.attributes));
  }

  async release(): Promise<void> {
    await this.#arrays?.close();
    await this.#store?.close();
    this.#arrays = undefined;
    this.#store = undefined;
  }

  get #names(): string[] {
    const { streamed, whole, coordinates = [] } = this.#spec;
    return [...streamed, ...whole, ...coordinates.map(({ spec }) => spec)].map(({ name }) => name);
  }

  #group(complete: boolean, facts?: Facts): ZarrGroupSpec {
    const who = { plan_hash: this.#hash, adapter: this.#adapter };
    return groupOf(this.#spec, who, { complete, ...facts });
  }
}

/** Up to where, counted in a lane, the rows of a tile are stored. */
export function storedTo(
  { lanes, passRow = (row) => row }: OutputSpec,
  { start, end, again }: Tile,
  forward: boolean,
  { openRows, replacing }: Pick<WriterCommit, "openRows" | "replacing">,
): number {
  // of rows that come again the log tells of files that replaced others alone
  if (again) return replacing ? (forward ? start : end) : (forward ? end : start);
  let row = forward ? end : start;
  for (const [from, to] of openRows) {
    row = forward
      ? Math.min(row, lanes ? from % lanes.rows : passRow(from))
      : Math.max(row, lanes ? (to - 1) % lanes.rows + 1 : to);
  }
  return row;
}

/**
 * What a stored output holds on the host and on disk.
 *
 * @param besideBytes Of coordinates and metadata.
 */
export function storedMemory(
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
