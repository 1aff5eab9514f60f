/**
 * One file with synchronous reads and writes at any offset, as a library compiled to WebAssembly needs
 * it: on disk, in a browser's private file system, or in memory.
 *
 * @module
 */

import { ChunkError, OutputConflictError, QuotaError, StoreError } from "../errors.ts";
import type { Place } from "../store/place.ts";
import {
  formatPlace,
  hasFileSystem,
  keyParts,
  parsePlace,
  PARTIAL_SUFFIX,
  splitPlace,
} from "../store/place.ts";
import { openStore } from "../store/store.ts";

/** The same members as a browser's sync access handle has. */
export interface SyncFile {
  /** Bytes read: fewer than asked for at the end. */
  read(into: Uint8Array, options: { at: number }): number;
  /** Bytes written. */
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(bytes: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

/** A file that is being written, unseen until it is whole. */
export interface OutputFile {
  /** Where it will be. */
  place: string;
  file: SyncFile;
  /** Closes it and puts it in its place. */
  finish(): Promise<void>;
  /** Closes and removes it. */
  discard(): Promise<void>;
}

/** What pages lack: the browser gives sync access handles to dedicated workers alone. */
interface OpfsFileHandle {
  createSyncAccessHandle?(): Promise<SyncFile>;
  move(name: string): Promise<void>;
}

/**
 * Begins a file. It is written under a temporary name.
 *
 * @throws {OutputConflictError} If there is one already and `overwrite` is not set.
 * @throws {StoreError} If it cannot be written, or the place is of a kind that has no such files.
 */
export async function createFile(
  place: string,
  { overwrite = false }: { overwrite?: boolean } = {},
): Promise<OutputFile> {
  const parsed = parsePlace(place);
  const { folder, key } = splitPlace(place);
  // checks the name too
  const name = keyParts(key, "write").at(-1)!;
  const store = await openStore(folder, { mode: "write" });
  try {
    if (!overwrite && await store.size(key) !== undefined) {
      throw new OutputConflictError(
        `Cannot write ${place}: there is a file already, allow overwriting or name another place`,
        place,
      );
    }
  } finally {
    await store.close();
  }
  switch (parsed.scheme) {
    case "file": {
      const { createDiskFile } = await import("./disk_file.ts");
      return { place, ...createDiskFile(parsed.path) };
    }
    case "opfs":
      return await createOpfsFile(parsed, name);
    default:
      return createMemoryFile(place, folder, key);
  }
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
    const folders = parsed.path.split("/").filter((part) => part !== "");
    const name = folders.pop()!;
    try {
      const directory = await opfsFolder(folders, false);
      return await opfsHandle(await directory.getFileHandle(name), place);
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
  const folders = parsed.path.split("/").filter((part) => part !== "").slice(0, -1);
  const directory = await opfsFolder(folders, true);
  const partial = name + PARTIAL_SUFFIX;
  const handle = await directory.getFileHandle(partial, { create: true });
  let file: SyncFile;
  try {
    file = await opfsHandle(handle, place);
  } catch (error) {
    await directory.removeEntry(partial).catch(() => {});
    throw error;
  }
  const write = (bytes: Uint8Array, options: { at: number }) => {
    const written = file.write(bytes, options);
    // over quota browsers write less than asked for and throw nothing
    if (written === bytes.byteLength) return written;
    throw new QuotaError(
      `Cannot write ${place}: ${bytes.byteLength} bytes were to be written, the browser took ` +
        `${written}`,
      { neededBytes: bytes.byteLength, availableBytes: written },
    );
  };
  return {
    place,
    file: {
      read: (into, options) => file.read(into, options),
      write,
      truncate: (bytes) => file.truncate(bytes),
      getSize: () => file.getSize(),
      flush: () => file.flush(),
      close: () => file.close(),
    },
    async finish() {
      file.flush();
      file.close();
      await (handle as unknown as OpfsFileHandle).move(name);
    },
    async discard() {
      file.close();
      await directory.removeEntry(partial);
    },
  };
}

async function opfsFolder(
  folders: readonly string[],
  create: boolean,
): Promise<FileSystemDirectoryHandle> {
  let directory = await navigator.storage.getDirectory();
  for (const folder of folders) directory = await directory.getDirectoryHandle(folder, { create });
  return directory;
}

async function opfsHandle(handle: unknown, place: string): Promise<SyncFile> {
  const file = handle as OpfsFileHandle;
  if (file.createSyncAccessHandle === undefined) {
    throw new StoreError(
      `Cannot open ${place}: this is a page, wanted a dedicated worker, the one place where ` +
        "browsers read and write files synchronously",
      place,
    );
  }
  const opened = await file.createSyncAccessHandle();
  return opened;
}
