/**
 * A store in a browser's private file system. Reads go straight to the files; writes, and ranges that
 * are asked for together, go through a dedicated worker, the one place where sync access handles are.
 *
 * @module
 */

import { OutputConflictError, QuotaError, StoreError } from "../errors.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import {
  errorName,
  findFile,
  findFolder,
  folderEntries,
  opfsRoot,
  remove,
  removeEmpty,
} from "./opfs_files.ts";
import type { FileAction, FileReply, FileRequest, Problem, Started } from "./opfs_worker.ts";
import {
  finishedKey,
  keyParts,
  PARTIAL_SUFFIX,
  prefixParts,
  tooShort,
  wasClosed,
} from "./place.ts";
import type { Appender, SetOptions, Store } from "./store.ts";

export class OpfsStore implements Store {
  readonly place: string;
  readonly #folder: string[];
  #worker: FileWorker | undefined;
  /** Ranges asked for in this turn, by key. */
  readonly #asked = new Map<string, AskedRange[]>();
  /** The last read of the worker: a file that is open cannot be deleted. */
  #reading: Promise<unknown> = Promise.resolve();

  /**
   * @param path Names joined by `/`.
   * @throws {TypeError} If this runtime has no OPFS.
   */
  constructor(path: string) {
    this.place = `opfs:${path}`;
    // absent outside secure contexts too, and in Node and Deno
    if (globalThis.navigator?.storage?.getDirectory === undefined) {
      throw new TypeError(
        `Cannot open "${this.place}": this runtime or page has no OPFS, wanted a browser page ` +
          `from https: or localhost`,
      );
    }
    this.#folder = prefixParts(`/${path.replace(/^\/+/, "")}`);
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const file = await findFile(this.#path(key));
    return file && new Uint8Array(await file.arrayBuffer());
  }

  getRange(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      const asked = this.#asked.get(key);
      if (asked) return asked.push({ range, resolve });
      this.#asked.set(key, [{ range, resolve }]);
      queueMicrotask(() => this.#readAsked(key));
    });
  }

  /**
   * A range alone is read from a snapshot of the file, which takes 2 ms and locks nobody out. The worker
   * takes as long to open the file, and then 0.03 ms for each range of 36 KiB.
   */
  async #readAsked(key: string): Promise<void> {
    const asked = this.#asked.get(key)!;
    this.#asked.delete(key);
    let parts: Uint8Array[] | undefined;
    if (asked.length > 1) {
      const reading = this.#readTogether(key, asked.map(({ range }) => range));
      this.#reading = reading;
      parts = await reading;
    }
    asked.forEach(({ range, resolve }, i) => resolve(parts?.[i] ?? this.#readAlone(key, range)));
  }

  /** Nothing where there is no such file, or somebody else has it open for writing. */
  async #readTogether(key: string, ranges: ByteRange[]): Promise<Uint8Array[] | undefined> {
    try {
      return (await this.#perform(key, { kind: "read", ranges })).parts;
    } catch {
      return undefined;
    }
  }

  async #readAlone(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    const file = await findFile(this.#path(key));
    return file && new Uint8Array(await file.slice(...rangeBounds(range, file.size)).arrayBuffer());
  }

