/**
 * Files of a browser's private file system, as far as the libraries of TypeScript and Deno lack them, by
 * the names that lead to them.
 *
 * @module
 */

import { StoreError } from "../errors.ts";

/** Given to dedicated workers alone. */
export interface SyncAccessHandle {
  /** Bytes read: fewer than asked for at the end. */
  read(into: Uint8Array, options: { at: number }): number;
  /** Bytes written: over quota browsers write less than asked for, and throw nothing. */
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(bytes: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

export interface OpfsFileHandle {
  /** Absent in pages. */
  createSyncAccessHandle?(options?: { mode: "read-only" }): Promise<SyncAccessHandle>;
  move(name: string): Promise<void>;
}

/**
 * The folder that all others are in.
 *
 * @throws {StoreError} If the browser refuses it, as in some private windows.
 */
export async function opfsRoot(): Promise<FileSystemDirectoryHandle> {
  try {
    return await navigator.storage.getDirectory();
  } catch (cause) {
    throw new StoreError(
      `Cannot open "opfs:": the browser refuses its private file system here (${
        errorName(cause)
      }), wanted a window that is not private, or another place`,
      "opfs:",
      cause,
    );
  }
}

/** A folder by the names that lead to it. */
export async function opfsFolder(
  names: readonly string[],
  { create = false }: { create?: boolean } = {},
): Promise<FileSystemDirectoryHandle> {
  let directory = await opfsRoot();
  for (const name of names) directory = await directory.getDirectoryHandle(name, { create });
  return directory;
}

/**
 * What is in a folder.
 *
 * @param path The names that lead to it, for the message.
 * @throws {StoreError} If the browser does not tell the name of an entry: Chromium on Linux, in a locale without UTF-8,
 * keeps files whose names are not ASCII and lists them without one.
 */
export async function folderEntries(
  directory: FileSystemDirectoryHandle,
  path: readonly string[],
): Promise<[string, FileSystemHandle][]> {
  const entries: [string, FileSystemHandle][] = [];
  for await (const entry of directory.entries()) entries.push(entry);
  if (entries.some(([name]) => name === "")) {
    const place = `opfs:${path.join("/")}`;
    throw new StoreError(
      `Cannot list "${place}": the browser gives an entry without its name, as Chromium does with names beyond ASCII ` +
        `where the locale has no UTF-8; wanted a browser started with LC_ALL=C.UTF-8`,
      place,
    );
  }
  return entries;
}

export async function opfsFile(
  directory: FileSystemDirectoryHandle,
  name: string,
  { create = false }: { create?: boolean } = {},
): Promise<OpfsFileHandle> {
  const found: unknown = await directory.getFileHandle(name, { create });
  return found as OpfsFileHandle;
}

/** A folder, if there is one. */
export async function findFolder(
  path: readonly string[],
): Promise<FileSystemDirectoryHandle | undefined> {
  return await unlessMissing(() => opfsFolder(path));
}

/** What a file holds, if there is one. */
export async function findFile(path: readonly string[]): Promise<File | undefined> {
  return await unlessMissing(async () => {
    const directory = await opfsFolder(path.slice(0, -1));
    return await (await directory.getFileHandle(path.at(-1)!)).getFile();
  });
}

/**
 * Removes a file, or a folder with all that is in it.
 *
 * @throws {StoreError} If the browser refuses.
 */
export async function remove(path: readonly string[]): Promise<void> {
  const directory = await findFolder(path.slice(0, -1));
  try {
    await unlessMissing(async () => {
      await directory?.removeEntry(path.at(-1)!, { recursive: true });
    });
  } catch (error) {
    const full = `opfs:${path.join("/")}`;
    throw new StoreError(`Cannot delete "${full}": ${(error as Error).message}`, full, error);
  }
}

/** Removes a folder if nothing is in it. */
export async function removeEmpty(path: readonly string[]): Promise<void> {
  const parent = await findFolder(path.slice(0, -1));
  // refused while something is in it
  if (path.length > 0) await parent?.removeEntry(path.at(-1)!).catch(() => {});
}

export function errorName(error: unknown): string {
  return (error as { name?: string }).name ?? "";
}

async function unlessMissing<Found>(find: () => Promise<Found>): Promise<Found | undefined> {
  try {
    return await find();
  } catch (error) {
    // names that browsers do not allow, such as those with a backslash, are a TypeError
    const absent = ["NotFoundError", "TypeMismatchError", "TypeError"];
    if (absent.includes(errorName(error))) return undefined;
    throw error;
  }
}
