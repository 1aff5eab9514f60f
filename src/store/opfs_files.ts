/**
 * Files of a browser's private file system, as far as the libraries of TypeScript and Deno lack them.
 *
 * @module
 */

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

/** A folder by the names that lead to it. */
export async function opfsFolder(
  names: readonly string[],
  { create = false }: { create?: boolean } = {},
): Promise<FileSystemDirectoryHandle> {
  let directory = await navigator.storage.getDirectory();
  for (const name of names) directory = await directory.getDirectoryHandle(name, { create });
  return directory;
}

export async function opfsFile(
  directory: FileSystemDirectoryHandle,
  name: string,
  { create = false }: { create?: boolean } = {},
): Promise<OpfsFileHandle> {
  const found: unknown = await directory.getFileHandle(name, { create });
  return found as OpfsFileHandle;
}
