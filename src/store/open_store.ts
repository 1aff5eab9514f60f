/**
 * Opens stores by their places.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import type { HttpOptions } from "./http.ts";
import { MemoryStore } from "./memory.ts";
import { hasFileSystem, parsePlace } from "./place.ts";
import type { Store } from "./store.ts";
import { StoreView } from "./store_view.ts";

export interface OpenStoreOptions extends HttpOptions {
  /** `write` checks at once that values can be written; `read` when not given. */
  mode?: "read" | "write";
}

/**
 * Opens a store by its place: a plain path or `file:` for files, `opfs:` for a browser's private
 * file system (there a plain path means the same), `memory:name` for the memory of this process,
 * `s3://bucket/prefix` for a bucket, `http:` or `https:` for reading from a server. Nothing is created before the first `set`.
 *
 * A store instead of a place is returned as a view whose `close` does nothing: whoever opened it
 * closes it.
 *
 * @throws {TypeError} If the place is of another kind, or of one this runtime does not have.
 * @throws {StoreError} If `mode` is `write` and the place cannot be written.
 */
export async function openStore(
  place: string | Store,
  options: OpenStoreOptions = {},
): Promise<Store> {
  if (typeof place !== "string") return new StoreView(place);
  const { mode, ...reading } = options;
  const write = mode === "write";
  const { scheme, path } = parsePlace(place);
  switch (scheme) {
    case "memory":
      return new MemoryStore(path);
    case "http": {
      if (write) {
        throw new StoreError(
          `Cannot write to "${place}": servers are read only, wanted file:, opfs:, memory: or s3:`,
          place,
        );
      }
      return new (await import("./http.ts")).HttpStore(path, reading);
    }
    case "s3": {
      const { S3Store } = await import("./s3.ts");
      const store = await S3Store.open(path.slice(2), reading);
      if (write) await store.checkWritable();
      return store;
    }
    case "file": {
      if (!hasFileSystem()) {
        throw new TypeError(
          `Cannot open "${place}": this runtime has no files, wanted opfs:, memory: or https:`,
        );
      }
      const { FileStore } = await import("./fs.ts");
      const store = new FileStore(path);
      if (write) await store.checkWritable();
      return store;
    }
    case "opfs": {
      const { OpfsStore } = await import("./opfs.ts");
      const store = new OpfsStore(path);
      if (write) await store.checkWritable();
      return store;
    }
  }
}

/**
 * Asks the browser to keep this site's files when it runs short of disk. Browsers may ask the user,
 * or decide by themselves.
 *
 * @returns Whether the files are safe from being cleared.
 */
export async function persistStorage(): Promise<boolean> {
  return await globalThis.navigator?.storage?.persist?.() ?? false;
}
