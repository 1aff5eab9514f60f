/**
 * The output of a part: some rows of arrays whose group is there. Nothing that is stored is replaced.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import type { Account } from "../gpu/ledger.ts";
import { CreateOnlyStore } from "../parts/create_only_store.ts";
import { openStore } from "../store/open_store.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import { chunkKey, hasChecksums } from "../zarr/metadata.ts";
import type { Found, Output, OutputItem, OutputSpec, Stored, StoredChunks } from "./output.ts";
import type { Tile } from "./pass.ts";
import { storedAt } from "./places.ts";
import { storedMemory } from "./stored_output.ts";
import { StreamedArrays } from "./streamed_arrays.ts";

export class PartOutput implements Output {
  readonly #spec: OutputSpec;
  readonly #rows: readonly [from: number, to: number];
  readonly #chunks: StoredChunks = {};
  #opened: Store | undefined;
  #store!: CreateOnlyStore;
  #arrays: StreamedArrays | undefined;

  /** @param rows First, and the end of those that come: whole files. */
  constructor(spec: OutputSpec, rows: readonly [from: number, to: number]) {
    this.#spec = spec;
    this.#rows = rows;
  }

  /** Chunks that are stored, as they are there. */
  get chunks(): StoredChunks {
    return this.#chunks;
  }

  /** Whether another attempt, on another adapter, had written some of them. */
  get isMixed(): boolean {
    return this.#store.others.size > 0;
  }

  memory(): OutputItem[] {
    return storedMemory(this.#spec, 0);
  }

  check(): Promise<Found> {
    return Promise.resolve({ kind: "nothing" });
  }

  verify(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async begin(account: Account): Promise<void> {
    this.#opened = await openStore(this.#spec.place!, { mode: "write" });
    this.#store = new CreateOnlyStore(this.#opened);
    this.#arrays = new StreamedArrays(this.#store, this.#spec, account);
  }

  async write(
    name: string,
    start: number,
    values: NumericArray,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#arrays!.write(name, start, values, signal);
  }

  async commit({ start, end }: Tile, forward: boolean) {
    await this.#commit();
    // what comes of a part is its end alone
    return { storedTo: forward ? start : end, chunks: {} };
  }

  async settle() {
    await this.#commit();
    return { isWhole: true, chunks: {} };
  }

  redo(): void {}

  async finish(): Promise<Stored> {
    await this.#commit();
    await this.#arrays!.finish(this.#rows);
    await this.release();
    return storedAt(this.#spec.place!, {});
  }

  async release(): Promise<void> {
    await this.#arrays?.close();
    await this.#opened?.close();
    this.#arrays = undefined;
    this.#opened = undefined;
  }

  async #commit(): Promise<void> {
    const { chunks } = await this.#arrays!.commit();
    const { streamed, zarrFormat = 3 } = this.#spec;
    for (const [name, own] of Object.entries(chunks)) {
      const spec = streamed.find((spec) => spec.name === name)!;
      const sealed = hasChecksums(spec, zarrFormat);
      for (const [index, offset, length, checksum] of own) {
        const position = spec.shape.map((_, axis) => axis === 0 ? index : 0);
        const key = chunkKey(spec, position, zarrFormat);
        const other = this.#store.others.get(key);
        if (other && sealed && other.seal !== other.body) throw damaged(this.#spec.place! + key);
        (this.#chunks[name] ??= []).push(
          other
            ? [index, offset, other.bytes, sealed ? other.body : other.whole]
            : [index, offset, length, checksum],
        );
      }
    }
  }
}

function damaged(path: string): StoreError {
  return new StoreError(
    `Cannot run a part: ${path} is there and does not match its checksum, wanted what an attempt before this one ` +
      "stored; remove it, and run the part again",
    path,
  );
}
