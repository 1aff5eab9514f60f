/**
 * The arrays of a stored output that are written row by row, side by side.
 *
 * @module
 */

import type { Account } from "../gpu/ledger.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import type { WriterCommit } from "../zarr/chunk_writer.ts";
import { ChunkWriter } from "../zarr/chunk_writer.ts";
import type { OutputSpec, StoredChunks } from "./output.ts";

export class StreamedArrays {
  readonly #writers = new Map<string, ChunkWriter>();
  readonly #account: Account | undefined;
  /** Bytes the writers hold and have written, as last told to the account. */
  #held = 0;
  #written = 0;

  /** @param account Needed to write. */
  constructor(
    store: Store,
    { streamed, zarrFormat, descending = false, lanes }: OutputSpec,
    account?: Account,
  ) {
    this.#account = account;
    for (const spec of streamed) {
      const choices = { descending, openChunks: lanes?.count ?? 1 };
      const writer = new ChunkWriter(store, spec, {
        ...(zarrFormat && { format: zarrFormat }),
        ...choices,
      });
      this.#writers.set(spec.name, writer);
    }
  }

  /** Why stored files are not what earlier checkpoints told; `undefined` if they are. */
  async verify(chunks: StoredChunks): Promise<Error | undefined> {
    for (const [name, writer] of this.#writers) {
      const problem = await writer.verify(chunks[name] ?? []);
      if (problem) return problem;
    }
    return undefined;
  }

  /** Goes on where earlier checkpoints left off. */
  async restore(chunks: StoredChunks): Promise<void> {
    for (const [name, writer] of this.#writers) {
      if (chunks[name]) await writer.restore(chunks[name]);
    }
    this.#count();
  }

  async write(
    name: string,
    start: number,
    values: NumericArray,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#writers.get(name)!.write(start, values, signal);
    this.#count();
  }

  redo(names: readonly string[], rows: "all" | "begun" | "none"): void {
    for (const name of names) this.#writers.get(name)!.redo(rows);
  }

  /** Waits for complete chunks of all of them. */
  async commit() {
    const all: Omit<WriterCommit, "chunks"> & { chunks: StoredChunks } = {
      ...{ chunks: {}, openRows: [], replacing: false },
    };
    for (const [name, writer] of this.#writers) {
      const { chunks, openRows, replacing } = await writer.commit();
      if (chunks.length > 0) all.chunks[name] = chunks;
      all.openRows.push(...openRows);
      all.replacing ||= replacing;
    }
    this.#count();
    return all;
  }

  /** @returns Checksums of their files. @throws {RangeError} If rows are missing. */
  async finish(rows?: readonly [from: number, to: number]) {
    for (const writer of this.#writers.values()) await writer.finish(rows);
    this.#count();
    return [...this.#writers.values()].flatMap(({ sums }) => [...sums]);
  }

  async close(): Promise<void> {
    for (const writer of this.#writers.values()) await writer.close();
  }

  /** Tells the account what the writers hold and have written. */
  #count(): void {
    const account = this.#account!;
    let held = 0;
    let written = 0;
    for (const { hostBytes, bytesWritten } of this.#writers.values()) {
      held += hostBytes;
      written += bytesWritten;
    }
    if (held > this.#held) account.take("host", held - this.#held, "output chunks");
    else account.giveBack("host", this.#held - held);
    this.#held = held;
    if (written > this.#written) account.take("disk", written - this.#written, "result");
    else account.giveBack("disk", this.#written - written);
    this.#written = written;
  }
}
