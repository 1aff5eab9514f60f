/**
 * A store in files, for Node and Deno. Reached by dynamic import alone: browsers have no `node:fs`.
 *
 * @module
 */

import type { FileHandle } from "node:fs/promises";
import {
  access,
  constants,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  statfs,
} from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { QuotaError, StoreError } from "../errors.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import { keyParts, PARTIAL_SUFFIX, prefixParts } from "./place.ts";
import type { Store } from "./store.ts";

export class FileStore implements Store {
  readonly place: string;
  readonly #folder: string;
  /** The last write of each key: two at once would share a temporary file. */
  readonly #writes = new Map<string, Promise<void>>();

  constructor(folder: string) {
    this.place = `file:${folder}`;
    this.#folder = folder === "" ? "." : folder;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#read(key, (size) => [0, size]);
  }

  getRange(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    return this.#read(key, (size) => rangeBounds(range, size));
  }

  async size(key: string): Promise<number | undefined> {
    const path = this.#path(keyParts(key));
    try {
      const found = await stat(path);
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw describeError("read", path, error);
    }
  }

  set(key: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(keyParts(key));
    const before = this.#writes.get(path) ?? Promise.resolve();
    const write = before.catch(() => {}).then(() => writeFile(path, bytes));
    this.#writes.set(path, write);
    const forget = () => {
      if (this.#writes.get(path) === write) this.#writes.delete(path);
    };
    write.then(forget, forget);
    return write;
  }

  async delete(key: string): Promise<void> {
    await remove(this.#path(keyParts(key)));
  }

  async deleteAll(prefix = "/"): Promise<void> {
    await remove(this.#path(prefixParts(prefix)));
  }

  async list(prefix: string): Promise<string[]> {
    const parts = prefixParts(prefix);
    const keys: string[] = [];
    const walk = async (folder: string, key: string) => {
      for (const entry of await readdir(folder, { withFileTypes: true })) {
        const name = `${key}/${entry.name}`;
        if (entry.isDirectory()) await walk(join(folder, entry.name), name);
        else if (!name.endsWith(PARTIAL_SUFFIX)) keys.push(name);
      }
    };
    const folder = this.#path(parts);
    try {
      await walk(folder, parts.map((part) => `/${part}`).join(""));
    } catch (error) {
      if (!isMissing(error)) throw describeError("list", folder, error);
    }
    return keys.sort();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Checks that files can be made here, and leaves no trace.
   *
   * @throws {StoreError} If not; names the folder.
   */
  async checkWritable(): Promise<void> {
    let folder = resolve(this.#folder);
    for (;;) {
      try {
        if (!(await stat(folder)).isDirectory()) {
          throw new StoreError(
            `Cannot write to "${this.#folder}": "${folder}" is a file, wanted a folder`,
            folder,
          );
        }
        await access(folder, constants.W_OK | constants.X_OK);
        return;
      } catch (error) {
        if (error instanceof StoreError) throw error;
        // the part that is missing will be made; the first that exists must allow it
        if (!isMissing(error) || dirname(folder) === folder) {
          throw describeError("write to", folder, error);
        }
        folder = dirname(folder);
      }
    }
  }

  async #read(
    key: string,
    bounds: (size: number) => [number, number],
  ): Promise<Uint8Array | undefined> {
    const path = this.#path(keyParts(key));
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, "r");
      const [start, end] = bounds((await handle.stat()).size);
      const bytes = new Uint8Array(end - start);
      return bytes.subarray(0, await readWhole(handle, bytes, start));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw describeError("read", path, error);
    } finally {
      await handle?.close();
    }
  }

  #path(parts: readonly string[]): string {
    return join(this.#folder, ...parts);
  }
}

// One call moves at most 2^31 - 1 bytes.
const CALL_BYTES = 2 ** 30;

/** Fills `bytes` from `position` on; returns how many there were. */
async function readWhole(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<number> {
  let done = 0;
  while (done < bytes.byteLength) {
    const wanted = Math.min(CALL_BYTES, bytes.byteLength - done);
    const { bytesRead } = await handle.read(bytes, done, wanted, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** What {@link writeWhole} needs of a file handle. */
export interface WriteHandle {
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }>;
}

/**
 * Writes all of `bytes` at the start of a file.
 *
 * @throws {StoreError} If fewer bytes arrive than were sent; gives both counts.
 */
export async function writeWhole(
  handle: WriteHandle,
  bytes: Uint8Array,
  path: string,
): Promise<void> {
  for (let done = 0; done < bytes.byteLength; done += CALL_BYTES) {
    const wanted = Math.min(CALL_BYTES, bytes.byteLength - done);
    const { bytesWritten } = await handle.write(bytes, done, wanted, done);
    if (bytesWritten !== wanted) {
      throw new StoreError(
        `Cannot write "${path}": ${done + bytesWritten} of ${bytes.byteLength} bytes were written`,
        path,
      );
    }
  }
}

async function writeFile(path: string, bytes: Uint8Array): Promise<void> {
  const partial = path + PARTIAL_SUFFIX;
  try {
    const handle = await open(partial, "w").catch(async (error) => {
      if (errorCode(error) !== "ENOENT") throw error;
      await mkdir(dirname(path), { recursive: true });
      return open(partial, "w");
    });
    try {
      await writeWhole(handle, bytes, path);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {});
    if (["ENOSPC", "EDQUOT"].includes(errorCode(error) ?? "")) {
      const availableBytes = await freeBytes(dirname(path));
      throw new QuotaError(
        `Cannot write "${path}": ${bytes.byteLength} bytes are needed, ` +
          `${availableBytes} bytes are free on this disk`,
        { neededBytes: bytes.byteLength, availableBytes },
      );
    }
    throw error instanceof StoreError ? error : describeError("write", path, error);
  }
}

async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return 0;
  }
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (!isMissing(error)) throw describeError("delete", path, error);
  }
}

function errorCode(error: unknown): string | undefined {
  return (error as { code?: string }).code;
}

/** Nothing of that name: not there, below a file, or a folder where a file was meant. */
function isMissing(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "EISDIR"].includes(errorCode(error) ?? "");
}

const REASONS: Record<string, string> = {
  EACCES: "there is no permission",
  EPERM: "there is no permission",
  EROFS: "the disk is read only",
  ENOTDIR: "something it lies in is a file, wanted a folder",
  EEXIST: "something it lies in is a file, wanted a folder",
  EISDIR: "it is a folder, wanted a file",
  EMFILE: "too many files are open",
};

function describeError(action: string, path: string, error: unknown): StoreError {
  const reason = REASONS[errorCode(error) ?? ""] ?? (error as Error).message;
  return new StoreError(`Cannot ${action} "${path}": ${reason}`, path, error);
}
