/**
 * One file with synchronous reads and writes at any offset, as a library compiled to WebAssembly needs
 * it: on disk, in a browser's private file system, or in memory.
 *
 * @module
 */

import { ChunkError, OutputConflictError, QuotaError, StoreError } from "../errors.ts";
import type { OpfsFileHandle } from "../store/opfs_files.ts";
import { opfsFile, opfsFolder } from "../store/opfs_files.ts";
import type { Place } from "../store/place.ts";
import {
  formatPlace,
  hasFileSystem,
  keyParts,
  parsePlace,
  PARTIAL_SUFFIX,
  splitPlace,
} from "../store/place.ts";
import { openStore } from "../store/open_store.ts";
import type { OutputFile, SyncFile } from "./output_file.ts";

/**
 * Begins a file. It is written under a temporary name.
 *
 * @param neededBytes What is to be written, where that is known.
 * @throws {OutputConflictError} If there is one already and `overwrite` is not set, or it is being written.
 * @throws {QuotaError} If there is less room than `neededBytes`.
 * @throws {StoreError} If it cannot be written, or the place is of a kind that has no such files.
 */
export async function createFile(
  place: string,
  { overwrite = false, neededBytes = 0 }: { overwrite?: boolean; neededBytes?: number } = {},
): Promise<OutputFile> {
  const parsed = parsePlace(place);
  if (parsed.scheme === "s3") {
    throw new StoreError(
      `Cannot write ${place}: objects cannot be written piece by piece, wanted a file on disk, in opfs: or in memory:`,
      place,
    );
  }
  const { folder, key } = splitPlace(place);
  // checks the name too
  const name = keyParts(key, "write").at(-1)!;
  const store = await openStore(folder, { mode: "write" });
  let unlock = () => Promise.resolve();
  try {
    let path = parsed.path;
    if (parsed.scheme === "file") {
      const { lockDiskFile } = await import("./disk_file.ts");
      ({ path, unlock } = await lockDiskFile(parsed.path, place));
    } else unlock = await store.lock(`${key}.lock/lock`);
    if (!overwrite && await store.size(key) !== undefined) {
      throw new OutputConflictError(
        `Cannot write ${place}: there is a file already, allow overwriting or name another place`,
        place,
      );
    }
    const availableBytes = await store.availableBytes();
    if (neededBytes > availableBytes) {
      throw new QuotaError(
        `Cannot write ${place}: ${neededBytes} bytes are needed, ${availableBytes} are free`,
        { neededBytes, availableBytes },
      );
    }
    switch (parsed.scheme) {
      case "file": {
        const { createDiskFile } = await import("./disk_file.ts");
        return { place, ...await createDiskFile(path, unlock) };
      }
      case "opfs":
        return unlocking(await createOpfsFile(parsed, name), unlock);
      default:
        return unlocking(createMemoryFile(place, folder, key), unlock);
    }
  } catch (error) {
    await unlock();
    throw error;
  } finally {
    await store.close();
  }
}

/** The same file, whose place is given back when it ends. */
function unlocking(output: OutputFile, unlock: () => Promise<void>): OutputFile {
  return {
    ...output,
    finish: () => output.finish().then(unlock),
    discard: () => output.discard().finally(unlock),
  };
}

/**
 * Opens a file for reading.
 *
 * @throws {ChunkError} If there is none.
 * @throws {StoreError} If it cannot be read here.
 */
export async function openFile(place: string): Promise<SyncFile> {
  const parsed = parsePlace(place);
  if (parsed.scheme === "file" && hasFileSystem()) {
    return (await import("./disk_file.ts")).openDiskFile(parsed.path);
  }
  if (parsed.scheme === "opfs") {
    const { key } = splitPlace(place);
    try {
      const directory = await opfsFolder(folderNames(parsed));
      return await syncAccess(await opfsFile(directory, key.slice(1)), place);
    } catch (error) {
      if ((error as Error).name !== "NotFoundError") throw error;
      throw new ChunkError(`Cannot open ${place}: there is no file`, place, error);
    }
  }
  if (parsed.scheme !== "memory") {
    throw new StoreError(
      `Cannot open ${place}: wanted a file on disk, in opfs: or in memory:`,
      place,
    );
  }
  const { folder, key } = splitPlace(place);
  const store = await openStore(folder);
  const bytes = await store.get(key);
  await store.close();
  if (!bytes) throw new ChunkError(`Cannot open ${place}: there is no file`, place);
  return new MemoryFile(bytes);
}

class MemoryFile implements SyncFile {
  #buffer: Uint8Array;
  #size: number;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#buffer = bytes;
    this.#size = bytes.byteLength;
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  read(into: Uint8Array, { at }: { at: number }): number {
    const part = this.bytes.subarray(at, at + into.byteLength);
    into.set(part);
    return part.byteLength;
  }

  write(bytes: Uint8Array, { at }: { at: number }): number {
    this.#reserve(at + bytes.byteLength);
    this.#buffer.set(bytes, at);
    this.#size = Math.max(this.#size, at + bytes.byteLength);
    return bytes.byteLength;
  }

  truncate(bytes: number): void {
    this.#reserve(bytes);
    this.#buffer.fill(0, Math.min(this.#size, bytes));
    this.#size = bytes;
  }

  getSize(): number {
    return this.#size;
  }

  flush(): void {}

  close(): void {}

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.byteLength) return;
    const larger = new Uint8Array(Math.max(bytes, 2 * this.#buffer.byteLength));
    larger.set(this.bytes);
    this.#buffer = larger;
  }
}

function createMemoryFile(place: string, folder: string, key: string): OutputFile {
  const file = new MemoryFile();
  return {
    place,
    file,
    async finish() {
      const store = await openStore(folder, { mode: "write" });
      await store.set(key, file.bytes);
      await store.close();
    },
    discard: () => Promise.resolve(),
  };
}

async function createOpfsFile(parsed: Place, name: string): Promise<OutputFile> {
  const place = formatPlace(parsed);
  const directory = await opfsFolder(folderNames(parsed), { create: true });
  const partial = name + PARTIAL_SUFFIX;
  const handle = await opfsFile(directory, partial, { create: true });
  let file: SyncFile;
  try {
    file = await syncAccess(handle, place);
    // what an earlier export left
    file.truncate(0);
  } catch (error) {
    await directory.removeEntry(partial).catch(() => {});
    throw error;
  }
  return {
    place,
    file: {
      read: (into, options) => file.read(into, options),
      write(bytes, options) {
        const written = file.write(bytes, options);
        if (written === bytes.byteLength) return written;
        throw new QuotaError(
          `Cannot write ${place}: ${bytes.byteLength} bytes were to be written, the browser took ` +
            `${written}`,
          { neededBytes: bytes.byteLength, availableBytes: written },
        );
      },
      truncate: (bytes) => file.truncate(bytes),
      getSize: () => file.getSize(),
      flush: () => file.flush(),
      close: () => file.close(),
    },
    async finish() {
      file.flush();
      file.close();
      await handle.move(name);
    },
    async discard() {
      file.close();
      await directory.removeEntry(partial);
    },
  };
}

/** Names of the folders a place lies in. */
function folderNames({ path }: Place): string[] {
  return path.split("/").filter((part) => part !== "").slice(0, -1);
}

async function syncAccess(handle: OpfsFileHandle, place: string): Promise<SyncFile> {
  const access = await handle.createSyncAccessHandle?.();
  if (access) return access;
  throw new StoreError(
    `Cannot open ${place}: this is a page, wanted a dedicated worker, the one place where ` +
      "browsers read and write files synchronously",
    place,
  );
}
