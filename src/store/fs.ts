/**
 * A store in files, for Node and Deno. Reached by dynamic import alone: browsers have no `node:fs`.
 *
 * @module
 */

import type { BigIntStats, Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import {
  access,
  constants,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
} from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join, resolve, sep } from "node:path";
import process from "node:process";
import { ChunkError, OutputConflictError, QuotaError, StoreError } from "../errors.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import { keyParts, PARTIAL_SUFFIX, prefixParts, tooShort, wasClosed } from "./place.ts";
import type { Appender, GetOptions, Store, ValueStamp } from "./store.ts";

export class FileStore implements Store {
  readonly place: string;
  readonly #folder: string;
  /** The last write of each key: two at once would share a temporary file. */
  readonly #writes = new Map<string, Promise<void>>();
  /** Files that have an open appender. */
  readonly #growing = new Set<string>();
  /** Files that are being opened, for all reads of them that are begun in this turn. */
  readonly #opening = new Map<string, SharedFile>();

  constructor(folder: string) {
    this.place = `file:${folder}`;
    this.#folder = folder === "" ? "." : folder;
  }

  get(key: string, { mostBytes = Infinity }: GetOptions = {}): Promise<Uint8Array | undefined> {
    return this.#read(key, (size) => {
      if (size <= mostBytes) return [0, size];
      throw new ChunkError(
        `Cannot read "${this.place}${key}": it holds ${size} bytes, wanted ${mostBytes} at most`,
        this.place + key,
      );
    });
  }

  getRange(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    return this.#read(key, (size) => rangeBounds(range, size));
  }

  async size(key: string): Promise<number | undefined> {
    const found = await findFile(this.#path(keyParts(key)));
    return found && Number(found.size);
  }

  async stamp(key: string): Promise<ValueStamp | undefined> {
    const found = await findFile(this.#path(keyParts(key)));
    if (!found) return undefined;
    const { size, mtimeNs, ctimeNs, ino } = found;
    const latest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
    return {
      text: `${size} ${mtimeNs} ${ctimeNs} ${ino}`,
      changedMs: Number(latest / 1_000_000n),
    };
  }

  set(key: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(keyParts(key, "write"));
    if (this.#growing.has(path)) {
      return Promise.reject(
        new StoreError(`Cannot write "${path}": an unfinished value of that key is open`, path),
      );
    }
    const before = this.#writes.get(path) ?? Promise.resolve();
    const write = before.catch(() => {}).then(() => writeFile(path, bytes));
    this.#writes.set(path, write);
    const forget = () => {
      if (this.#writes.get(path) === write) this.#writes.delete(path);
    };
    write.then(forget, forget);
    return write;
  }

  async append(key: string, { keep = 0 } = {}): Promise<Appender> {
    const path = this.#path(keyParts(key, "write"));
    const partial = path + PARTIAL_SUFFIX;
    try {
      if (keep > 0 && !(await exists(partial))) {
        const size = await this.size(key) ?? 0;
        if (size < keep) throw tooShort(path, size, keep);
        await rename(path, partial);
      }
      const handle = await openForWriting(partial, keep > 0 ? "r+" : "w");
      const { size } = await handle.stat();
      if (size < keep) {
        await handle.close();
        throw tooShort(path, size, keep);
      }
      await handle.truncate(keep);
      return new FileAppender(handle, path, keep, this.#growing);
    } catch (error) {
      if (keep > 0 && isMissing(error)) throw tooShort(path, 0, keep);
      throw await describeWriteError(path, keep, error);
    }
  }

  async lock(key: string): Promise<() => Promise<void>> {
    return await takeLock(this.#path(keyParts(key, "write")), this.place);
  }

  availableBytes(): Promise<number> {
    return freeBytes(this.#folder);
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(keyParts(key));
    if ((await kindOf(path))?.isFile()) await remove(path);
  }

  async deleteAll(prefix = "/"): Promise<void> {
    const folder = this.#path(prefixParts(prefix));
    if ((await kindOf(folder))?.isDirectory()) await remove(folder);
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
    const file = this.#open(path);
    try {
      const { handle, stats } = await file.opened;
      if (!stats.isFile()) return undefined;
      const [start, end] = bounds(stats.size);
      const bytes = new Uint8Array(end - start);
      return bytes.subarray(0, await readWhole(handle, bytes, start));
    } catch (error) {
      if (isMissing(error)) return undefined;
      if (error instanceof ChunkError) throw error;
      throw describeError("read", path, error);
    } finally {
      if (--file.readers === 0) await file.opened.then(({ handle }) => handle.close(), () => {});
    }
  }

  /** A file, shared by some readers: opening it takes longer than a small read does. */
  #open(path: string): SharedFile {
    let file = this.#opening.get(path);
    if (!file || file.readers === MOST_READERS) {
      file = { opened: openToRead(path), readers: 0 };
      this.#opening.set(path, file);
      // later there may be another file of that name
      queueMicrotask(() => this.#opening.delete(path));
    }
    file.readers++;
    return file;
  }

  #path(parts: readonly string[]): string {
    const bad = sep === "\\" && parts.find((part) => /[\\:]/.test(part));
    if (bad) throw new TypeError(`Cannot use the name "${bad}": Windows has no such file names`);
    return join(this.#folder, ...parts);
  }
}

/** What the system tells of a file, if there is one. */
async function findFile(path: string): Promise<BigIntStats | undefined> {
  try {
    const found = await stat(path, { bigint: true });
    return found.isFile() ? found : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw describeError("read", path, error);
  }
}

interface SharedFile {
  opened: Promise<{ handle: FileHandle; stats: Stats }>;
  readers: number;
}

// Reads of a handle come one after the other in Deno. In Node 8 take a third of the time of 8 files, and
// more nothing less.
const MOST_READERS = 8;

async function openToRead(path: string): Promise<{ handle: FileHandle; stats: Stats }> {
  const handle = await open(path, "r");
  try {
    return { handle, stats: await handle.stat() };
  } catch (error) {
    await handle.close();
    throw error;
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
 * Writes all of `bytes` from a position of a file on. A disk that fills up takes a part first, and says
 * why when the rest is sent.
 *
 * @throws {StoreError} If bytes are sent and none arrives; gives both counts.
 */
export async function writeWhole(
  handle: WriteHandle,
  bytes: Uint8Array,
  path: string,
  position = 0,
): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const wanted = Math.min(CALL_BYTES, bytes.byteLength - done);
    const { bytesWritten } = await handle.write(bytes, done, wanted, position + done);
    if (bytesWritten === 0) {
      throw new StoreError(
        `Cannot write "${path}": ${done} of ${bytes.byteLength} bytes were written`,
        path,
      );
    }
    done += bytesWritten;
  }
}

/** Opens a file to be written, making the folders it lies in. */
async function openForWriting(path: string, flags: "w" | "wx" | "r+"): Promise<FileHandle> {
  try {
    return await open(path, flags);
  } catch (error) {
    if (errorCode(error) !== "ENOENT" || flags === "r+") throw error;
  }
  // the folder above "." is "." again
  const folder = resolve(dirname(path));
  const first = await mkdir(folder, { recursive: true });
  if (first !== undefined) {
    for (let made = folder; made.length >= first.length; made = dirname(made)) {
      await syncFolder(dirname(made));
    }
  }
  return await open(path, flags);
}

/** Makes what was created, renamed or removed in a folder outlast a power cut. */
async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders, and some file systems sync none
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

async function writeFile(path: string, bytes: Uint8Array): Promise<void> {
  const partial = path + PARTIAL_SUFFIX;
  try {
    const handle = await openForWriting(partial, "w");
    try {
      await writeWhole(handle, bytes, path);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {});
    throw await describeWriteError(path, bytes.byteLength, error);
  }
}

class FileAppender implements Appender {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #growing: Set<string>;
  #size: number;
  #ended = false;
  #isNamed = false;
  #last: Promise<void> = Promise.resolve();

  constructor(handle: FileHandle, path: string, size: number, growing: Set<string>) {
    this.#handle = handle;
    this.#path = path;
    this.#size = size;
    this.#growing = growing;
    growing.add(path);
  }

  get size(): number {
    return this.#size;
  }

  append(bytes: Uint8Array): Promise<void> {
    const position = this.#size;
    this.#size += bytes.byteLength;
    return this.#then(bytes.byteLength, () => {
      return writeWhole(this.#handle, bytes, this.#path, position);
    });
  }

  sync(): Promise<void> {
    return this.#then(0, async () => {
      await this.#handle.sync();
      // a new file has its name only once its folder is synced
      if (!this.#isNamed) await syncFolder(dirname(this.#path));
      this.#isNamed = true;
    });
  }

  finish(): Promise<void> {
    return this.#then(0, async () => {
      await this.#handle.sync();
      await this.#end();
      await rename(this.#path + PARTIAL_SUFFIX, this.#path);
      await syncFolder(dirname(this.#path));
    });
  }

  close(): Promise<void> {
    return this.#last.catch(() => {}).then(() => this.#end());
  }

  async #end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#growing.delete(this.#path);
    await this.#handle.close();
  }

  #then(bytes: number, action: () => Promise<void>): Promise<void> {
    if (this.#ended) return Promise.reject(wasClosed(this.#path));
    const next = this.#last.then(action).catch(async (error) => {
      throw await describeWriteError(this.#path, bytes, error);
    });
    this.#last = next;
    // whoever comes next sees the failure; until then it is not "unhandled"
    next.catch(() => {});
    return next;
  }
}

/** What went wrong with a write, as one of our errors. */
async function describeWriteError(
  path: string,
  neededBytes: number,
  error: unknown,
): Promise<Error> {
  if (["ENOSPC", "EDQUOT"].includes(errorCode(error) ?? "")) {
    const availableBytes = await freeBytes(dirname(path));
    return new QuotaError(
      `Cannot write "${path}": ${neededBytes} bytes are needed, ${availableBytes} bytes are free ` +
        `on this disk`,
      { neededBytes, availableBytes },
    );
  }
  const known = [StoreError, ChunkError, QuotaError, OutputConflictError]
    .some((kind) => error instanceof kind);
  return known ? error as Error : describeError("write", path, error);
}

/** Takes a lock that lies in a file, unless the process that has it is still there. */
async function takeLock(path: string, place: string): Promise<() => Promise<void>> {
  const mine = JSON.stringify(await processIdentity(process.pid));
  for (;;) {
    try {
      const handle = await openForWriting(path, "wx");
      try {
        await writeWhole(handle, new TextEncoder().encode(mine), path);
      } finally {
        await handle.close();
      }
      let held = true;
      return async () => {
        if (!held) return;
        held = false;
        if (await readText(path) !== mine) return;
        await remove(path);
        await rmdir(dirname(path)).catch(() => {});
      };
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw await describeWriteError(path, 0, error);
    }
    const theirs = await readText(path);
    if (theirs === undefined) continue;
    await refuseLiveLock(path, theirs, place);
    // Only one of several processes that find the same stale lock can move it away. One that moves
    // away a newer lock by mistake puts it back.
    const aside = `${path}.${process.pid}`;
    await rename(path, aside).catch(() => {});
    const moved = await readText(aside);
    if (moved !== undefined && moved !== theirs) await rename(aside, path);
    else await remove(aside);
  }
}

/** Names a process so that another one with the same number, later, is told from it. */
interface ProcessIdentity {
  host: string;
  pid: number;
  /** When it started, in the system's own words; `undefined` where that is not told. */
  started: string | undefined;
}

async function processIdentity(pid: number): Promise<ProcessIdentity> {
  return { host: hostname(), pid, started: await processStart(pid) };
}

/** When a process started, in clock ticks since the machine did: Linux alone tells. */
async function processStart(pid: number): Promise<string | undefined> {
  const line = await readText(`/proc/${pid}/stat`);
  // the name, in parentheses, may hold spaces; state and start time are the 1st and 20th field after
  const fields = line?.slice(line.lastIndexOf(")") + 2).split(" ") ?? [];
  // a zombie is gone: only its parent has not noticed
  return fields[0] === "Z" ? undefined : fields[19];
}

/** @throws {OutputConflictError} Unless the process that wrote the lock is surely gone. */
async function refuseLiveLock(path: string, text: string, place: string): Promise<void> {
  let holder: Partial<ProcessIdentity> = {};
  try {
    holder = JSON.parse(text);
  } catch {
    // killed between creating the file and writing it, or doing so right now
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > 1000) return;
  }
  const { host, pid } = holder;
  if (host === hostname() && pid !== undefined && !(await isRunning(holder))) return;
  throw new OutputConflictError(
    `Cannot write beside ${place}: ${
      pid === undefined ? "another process" : `process ${pid} on ${host}`
    } is at work there; if it is gone, remove "${path}"`,
    place,
  );
}

async function isRunning({ pid, started }: Partial<ProcessIdentity>): Promise<boolean> {
  const now = await processStart(pid!);
  if (now !== undefined || started !== undefined) return now === started;
  try {
    process.kill(pid!, 0);
    return true;
  } catch (error) {
    // it runs, and belongs to somebody else
    return errorCode(error) === "EPERM";
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return undefined;
  }
}

async function kindOf(path: string) {
  return await stat(path).catch(() => undefined);
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(() => true, () => false);
}

/** Bytes free for this user on the disk of a folder that need not be there yet. */
async function freeBytes(folder: string): Promise<number> {
  for (let place = resolve(folder);; place = dirname(place)) {
    try {
      const { bavail, bsize } = await statfs(place);
      return bavail * bsize;
    } catch (error) {
      if (!isMissing(error) || dirname(place) === place) return Infinity;
    }
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
