/**
 * A store in the memory of this process. Equal names mean the same bytes for as long as the process
 * lives, and `memory:a/b` lies inside `memory:a`, as folders do.
 *
 * @module
 */

import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import { keyParts, prefixParts } from "./place.ts";
import type { Store } from "./store.ts";

const values = new Map<string, Uint8Array>();

export class MemoryStore implements Store {
  readonly place: string;
  readonly #folder: string;

  /** @param name Names joined by `/`. */
  constructor(name: string) {
    this.place = `memory:${name}`;
    this.#folder = name.split("/").filter((part) => part !== "").map((part) => `/${part}`).join("");
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(values.get(this.#path(keyParts(key)))?.slice());
  }

  getRange(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    const bytes = values.get(this.#path(keyParts(key)));
    return Promise.resolve(bytes && bytes.slice(...rangeBounds(range, bytes.byteLength)));
  }

  size(key: string): Promise<number | undefined> {
    return Promise.resolve(values.get(this.#path(keyParts(key)))?.byteLength);
  }

  set(key: string, bytes: Uint8Array): Promise<void> {
    values.set(this.#path(keyParts(key)), bytes.slice());
    return Promise.resolve();
  }

  delete(key: string): Promise<void> {
    values.delete(this.#path(keyParts(key)));
    return Promise.resolve();
  }

  async deleteAll(prefix = "/"): Promise<void> {
    for (const key of await this.list(prefix)) await this.delete(key);
  }

  list(prefix: string): Promise<string[]> {
    const folder = `${this.#path(prefixParts(prefix))}/`;
    const keys = [...values.keys()].filter((path) => path.startsWith(folder));
    return Promise.resolve(keys.map((path) => path.slice(this.#folder.length)).sort());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #path(parts: readonly string[]): string {
    return this.#folder + parts.map((part) => `/${part}`).join("");
  }
}
