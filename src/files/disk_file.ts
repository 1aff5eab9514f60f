/**
 * Files on disk, for Node and Deno. Reached by dynamic import alone: browsers have no `node:fs`.
 *
 * @module
 */

import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { ChunkError, QuotaError, StoreError } from "../errors.ts";
import { PARTIAL_SUFFIX } from "../store/place.ts";
import type { OutputFile, SyncFile } from "./output_file.ts";

class DiskFile implements SyncFile {
  readonly #path: string;
  readonly #descriptor: number;
  #open = true;

  constructor(path: string, flags: "r" | "w+") {
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
      throw describeError(error, this.#path, bytes.byteLength);
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

/** Begins a file; its folder is made if it is missing. */
export function createDiskFile(path: string): Omit<OutputFile, "place"> {
  const partial = path + PARTIAL_SUFFIX;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = new DiskFile(partial, "w+");
    return {
      file,
      // async, so that what fails rejects
      async finish() {
        file.flush();
        file.close();
        renameSync(partial, path);
        syncFolder(dirname(path));
      },
      async discard() {
        file.close();
        rmSync(partial, { force: true });
      },
    };
  } catch (error) {
    throw describeError(error, path, 0);
  }
}

/** Makes a name outlast a power cut. */
function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // Windows opens no folders, and some file systems sync none
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

function describeError(error: unknown, path: string, neededBytes: number): Error {
  const { code, message } = error as { code?: string; message: string };
  if (code === "ENOSPC" || code === "EDQUOT") {
    const { bavail, bsize } = statfsSync(dirname(path));
    const availableBytes = bavail * bsize;
    return new QuotaError(
      `Cannot write "${path}": ${neededBytes} bytes are needed, ${availableBytes} are free`,
      { neededBytes, availableBytes },
    );
  }
  return new StoreError(`Cannot write "${path}": ${message}`, path, error);
}
