/**
 * An output that is arrays in memory, to be returned.
 *
 * @module
 */

import { fromTypedArray } from "../array/array.ts";
import type { Account } from "../gpu/ledger.ts";
import type { NumericArray } from "../types.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { createElements, elementBytes, elementCount } from "../zarr/data_types.ts";
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

/** Arrays that are returned. */
export class MemoryOutput implements Output {
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

  /** @param chunks Given where an attempt goes on after the device was lost: rows that came are there. */
  begin(
    account: Account,
    _hash: string,
    _adapter: string,
    chunks?: StoredChunks,
  ): Promise<void> {
    this.#account = account;
    account.take("host", this.#bytes, "result");
    if (chunks) return Promise.resolve();
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

  settle() {
    return Promise.resolve({ isWhole: true, chunks: {} });
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
    return Promise.resolve();
  }

  get #bytes(): number {
    const { streamed, whole } = this.#spec;
    return [...streamed, ...whole].reduce(
      (sum, { dtype, shape }) => sum + elementBytes(dtype as NumericType) * elementCount(shape),
      0,
    );
  }
}
