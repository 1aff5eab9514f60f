/**
 * What the system's errors of files mean, in words that help.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ChunkError, OutputConflictError, QuotaError, StoreError } from "../errors.ts";

export function errorCode(error: unknown): string | undefined {
  return (error as { code?: string }).code;
}

/** Nothing of that name: not there, below a file, or a folder where a file was meant. */
export function isMissing(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "EISDIR"].includes(errorCode(error) ?? "");
}

/** What is answered where a folder cannot be synced: some file systems sync none, some folders are not to be listed. */
export function isSyncless(error: unknown): boolean {
  const codes = ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EACCES"];
  return codes.includes(errorCode(error) ?? "");
}

const REASONS: Record<string, string> = {
  EACCES: "there is no permission",
  EPERM: "there is no permission",
  EROFS: "the disk is read only; some become so when they fail, which the system's log then tells",
  EIO: "the disk reports an error, which the system's log may tell more of",
  ENOTDIR: "something it lies in is a file, wanted a folder",
  EEXIST: "something it lies in is a file, wanted a folder",
  EISDIR: "it is a folder, wanted a file",
  ELOOP: "it is a link, wanted a file",
  EMFILE: "too many files are open",
};

export function describeError(action: string, path: string, error: unknown): StoreError {
  const reason = REASONS[errorCode(error) ?? ""] ?? (error as Error).message;
  return new StoreError(`Cannot ${action} "${path}": ${reason}`, path, error);
}

/** What went wrong with a write, as one of our errors. */
export function describeWriteError(path: string, neededBytes: number, error: unknown): Error {
  const code = errorCode(error);
  if (code === "ENOSPC" || code === "EDQUOT") {
    const { bytes: availableBytes, files } = roomFor(dirname(path));
    const reason = code === "EDQUOT"
      ? `your quota on this disk is used up, ${availableBytes} bytes are free on it for others`
      : files === 0
      ? `no more files can be made on this disk, however small, though ${availableBytes} bytes are free; ` +
        "remove some, or store larger chunks"
      : `${availableBytes} bytes are free on this disk`;
    return new QuotaError(
      `Cannot write "${path}": ${neededBytes} bytes are needed, ${reason}`,
      { neededBytes, availableBytes },
    );
  }
  const known = [StoreError, ChunkError, QuotaError, OutputConflictError]
    .some((kind) => error instanceof kind);
  return known ? error as Error : describeError("write", path, error);
}

/**
 * Bytes and files that this user can still make on the disk of a folder that need not be there yet. Where files are
 * not counted there is no end to them.
 */
export function roomFor(folder: string): { bytes: number; files: number } {
  for (let place = resolve(folder);; place = dirname(place)) {
    try {
      const { bavail, bsize, files, ffree } = statfsSync(place);
      return { bytes: bavail * bsize, files: files === 0 ? Infinity : ffree };
    } catch (error) {
      if (!isMissing(error) || dirname(place) === place) {
        return { bytes: Infinity, files: Infinity };
      }
    }
  }
}
