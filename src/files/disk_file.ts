/**
 * Files on disk, for Node and Deno. Reached by dynamic import alone: browsers have no `node:fs`.
 *
 * @module
 */

import { open } from "node:fs/promises";
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import process from "node:process";
import { ChunkError, StoreError } from "../errors.ts";
import { describeWriteError, isSyncless } from "../store/disk_errors.ts";
import type { Holder } from "../store/file_lock.ts";
import { takeLock, thisProcess } from "../store/file_lock.ts";
import { PARTIAL_SUFFIX } from "../store/place.ts";
import type { OutputFile, SyncFile } from "./output_file.ts";

class DiskFile implements SyncFile {
  readonly #path: string;
  readonly #descriptor: number;
  #open = true;

  constructor(path: string, flags: "r" | "wx+") {
    this.#path = path;
    this.#descriptor = openSync(path, flags);
  }

  read(into: Uint8Array, { at }: { at: number }): number {
    return readSync(this.#descriptor, into, 0, into.byteLength, at);
  }

  write(bytes: Uint8Array, { at }: { at: number }): number {
    try {
      let written = 0;
      while (written < bytes.byteLength) {
        const left = bytes.byteLength - written;
        written += writeSync(this.#descriptor, bytes, written, left, at + written);
      }
      return written;
    } catch (error) {
      throw describeWriteError(this.#path, bytes.byteLength, error);
    }
  }

  truncate(bytes: number): void {
    ftruncateSync(this.#descriptor, bytes);
  }

  getSize(): number {
    return fstatSync(this.#descriptor).size;
  }

  flush(): void {
    fsyncSync(this.#descriptor);
  }

  close(): void {
    if (this.#open) closeSync(this.#descriptor);
    this.#open = false;
  }
}

/**
 * Takes the place of a file for this process, in whatever file a link there leads to. Its folder is made if it is
 * missing.
 *
 * @returns Where it really is, and what gives it back.
 * @throws {OutputConflictError} If another process is writing it.
 */
export async function lockDiskFile(
  path: string,
  place: string,
): Promise<{ path: string; unlock: () => Promise<void> }> {
  const target = targetOf(path);
  try {
    mkdirSync(dirname(target), { recursive: true });
  } catch (error) {
    throw describeWriteError(path, 0, error);
  }
  const unlock = await takeLock(`${target}.lock`, place, {
    make: (lock) => open(lock, "wx"),
    // what it had begun is nobody's
    onStale: async (holder) => rmSync(partialOf(target, holder), { force: true }),
  });
  return { path: target, unlock };
}

/** Where a path leads, if it is a link; the file there need not exist. */
function targetOf(path: string): string {
  for (let target = path, links = 0; links < MOST_LINKS; links++) {
    try {
      target = resolve(dirname(target), readlinkSync(target));
    } catch {
      return target;
    }
  }
  throw new StoreError(`Cannot write "${path}": it is a link that leads to itself`, path);
}

const MOST_LINKS = 40;

/** What a process calls a file before it is whole: nobody else's file has that name. */
function partialOf(path: string, { pid, started = "" }: Holder): string {
  return `${path}.${pid}-${started}${PARTIAL_SUFFIX}`;
}

/** Begins a file whose place was taken by {@link lockDiskFile}, which is given back when it ends. */
export async function createDiskFile(
  path: string,
  unlock: () => Promise<void> = () => Promise.resolve(),
): Promise<Omit<OutputFile, "place">> {
  const partial = partialOf(path, await thisProcess());
  let file: DiskFile;
  try {
    file = new DiskFile(partial, "wx+");
  } catch (error) {
    throw describeWriteError(path, 0, error);
  }
  return {
    file,
    async finish() {
      try {
        file.flush();
        file.close();
        renameSync(partial, path);
        syncFolder(dirname(path));
      } catch (error) {
        throw describeWriteError(path, 0, error);
      }
      await unlock();
    },
    async discard() {
      try {
        file.close();
        rmSync(partial, { force: true });
      } finally {
        await unlock();
      }
    },
  };
}

/** Makes a name outlast a power cut. */
function syncFolder(folder: string): void {
  // Windows opens no folders
  if (process.platform === "win32") return;
  let descriptor: number | undefined;
  try {
    descriptor = openSync(folder, "r");
    fsyncSync(descriptor);
  } catch (error) {
    if (!isSyncless(error)) throw error;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** @throws {ChunkError} If there is no such file. */
export function openDiskFile(path: string): SyncFile {
  try {
    return new DiskFile(path, "r");
  } catch (error) {
    throw new ChunkError(`Cannot open "${path}": ${(error as Error).message}`, path, error);
  }
}
