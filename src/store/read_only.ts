/**
 * Stores that are read only: what would write to them is refused.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import type { Appender } from "./store.ts";

/** What a store that cannot be written to has of a {@link Store}. */
export abstract class ReadOnlyStore {
  abstract readonly place: string;
  readonly #why: string;

  /** @param why Why nothing can be written, as errors say it: `servers are read only`. */
  constructor(why: string) {
    this.#why = why;
  }

  set(key: string): Promise<void> {
    return Promise.reject(this.refusal("write", key));
  }

  append(key: string): Promise<Appender> {
    return Promise.reject(this.refusal("write", key));
  }

  lock(key: string): Promise<() => Promise<void>> {
    return Promise.reject(this.refusal("lock", key));
  }

  delete(key: string): Promise<void> {
    return Promise.reject(this.refusal("delete", key));
  }

  deleteAll(prefix = "/"): Promise<void> {
    return Promise.reject(this.refusal("delete", prefix));
  }

  availableBytes(): Promise<number> {
    return Promise.resolve(0);
  }

  protected refusal(action: string, key: string): StoreError {
    const path = this.place + key;
    return new StoreError(`Cannot ${action} "${path}": ${this.#why}`, path);
  }
}