  async size(key: string): Promise<number | undefined> {
    return (await findFile(this.#path(key)))?.size;
  }

  async set(key: string, bytes: Uint8Array, options: SetOptions = {}): Promise<void> {
    await this.#write(key, { kind: "set", bytes }, options);
  }

  async append(key: string, { keep = 0 } = {}): Promise<Appender> {
    await this.#write(key, { kind: "open", keep });
    const write = (action: FileAction, options?: SetOptions) => this.#write(key, action, options);
    return createAppender(this.place + key, keep, write);
  }

  lock(key: string): Promise<() => Promise<void>> {
    return lockFolder(this.#path(key, "write").slice(0, -1), this.place);
  }

  async availableBytes(): Promise<number> {
    const { quota, usage = 0 } = await navigator.storage.estimate?.() ?? {};
    return quota === undefined ? Infinity : Math.max(0, quota - usage);
  }

  async delete(key: string): Promise<void> {
    await this.#reading;
    const path = this.#path(key);
    if (await findFile(path)) await remove(path);
  }

  async deleteAll(prefix = "/", isOwn?: (key: string) => boolean): Promise<void> {
    await this.#reading;
    const folders = [...this.#folder, ...prefixParts(prefix)];
    if (isOwn) {
      const key = folders.slice(this.#folder.length).map((part) => `/${part}`).join("");
      return await removeOwn(folders, key, isOwn);
    }
    if (folders.length > 0) {
      if (await findFolder(folders)) await remove(folders);
      return;
    }
    const root = await findFolder([]);
    for (const [name] of await folderEntries(root!, [])) await remove([name]);
  }

  async list(prefix: string): Promise<string[]> {
    const parts = prefixParts(prefix);
    const keys: string[] = [];
    const walk = async (directory: FileSystemDirectoryHandle, key: string) => {
      const path = [...this.#folder, ...prefixParts(key)];
      for (const [entry, handle] of await folderEntries(directory, path)) {
        const name = `${key}/${entry}`;
        if (handle.kind === "directory") await walk(handle as FileSystemDirectoryHandle, name);
        else if (!name.endsWith(PARTIAL_SUFFIX)) keys.push(name);
      }
    };
    const directory = await findFolder([...this.#folder, ...parts]);
    if (directory) await walk(directory, parts.map((part) => `/${part}`).join(""));
    return keys.sort();
  }

  close(): Promise<void> {
    this.#worker?.close();
    this.#worker = undefined;
    return Promise.resolve();
  }

  /**
   * Checks that files can be made here, and leaves no trace.
   *
   * @throws {StoreError} If not; names the place.
   */
  async checkWritable(): Promise<void> {
    let directory = await opfsRoot();
    for (const name of this.#folder) {
      try {
        directory = await directory.getDirectoryHandle(name);
      } catch (error) {
        if (errorName(error) === "NotFoundError") return;
        throw new StoreError(
          `Cannot write to "${this.place}": "${name}" in it is a file, wanted a folder`,
          this.place,
          error,
        );
      }
    }
  }

  async #write(key: string, action: FileAction, options: SetOptions = {}): Promise<void> {
    const { problem } = await this.#perform(key, action, options);
    if (!problem) return;
    const path = this.place + key;
    switch (problem.kind) {
      case "quota": {
        const { neededBytes, availableBytes } = problem;
        throw new QuotaError(
          `Cannot write "${path}": ${neededBytes} bytes are needed, the browser has ` +
            `${availableBytes} bytes left for this site`,
          { neededBytes, availableBytes },
        );
      }
      case "short":
        throw tooShort(path, problem.bytes, problem.keep);
      case "failure":
        throw new StoreError(`Cannot write "${path}": ${problem.message}`, path);
    }
  }

  async #perform(key: string, action: FileAction, options: SetOptions = {}): Promise<Done> {
    const use = action.kind === "read" ? "read" : "write";
    const folders = this.#path(key, use);
    const name = folders.pop()!;
    this.#worker ??= new FileWorker();
    return await this.#worker.perform({ folders, name, action }, options.transfer ?? false);
  }

  #path(key: string, use?: "read" | "write"): string[] {
    return [...this.#folder, ...keyParts(key, use)];
  }
}

/** Removes files below a folder that are ours, and folders that are empty then. */
async function removeOwn(
  folders: readonly string[],
  key: string,
  isOwn: (key: string) => boolean,
): Promise<void> {
  const directory = await findFolder(folders);
  if (!directory) return;
  for (const [name, { kind }] of await folderEntries(directory, folders)) {
    const path = [...folders, name];
    const own = `${key}/${name}`;
    if (kind === "directory") await removeOwn(path, own, isOwn);
    else if (isOwn(finishedKey(own))) await remove(path);
  }
  await removeEmpty(folders);
}

/** @param path As errors name it. */
function createAppender(
  path: string,
  keep: number,
  perform: (action: FileAction, options?: SetOptions) => Promise<void>,
): Appender {
  let size = keep;
  let open = true;
  const write = (action: FileAction, options?: SetOptions) =>
    open ? perform(action, options) : Promise.reject(wasClosed(path));
  return {
    get size() {
      return size;
    },
    append: (bytes, options) => {
      const at = size;
      size += bytes.byteLength;
      return write({ kind: "append", bytes, at }, options);
    },
    sync: () => write({ kind: "sync" }),
    finish: () => {
      const finished = write({ kind: "finish" });
      open = false;
      return finished;
    },
    close: async () => {
      if (open) await write({ kind: "close" });
      open = false;
    },
  };
}

/** Keeps other tabs and workers from writing in a folder; what it resolves to lets go. */
function lockFolder(folders: readonly string[], place: string): Promise<() => Promise<void>> {
  const name = `sluice ${folders.join("/")}`;
  if (!navigator.locks) {
    return Promise.reject(
      new StoreError(
        `Cannot write beside ${place}: this browser has no locks (navigator.locks), by which tabs keep out ` +
          "of each other's way, wanted a current browser, and a page from https: or localhost",
        place,
      ),
    );
  }
  return new Promise((resolve, reject) => {
    // held for as long as the promise it is given stays open, or the page does
    const held = navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) {
        throw new OutputConflictError(
          `Cannot write beside ${place}: another tab or worker is at work there`,
          place,
        );
      }
      return new Promise<void>((release) => {
        resolve(async () => {
          await removeEmpty(folders);
          release();
          await held;
        });
      });
    });
    held.catch(reject);
  });
}

interface AskedRange {
  range: ByteRange;
  resolve(bytes: Uint8Array | undefined | Promise<Uint8Array | undefined>): void;
}

type Done = Omit<FileReply, "id">;

/** A worker that has not started by then never will. */
const START_MS = 60_000;

/** The worker, and the actions it has not answered. */
class FileWorker {
  readonly #worker = new Worker(new URL("./opfs_worker.ts", import.meta.url), { type: "module" });
  readonly #waiting = new Map<number, (done: Done) => void>();
  #id = 0;
  #stopped: Problem | undefined;

  constructor() {
    const late = setTimeout(
      () => this.#fail(`the storage worker did not start within ${START_MS / 1000} s`),
      START_MS,
    );
    this.#worker.onmessage = ({ data }: MessageEvent<FileReply | Started>) => {
      if ("lifeline" in data) {
        clearTimeout(late);
        if (data.lifeline !== undefined) this.#listenForEnd(data.lifeline);
        return;
      }
      this.#waiting.get(data.id)?.(data);
      this.#waiting.delete(data.id);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`the storage worker stopped: ${event.message ?? "it could not be loaded"}`);
    };
    this.#worker.onmessageerror = () =>
      this.#fail("the storage worker gave an answer that cannot be read");
  }

  perform(request: Omit<FileRequest, "id">, transfer: boolean): Promise<Done> {
    if (this.#stopped !== undefined) return Promise.resolve({ problem: this.#stopped });
    const id = this.#id++;
    const bytes = "bytes" in request.action ? request.action.bytes : undefined;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      // a view of a larger buffer would take its neighbours along
      const give = transfer && bytes?.byteLength === bytes?.buffer.byteLength;
      const buffers = give && bytes?.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
      this.#worker.postMessage({ id, ...request }, buffers);
    });
  }

  close(): void {
    this.#fail("the store was closed while this was being written");
    this.#worker.terminate();
  }

  /** The lock that the worker holds becomes free when it ends, however it does. */
  #listenForEnd(lifeline: string): void {
    void navigator.locks.request(
      lifeline,
      () =>
        this.#fail(
          "the storage worker ended, as when a browser runs short of memory; run it again",
        ),
    );
  }

  #fail(message: string): void {
    const problem: Problem = this.#stopped ?? { kind: "failure", message };
    this.#stopped = problem;
    for (const settle of this.#waiting.values()) settle({ problem });
    this.#waiting.clear();
  }
}
