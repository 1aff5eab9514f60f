/**
 * The worker that writes files of a browser's private file system, and reads ranges of them, one action
 * at a time. Files have a temporary name until they are whole; each that grows keeps one sync access
 * handle open.
 *
 * @module
 */

import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import type { OpfsFileHandle, SyncAccessHandle } from "./opfs_files.ts";
import { opfsFile, opfsFolder } from "./opfs_files.ts";
import { PARTIAL_SUFFIX } from "./place.ts";

/** What is to be done with a file. */
export type FileAction =
  | { kind: "read"; ranges: ByteRange[] }
  | { kind: "set"; bytes: Uint8Array }
  | { kind: "open"; keep: number }
  | { kind: "append"; bytes: Uint8Array; at: number }
  | { kind: "sync" }
  | { kind: "finish" }
  | { kind: "close" };

export interface FileRequest {
  id: number;
  folders: string[];
  name: string;
  action: FileAction;
}

export type Problem =
  | { kind: "quota"; neededBytes: number; availableBytes: number }
  | { kind: "short"; bytes: number; keep: number }
  | { kind: "failure"; message: string };

/** What a file holds, of what was read of it. */
type Parts = Uint8Array<ArrayBuffer>[];

export interface FileReply {
  id: number;
  parts?: Parts;
  problem?: Problem | undefined;
}

/** The worker's first words. */
export interface Started {
  /** A lock that it holds for as long as it lives; none where there are no locks. */
  lifeline: string | undefined;
}

interface WorkerScope {
  onmessage: ((event: MessageEvent<FileRequest>) => void) | null;
  postMessage(reply: FileReply | Started, transfer: ArrayBuffer[]): void;
}

const scope = globalThis as unknown as WorkerScope;
let last: Promise<void> = Promise.resolve();

// browsers tell nobody that they ended a worker, but let go of its locks
const lifeline = navigator.locks && `sluice worker ${crypto.randomUUID()}`;
if (lifeline === undefined) scope.postMessage({ lifeline }, []);
else {
  navigator.locks.request(lifeline, () => {
    scope.postMessage({ lifeline }, []);
    return new Promise(() => {});
  });
}

scope.onmessage = ({ data }) => {
  last = last.then(() => perform(data))
    .catch((error): Problem => ({ kind: "failure", message: String(error) }))
    .then((done) => {
      if (!Array.isArray(done)) scope.postMessage({ id: data.id, problem: done }, []);
      else scope.postMessage({ id: data.id, parts: done }, done.map(({ buffer }) => buffer));
    });
};

/** Files that grow, by their path. */
const growing = new Map<string, { file: OpfsFileHandle; handle: SyncAccessHandle }>();

async function perform(
  { folders, name, action }: FileRequest,
): Promise<Parts | Problem | undefined> {
  const path = [...folders, name].join("/");
  const neededBytes = "bytes" in action ? action.bytes.byteLength : 0;
  try {
    switch (action.kind) {
      case "read":
        return await read(await opfsFolder(folders), name, action.ranges);
      case "set":
        return await set(await opfsFolder(folders, { create: true }), name, action.bytes);
      case "open":
        return await open(path, await opfsFolder(folders, { create: true }), name, action.keep);
      case "append":
        return await writeAll(growing.get(path)!.handle, action.bytes, action.at);
      case "sync":
        growing.get(path)!.handle.flush();
        return undefined;
      case "finish":
      case "close": {
        const { file, handle } = growing.get(path)!;
        growing.delete(path);
        handle.flush();
        handle.close();
        if (action.kind === "finish") await file.move(name);
        return undefined;
      }
    }
  } catch (error) {
    const { name: kind, message } = error as Error;
    if (kind === "QuotaExceededError") return quotaProblem(neededBytes);
    return { kind: "failure", message: REASONS[kind] ?? `${kind}: ${message}` };
  }
}

async function read(
  directory: FileSystemDirectoryHandle,
  name: string,
  ranges: readonly ByteRange[],
): Promise<Parts> {
  const file = await opfsFile(directory, name);
  // browsers that know no modes lock others out
  const handle = await file.createSyncAccessHandle!({ mode: "read-only" });
  try {
    const size = handle.getSize();
    return ranges.map((range) => {
      const [start, end] = rangeBounds(range, size);
      const bytes = new Uint8Array(end - start);
      return bytes.subarray(0, handle.read(bytes, { at: start }));
    });
  } finally {
    handle.close();
  }
}

async function set(
  directory: FileSystemDirectoryHandle,
  name: string,
  bytes: Uint8Array,
): Promise<Problem | undefined> {
  const partial = name + PARTIAL_SUFFIX;
  try {
    const file = await opfsFile(directory, partial, { create: true });
    const handle = await file.createSyncAccessHandle!();
    let problem: Problem | undefined;
    try {
      handle.truncate(0);
      problem = await writeAll(handle, bytes, 0);
      handle.flush();
    } finally {
      handle.close();
    }
    if (!problem) {
      await file.move(name);
      return undefined;
    }
    await directory.removeEntry(partial);
    return problem;
  } catch (error) {
    await directory.removeEntry(partial).catch(() => {});
    throw error;
  }
}

async function open(
  path: string,
  directory: FileSystemDirectoryHandle,
  name: string,
  keep: number,
): Promise<Problem | undefined> {
  const partial = name + PARTIAL_SUFFIX;
  if (keep > 0 && !(await exists(directory, partial))) {
    const bytes = await exists(directory, name)
      ? (await (await directory.getFileHandle(name)).getFile()).size
      : 0;
    if (bytes < keep) return { kind: "short", bytes, keep };
    await (await opfsFile(directory, name)).move(partial);
  }
  const file = await opfsFile(directory, partial, { create: true });
  const handle = await file.createSyncAccessHandle!();
  const bytes = handle.getSize();
  if (bytes < keep) {
    handle.close();
    return { kind: "short", bytes, keep };
  }
  handle.truncate(keep);
  growing.set(path, { file, handle });
  return undefined;
}

async function writeAll(
  handle: SyncAccessHandle,
  bytes: Uint8Array,
  at: number,
): Promise<Problem | undefined> {
  const written = handle.write(bytes, { at });
  return written === bytes.byteLength ? undefined : await quotaProblem(bytes.byteLength);
}

async function exists(directory: FileSystemDirectoryHandle, name: string): Promise<boolean> {
  return await directory.getFileHandle(name).then(() => true, () => false);
}

const REASONS: Record<string, string> = {
  NoModificationAllowedError: "another tab or worker is writing it",
  TypeMismatchError: "a folder was met where a file was wanted, or a file for a folder",
};

async function quotaProblem(neededBytes: number): Promise<Problem> {
  const { quota = 0, usage = 0 } = await navigator.storage.estimate();
  return { kind: "quota", neededBytes, availableBytes: Math.max(0, quota - usage) };
}
