/**
 * The worker that writes files of a browser's private file system, one at a time: to a temporary
 * name, flushed, then renamed.
 *
 * @module
 */

import { PARTIAL_SUFFIX } from "./place.ts";

export interface WriteRequest {
  id: number;
  folders: string[];
  name: string;
  bytes: Uint8Array;
}

export interface WriteReply {
  id: number;
  problem?:
    | { kind: "quota"; neededBytes: number; availableBytes: number }
    | { kind: "failure"; message: string }
    | undefined;
}

// These members are in TypeScript's library for workers alone, and in none of Deno's.
interface SyncAccessHandle {
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(bytes: number): void;
  flush(): void;
  close(): void;
}

interface OpfsFileHandle {
  createSyncAccessHandle(): Promise<SyncAccessHandle>;
  move(name: string): Promise<void>;
}

interface WorkerScope {
  onmessage: ((event: MessageEvent<WriteRequest>) => void) | null;
  postMessage(reply: WriteReply): void;
}

const scope = globalThis as unknown as WorkerScope;
let last: Promise<void> = Promise.resolve();

scope.onmessage = ({ data }) => {
  last = last.then(() => write(data))
    .catch((error): WriteReply["problem"] => ({ kind: "failure", message: String(error) }))
    .then((problem) => scope.postMessage({ id: data.id, problem }));
};

async function write(request: WriteRequest): Promise<WriteReply["problem"]> {
  const { folders, name, bytes } = request;
  const partial = name + PARTIAL_SUFFIX;
  let directory: FileSystemDirectoryHandle | undefined;
  try {
    directory = await navigator.storage.getDirectory();
    for (const folder of folders) {
      directory = await directory.getDirectoryHandle(folder, { create: true });
    }
    const found: unknown = await directory.getFileHandle(partial, { create: true });
    const file = found as OpfsFileHandle;
    const handle = await file.createSyncAccessHandle();
    let written: number;
    try {
      handle.truncate(0);
      // over quota browsers write less than asked for and throw nothing
      written = handle.write(bytes, { at: 0 });
      handle.flush();
    } finally {
      handle.close();
    }
    if (written === bytes.byteLength) {
      await file.move(name);
      return undefined;
    }
    await directory.removeEntry(partial);
    return await quotaProblem(bytes.byteLength);
  } catch (error) {
    await directory?.removeEntry(partial).catch(() => {});
    const { name: kind, message } = error as Error;
    if (kind === "QuotaExceededError") return quotaProblem(bytes.byteLength);
    return { kind: "failure", message: REASONS[kind] ?? `${kind}: ${message}` };
  }
}

const REASONS: Record<string, string> = {
  NoModificationAllowedError: "another tab or worker is writing it",
  TypeMismatchError: "a folder was met where a file was wanted, or a file for a folder",
};

async function quotaProblem(neededBytes: number): Promise<WriteReply["problem"]> {
  const { quota = 0, usage = 0 } = await navigator.storage.estimate();
  return { kind: "quota", neededBytes, availableBytes: Math.max(0, quota - usage) };
}
