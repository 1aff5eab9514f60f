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
  link,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
} from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import process from "node:process";
import { ChunkError, StoreError } from "../errors.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import {
  describeError,
  describeWriteError,
  errorCode,
  isMissing,
  isSyncless,
  roomFor,
} from "./disk_errors.ts";
import { takeLock } from "./file_lock.ts";
import {
  finishedKey,
  keyParts,
  PARTIAL_SUFFIX,
  prefixParts,
  tooShort,
  wasClosed,
} from "./place.ts";
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
  #last: { key: string; path: string } | undefined;

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

  getRange(
    key: string,
    range: ByteRange,
    { allocate }: GetOptions = {},
  ): Promise<Uint8Array | undefined> {
    return this.#read(key, (size) => rangeBounds(range, size), allocate);
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
    if (this.#growing.has(path)) return Promise.reject(isGrowing(path));
    const before = this.#writes.get(path) ?? Promise.resolve();
    const write = before.catch(() => {}).then(() => writeFile(path, bytes));
    this.#writes.set(path, write);
    const forget = () => {
      if (this.#writes.get(path) === write) this.#writes.delete(path);
    };
    write.then(forget, forget);
    return write;
  }

  create(key: string, bytes: Uint8Array): Promise<boolean> {
    return createWhole(this.#path(keyParts(key, "write")), bytes);
  }

  async append(key: string, { keep = 0 } = {}): Promise<Appender> {
    const path = this.#path(keyParts(key, "write"));
    const partial = path + PARTIAL_SUFFIX;
    try {
      if (keep > 0 && !(await kindOf(partial))) {
        const size = await this.size(key) ?? 0;
        if (size < keep) throw tooShort(path, size, keep);
        await rename(path, partial);
      }
      const handle = keep > 0 ? await openUnlinked(partial) : await createPartial(partial);
      const { size } = await handle.stat();
      if (size < keep) {
        await handle.close();
        throw tooShort(path, size, keep);
      }
      await handle.truncate(keep);
      return new FileAppender(handle, path, keep, this.#growing);
    } catch (error) {
      if (keep > 0 && isMissing(error)) throw tooShort(path, 0, keep);
      throw describeWriteError(path, keep, error);
    }
  }

  async lock(key: string): Promise<() => Promise<void>> {
    const path = this.#path(keyParts(key, "write"));
    const unlock = await takeLock(path, this.place, { make: createFile });
    return async () => {
      await unlock();
      await rmdir(dirname(path)).catch(() => {});
    };
  }

  availableBytes(): Promise<number> {
    return Promise.resolve(roomFor(this.#folder).bytes);
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(keyParts(key));
    if ((await kindOf(path))?.isFile()) await remove(path);
  }

  async deleteAll(prefix = "/", isOwn?: (key: string) => boolean): Promise<void> {
    const parts = prefixParts(prefix);
    const folder = this.#path(parts);
    if (!(await kindOf(folder))?.isDirectory()) return;
    if (!isOwn) return await remove(folder);
    try {
      await removeOwn(folder, parts.map((part) => `/${part}`).join(""), isOwn);
    } catch (error) {
      throw describeError("delete", folder, error);
    }
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
    await checkFolder(this.#folder);
  }

  async #read(
    key: string,
    bounds: (size: number) => [number, number],
    allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
  ): Promise<Uint8Array | undefined> {
    const path = this.#pathOf(key);
    const file = this.#open(path);
    try {
      const { handle, stats } = await file.opened;
      if (!stats.isFile()) return undefined;
      const [start, end] = bounds(stats.size);
      const bytes = allocate(end - start);
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

  /** Of a key that is read, as it was the last time: windows ask for it hundreds of times in a second. */
  #pathOf(key: string): string {
    if (key !== this.#last?.key) this.#last = { key, path: this.#path(keyParts(key)) };
    return this.#last.path;
  }

  #path(parts: readonly string[]): string {
    const bad = sep === "\\" && parts.find((part) => /[\\:]/.test(part));
    if (bad) throw new TypeError(`Cannot use the name "${bad}": Windows has no such file names`);
    return join(this.#folder, ...parts);
  }
}

/** The path without links, of which the last parts need not be there; as it is where links may not be looked at. */
export async function realPath(path: string): Promise<string> {
  const missing: string[] = [];
  for (let at = resolve(path);; at = dirname(at)) {
    try {
      return join(await realpath(at), ...missing);
    } catch {
      // Deno may allow no more than what is read and written
      if (dirname(at) === at) return resolve(path);
      missing.unshift(basename(at));
    }
  }
}

/** Checks that files can be made in a folder, which may have to be made itself. */
async function checkFolder(wanted: string): Promise<void> {
  let folder = resolve(wanted);
  for (;;) {
    try {
      if (!(await stat(folder)).isDirectory()) {
        throw new StoreError(
          `Cannot write to "${wanted}": "${folder}" is a file, wanted a folder`,
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

/** Removes files below a folder that are ours, and folders that are empty then. Links are not followed. */
async function removeOwn(
  folder: string,
  key: string,
  isOwn: (key: string) => boolean,
): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const name = `${key}/${entry.name}`;
    if (entry.isDirectory()) await removeOwn(path, name, isOwn);
    else if (isOwn(finishedKey(name))) await unlink(path);
  }
  // a folder that is a link stays one
  if ((await lstat(folder)).isSymbolicLink()) return;
  await rmdir(folder).catch((error) => {
    if (!["ENOTEMPTY", "EEXIST"].includes(errorCode(error) ?? "")) throw error;
  });
}

/** Opens the unfinished value that is there, and no file elsewhere that a link of its name leads to. */
async function openUnlinked(path: string): Promise<FileHandle> {
  // Windows knows no such flag
  return await open(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
}

/** Makes an unfinished value in place of an earlier one, which may be a link that must not be followed. */
async function createPartial(path: string): Promise<FileHandle> {
  try {
    return await createFile(path);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
  await unlink(path);
  return await createFile(path);
}

/** Makes a file that was not there, and the folders it lies in, and opens it. */
async function createFile(path: string): Promise<FileHandle> {
  const flags = "wx+";
  try {
    return await open(path, flags);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
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
  // Windows opens no folders
  if (process.platform === "win32") return;
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, "r");
    await handle.sync();
  } catch (error) {
    if (!isSyncless(error)) throw error;
  } finally {
    await handle?.close();
  }
}

async function writeFile(path: string, bytes: Uint8Array): Promise<void> {
  const partial = path + PARTIAL_SUFFIX;
  try {
    const handle = await createPartial(partial);
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
    throw describeWriteError(path, bytes.byteLength, error);
  }
}

function isGrowing(path: string): StoreError {
  return new StoreError(`Cannot write "${path}": an unfinished value of that key is open`, path);
}

/** Writes a file under a name of its own, and gives it the other one where nothing has that. */
async function createWhole(path: string, bytes: Uint8Array): Promise<boolean> {
  // many may try at once
  const partial = `${path}.${crypto.randomUUID()}${PARTIAL_SUFFIX}`;
  try {
    const handle = await createFile(partial);
    try {
      await writeWhole(handle, bytes, path);
      await handle.sync();
    } finally {
      await handle.close();
    }
    try {
      // unlike a rename it replaces nothing
      await link(partial, path);
    } catch (error) {
      if (errorCode(error) === "EEXIST") return false;
      throw error;
    }
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    throw describeWriteError(path, bytes.byteLength, error);
  } finally {
    await rm(partial, { force: true }).catch(() => {});
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
      throw describeWriteError(this.#path, bytes, error);
    });
    this.#last = next;
    // whoever comes next sees the failure; until then it is not "unhandled"
    next.catch(() => {});
    return next;
  }
}

async function kindOf(path: string) {
  return await stat(path).catch(() => undefined);
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (!isMissing(error)) throw describeError("delete", path, error);
  }
}
