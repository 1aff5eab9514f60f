/**
 * A store in a browser's private file system. Reads go straight to the files; writes go through a
 * dedicated worker, the one place where sync access handles are.
 *
 * @module
 */

import { OutputConflictError, QuotaError, StoreError } from "../errors.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import { opfsFolder } from "./opfs_files.ts";
import type { Problem, WriteAction, WriteReply, WriteRequest } from "./opfs_worker.ts";
import { keyParts, PARTIAL_SUFFIX, prefixParts, tooShort, wasClosed } from "./place.ts";
import type { Appender, SetOptions, Store } from "./store.ts";

export class OpfsStore implements Store {
  readonly place: string;
  readonly #folder: string[];
  #writer: Writer | undefined;

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
    const file = await this.#file(key);
    return file && new Uint8Array(await file.arrayBuffer());
  }

  async getRange(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    const file = await this.#file(key);
    return file && new Uint8Array(await file.slice(...rangeBounds(range, file.size)).arrayBuffer());
  }

  async size(key: string): Promise<number | undefined> {
    return (await this.#file(key))?.size;
  }

  async set(key: string, bytes: Uint8Array, options: SetOptions = {}): Promise<void> {
    await this.#write(key, { kind: "set", bytes }, options);
  }

  async append(key: string, { keep = 0 } = {}): Promise<Appender> {
    await this.#write(key, { kind: "open", keep });
    let size = keep;
    let open = true;
    const write = (action: WriteAction, options?: SetOptions) =>
      open ? this.#write(key, action, options) : Promise.reject(wasClosed(this.place + key));
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

  lock(key: string): Promise<() => Promise<void>> {
    const folders = [...this.#folder, ...keyParts(key, "write")].slice(0, -1);
    const name = `sluice ${folders.join("/")}`;
    return new Promise((resolve, reject) => {
      // held for as long as the promise it is given stays open, or the page does
      const held = navigator.locks.request(name, { ifAvailable: true }, (lock) => {
        if (!lock) {
          throw new OutputConflictError(
            `Cannot write beside ${this.place}: another tab or worker is at work there`,
            this.place,
          );
        }
        return new Promise<void>((release) => {
          resolve(async () => {
            await this.#removeEmpty(folders);
            release();
            await held;
          });
        });
      });
      held.catch(reject);
    });
  }

  async availableBytes(): Promise<number> {
    const { quota, usage = 0 } = await navigator.storage.estimate();
    return quota === undefined ? Infinity : Math.max(0, quota - usage);
  }

  async delete(key: string): Promise<void> {
    if (await this.#file(key)) await this.#remove([...this.#folder, ...keyParts(key)]);
  }

  async deleteAll(prefix = "/"): Promise<void> {
    const folders = [...this.#folder, ...prefixParts(prefix)];
    if (folders.length > 0) {
      if (await this.#directory(folders)) await this.#remove(folders);
      return;
    }
    const root = await this.#directory([]);
    for await (const name of root!.keys()) await this.#remove([name]);
  }

  async list(prefix: string): Promise<string[]> {
    const parts = prefixParts(prefix);
    const keys: string[] = [];
    const walk = async (directory: FileSystemDirectoryHandle, key: string) => {
      for await (const [entry, handle] of directory.entries()) {
        const name = `${key}/${entry}`;
        if (handle.kind === "directory") await walk(handle as FileSystemDirectoryHandle, name);
        else if (!name.endsWith(PARTIAL_SUFFIX)) keys.push(name);
      }
    };
    const directory = await this.#directory([...this.#folder, ...parts]);
    if (directory) await walk(directory, parts.map((part) => `/${part}`).join(""));
    return keys.sort();
  }

  close(): Promise<void> {
    this.#writer?.close();
    this.#writer = undefined;
    return Promise.resolve();
  }

  /**
   * Checks that files can be made here, and leaves no trace.
   *
   * @throws {StoreError} If not; names the place.
   */
  async checkWritable(): Promise<void> {
    let directory = await navigator.storage.getDirectory().catch((cause: unknown) => {
      throw new StoreError(
        `Cannot write to "${this.place}": the browser refuses its private file system here`,
        this.place,
        cause,
      );
    });
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

  async #write(key: string, action: WriteAction, options: SetOptions = {}): Promise<void> {
    const folders = [...this.#folder, ...keyParts(key, "write")];
    const name = folders.pop()!;
    this.#writer ??= new Writer();
    const problem = await this.#writer.write({ folders, name, action }, options.transfer ?? false);
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

  async #file(key: string): Promise<File | undefined> {
    const folders = [...this.#folder, ...keyParts(key)];
    const name = folders.pop()!;
    try {
      const directory = await this.#directory(folders);
      return await (await directory?.getFileHandle(name))?.getFile();
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #remove(path: readonly string[]): Promise<void> {
    const directory = await this.#directory(path.slice(0, -1));
    try {
      await directory?.removeEntry(path.at(-1)!, { recursive: true });
    } catch (error) {
      if (!isMissing(error)) {
        const full = `opfs:${path.join("/")}`;
        throw new StoreError(`Cannot delete "${full}": ${(error as Error).message}`, full, error);
      }
    }
  }

  async #removeEmpty(path: readonly string[]): Promise<void> {
    const parent = await this.#directory(path.slice(0, -1));
    // refused while something is in it
    if (path.length > 0) await parent?.removeEntry(path.at(-1)!).catch(() => {});
  }

  async #directory(path: readonly string[]): Promise<FileSystemDirectoryHandle | undefined> {
    try {
      return await opfsFolder(path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

/** The worker, and the writes it has not answered. */
class Writer {
  readonly #worker = new Worker(new URL("./opfs_worker.ts", import.meta.url), { type: "module" });
  readonly #waiting = new Map<number, (problem: Problem | undefined) => void>();
  #id = 0;
  #stopped: string | undefined;

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<WriteReply>) => {
      this.#waiting.get(data.id)?.(data.problem);
      this.#waiting.delete(data.id);
    };
    this.#worker.onerror = (event) =>
      this.#fail(`the storage worker stopped: ${event.message ?? "it could not be loaded"}`);
  }

  write(request: Omit<WriteRequest, "id">, transfer: boolean): Promise<Problem | undefined> {
    if (this.#stopped !== undefined) {
      return Promise.resolve({ kind: "failure", message: this.#stopped });
    }
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

  #fail(message: string): void {
    this.#stopped = message;
    for (const settle of this.#waiting.values()) settle({ kind: "failure", message });
    this.#waiting.clear();
  }
}

function errorName(error: unknown): string {
  return (error as { name?: string }).name ?? "";
}

function isMissing(error: unknown): boolean {
  return ["NotFoundError", "TypeMismatchError"].includes(errorName(error));
}
