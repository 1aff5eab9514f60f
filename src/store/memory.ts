/**
 * A store in the memory of this process. Equal names mean the same bytes for as long as the process
 * lives, and `memory:a/b` lies inside `memory:a`, as folders do.
 *
 * @module
 */

import { OutputConflictError } from "../errors.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import {
  finishedKey,
  keyParts,
  PARTIAL_SUFFIX,
  prefixParts,
  tooShort,
  wasClosed,
} from "./place.ts";
import type { Appender, Store } from "./store.ts";

const values = new Map<string, Uint8Array>();
const locks = new Set<string>();

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
    const path = this.#path(keyParts(key, "write"));
    values.set(path, bytes.slice());
    values.delete(path + PARTIAL_SUFFIX);
    return Promise.resolve();
  }

  create(key: string, bytes: Uint8Array): Promise<boolean> {
    const path = this.#path(keyParts(key, "write"));
    if (values.has(path)) return Promise.resolve(false);
    values.set(path, bytes.slice());
    return Promise.resolve(true);
  }

  append(key: string, { keep = 0 } = {}): Promise<Appender> {
    const path = this.#path(keyParts(key, "write"));
    const partial = path + PARTIAL_SUFFIX;
    const found = values.get(partial) ?? values.get(path) ?? new Uint8Array(0);
    if (found.byteLength < keep) {
      return Promise.reject(tooShort(this.place + key, found.byteLength, keep));
    }
    if (keep > 0 && !values.has(partial)) values.delete(path);
    values.set(partial, found.slice(0, keep));
    return Promise.resolve(new MemoryAppender(path));
  }

  lock(key: string): Promise<() => Promise<void>> {
    const path = this.#path(keyParts(key, "write"));
    if (locks.has(path)) {
      return Promise.reject(
        new OutputConflictError(
          `Cannot write beside ${this.place}${key}: another run of this process is at work there`,
          this.place,
        ),
      );
    }
    locks.add(path);
    let held = true;
    return Promise.resolve(() => {
      if (held) locks.delete(path);
      held = false;
      return Promise.resolve();
    });
  }

  availableBytes(): Promise<number> {
    return Promise.resolve(Infinity);
  }

  delete(key: string): Promise<void> {
    values.delete(this.#path(keyParts(key)));
    return Promise.resolve();
  }

  deleteAll(prefix = "/", isOwn: (key: string) => boolean = () => true): Promise<void> {
    for (const path of this.#below(prefix)) {
      const key = path.slice(this.#folder.length);
      if (isOwn(finishedKey(key))) values.delete(path);
    }
    return Promise.resolve();
  }

  list(prefix: string): Promise<string[]> {
    const finished = this.#below(prefix).filter((path) => !path.endsWith(PARTIAL_SUFFIX));
    return Promise.resolve(finished.map((path) => path.slice(this.#folder.length)).sort());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #below(prefix: string): string[] {
    const folder = `${this.#path(prefixParts(prefix))}/`;
    return [...values.keys()].filter((path) => path.startsWith(folder));
  }

  #path(parts: readonly string[]): string {
    return this.#folder + parts.map((part) => `/${part}`).join("");
  }
}

/** Grows by doubling: a value of n bytes is copied a few times, not once an append. */
class MemoryAppender implements Appender {
  readonly #path: string;
  #room: Uint8Array;
  #size: number;
  #ended = false;

  constructor(path: string) {
    this.#path = path;
    this.#room = values.get(path + PARTIAL_SUFFIX)!;
    this.#size = this.#room.byteLength;
  }

  get size(): number {
    return this.#size;
  }

  append(bytes: Uint8Array): Promise<void> {
    if (this.#ended) return Promise.reject(wasClosed(this.#path));
    const size = this.#size + bytes.byteLength;
    if (size > this.#room.byteLength) {
      const room = new Uint8Array(Math.max(size, 2 * this.#room.byteLength));
      room.set(this.#room.subarray(0, this.#size));
      this.#room = room;
    }
    this.#room.set(bytes, this.#size);
    this.#size = size;
    values.set(this.#path + PARTIAL_SUFFIX, this.#room.subarray(0, size));
    return Promise.resolve();
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  finish(): Promise<void> {
    if (this.#ended) return Promise.reject(wasClosed(this.#path));
    this.#ended = true;
    values.set(this.#path, this.#room.slice(0, this.#size));
    values.delete(this.#path + PARTIAL_SUFFIX);
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#ended = true;
    return Promise.resolve();
  }
}
