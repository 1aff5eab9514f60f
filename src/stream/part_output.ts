/**
 * The output of a part: some rows of arrays whose group is there. Nothing that is stored is replaced.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import type { Account } from "../gpu/ledger.ts";
import { CreateOnlyStore } from "../parts/create_only_store.ts";
import { openStore } from "../store/open_store.ts";
import type { Appender, SetOptions, Store } from "../store/store.ts";
import { StoreView } from "../store/store_view.ts";
import type { NumericArray } from "../types.ts";
import { ChunkWriter } from "../zarr/chunk_writer.ts";
import { chunkKey } from "../zarr/metadata.ts";
import { chunksIn } from "../zarr/stored_chunks.ts";
import type { Found, Output, OutputItem, OutputSpec, Stored, StoredChunks } from "./output.ts";
import type { Tile } from "./pass.ts";
import { storedAt } from "./places.ts";
import { storedMemory, storedTo } from "./stored_output.ts";
import { StreamedArrays } from "./streamed_arrays.ts";

export interface PartOutputOptions {
  /** First row, and the end of those that come: whole files. */
  rows: readonly [from: number, to: number];
  /** Stretches of rows that are written side by side; 1 when not given. */
  lanes?: number;
  /** Where files go whose rows come again, under their keys: whoever ends the plan puts them in place. */
  again?: Store;
}

export class PartOutput implements Output {
  readonly #spec: OutputSpec;
  readonly #options: PartOutputOptions;
  readonly #chunks: StoredChunks = {};
  #opened: Store | undefined;
  #created: CreateOnlyStore | undefined;
  #arrays: StreamedArrays | undefined;
  #account!: Account;
  #isMixed = false;

  constructor(spec: OutputSpec, options: PartOutputOptions) {
    this.#spec = spec;
    this.#options = options;
  }

  /** Chunks that are stored, as they are there once it is finished. */
  get chunks(): StoredChunks {
    return this.#chunks;
  }

  /** Whether another attempt, on another adapter, had written some of them. */
  get isMixed(): boolean {
    return this.#isMixed;
  }

  memory(): OutputItem[] {
    const bytes = this.#shardBytes;
    return [
      ...storedMemory(this.#spec, 0),
      ...(bytes > 0 ? [{ what: SHARDS, kind: "host" as const, bytes }] : []),
    ];
  }

  check(): Promise<Found> {
    return Promise.resolve({ kind: "nothing" });
  }

  verify(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async begin(
    account: Account,
    _hash: string,
    _adapter: string,
    chunks?: StoredChunks,
  ): Promise<void> {
    this.#account = account;
    account.take("host", this.#shardBytes, SHARDS);
    this.#opened = await openStore(this.#spec.place!, { mode: "write" });
    const { again } = this.#options;
    this.#created = again ? undefined : new CreateOnlyStore(this.#opened);
    const store = this.#created ?? new StoreOfOthers(this.#opened, again!);
    this.#arrays = new StreamedArrays(store, this.#spec, account);
    if (chunks) await this.#arrays.restore(chunks);
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
    this.#take(chunks);
    // what comes of a part is its end alone
    return { storedTo: storedTo(this.#spec, tile, forward, open), chunks: {} };
  }

  async settle() {
    this.#take((await this.#arrays!.commit()).chunks);
    return { isWhole: true, chunks: {} };
  }

  redo(names: readonly string[], rows: "all" | "begun" | "none"): void {
    this.#arrays!.redo(names, rows);
  }

  async finish(): Promise<Stored> {
    await this.settle();
    await this.#arrays!.finish(this.#options.rows);
    await this.#lookAtOthers();
    this.#account.giveBack("host", this.#shardBytes);
    await this.release();
    return storedAt(this.#spec.place!, {});
  }

  async release(): Promise<void> {
    await this.#arrays?.close();
    await this.#opened?.close();
    this.#arrays = undefined;
    this.#opened = undefined;
  }

  /** Shards are made at once: until then their bytes are here, then in one piece, beside what may be there. */
  get #shardBytes(): number {
    const { lanes = 1, again } = this.#options;
    if (again || lanes === 0) return 0;
    const { streamed, zarrFormat } = this.#spec;
    return (lanes + 2) * streamed.reduce((sum, spec) => {
      const { shardChunks, chunkShape: [rows], shape: [all, ...columns] } = spec;
      if (shardChunks === undefined) return sum;
      const shape = [Math.min(all!, shardChunks * rows!), ...columns];
      return sum + ChunkWriter.projectedDiskBytes({ ...spec, shape }, zarrFormat);
    }, 0);
  }

  #take(chunks: StoredChunks): void {
    for (const [name, own] of Object.entries(chunks)) (this.#chunks[name] ??= []).push(...own);
  }

  /** Of files that another attempt had made otherwise, tells what is in those. */
  async #lookAtOthers(): Promise<void> {
    if (!this.#created || this.#created.others.size === 0) return;
    this.#isMixed = true;
    const { streamed, zarrFormat: format = 3 } = this.#spec;
    for (const spec of streamed) {
      const files = new Map<string, number[]>();
      for (const [chunk] of this.#chunks[spec.name] ?? []) {
        const file = Math.floor(chunk / (spec.shardChunks ?? 1));
        const key = chunkKey(spec, spec.shape.map((_, axis) => axis === 0 ? file : 0), format);
        files.set(key, [...files.get(key) ?? [], chunk]);
      }
      for (const [key, chunks] of files) {
        if (!this.#created.others.has(key)) continue;
        const there = chunksIn((await this.#opened!.get(key))!, { spec, format, chunks });
        if (!there) throw damaged(this.#spec.place! + key);
        // of a chunk the last that is told counts
        this.#take({ [spec.name]: there });
      }
    }
  }
}

const SHARDS = "shards until they are whole";

/** What is stored, but what is written goes elsewhere. */
class StoreOfOthers extends StoreView {
  readonly #own: Store;

  constructor(stored: Store, own: Store) {
    super(stored);
    this.#own = own;
  }

  override set(key: string, bytes: Uint8Array, options?: SetOptions): Promise<void> {
    return this.#own.set(key, bytes, options);
  }

  override append(key: string, options?: { keep?: number }): Promise<Appender> {
    return this.#own.append(key, options);
  }
}

function damaged(path: string): StoreError {
  return new StoreError(
    `Cannot run a part: ${path} is there and does not match its checksum, wanted what an attempt before this one ` +
      "stored; remove it, and run the part again",
    path,
  );
}
