/**
 * A store in a browser's private file system. Reads go straight to the files; writes go through a
 * dedicated worker, the one place where sync access handles are.
 *
 * @module
 */

import { QuotaError, StoreError } from "../errors.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import type { WriteReply, WriteRequest } from "./opfs_worker.ts";
import { keyParts, PARTIAL_SUFFIX, prefixParts } from "./place.ts";
import type { SetOptions, Store } from "./store.ts";

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
    const folders = [...this.#folder, ...keyParts(key)];
    const name = folders.pop()!;
    this.#writer ??= new Writer();
    const problem = await this.#writer.write(folders, name, bytes, options.transfer ?? false);
    if (!problem) return;
    const path = this.place + key;
    if (problem.kind === "quota") {
      const { neededBytes, availableBytes } = problem;
      throw new QuotaError(
        `Cannot write "${path}": ${neededBytes} bytes are needed, the browser has ` +
          `${availableBytes} bytes left for this site`,
        { neededBytes, availableBytes },
      );
    }
    throw new StoreError(`Cannot write "${path}": ${problem.message}`, path);
  }

  async delete(key: string): Promise<void> {
    const folders = [...this.#folder, ...keyParts(key)];
    await this.#remove(folders);
  }

  async deleteAll(prefix = "/"): Promise<void> {
    const folders = [...this.#folder, ...prefixParts(prefix)];
    if (folders.length > 0) return this.#remove(folders);
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

  async #directory(path: readonly string[]): Promise<FileSystemDirectoryHandle | undefined> {
    try {
      let directory = await navigator.storage.getDirectory();
      for (const name of path) directory = await directory.getDirectoryHandle(name);
      return directory;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

type Problem = Exclude<WriteReply["problem"], undefined>;

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

  write(
    folders: string[],
    name: string,
    bytes: Uint8Array,
    transfer: boolean,
  ): Promise<Problem | undefined> {
    if (this.#stopped !== undefined) {
      return Promise.resolve({ kind: "failure", message: this.#stopped });
    }
    const id = this.#id++;
    const request: WriteRequest = { id, folders, name, bytes };
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      // a view of a larger buffer would take its neighbours along
      const whole = bytes.byteLength === bytes.buffer.byteLength;
      const give = transfer && whole && bytes.buffer instanceof ArrayBuffer;
      this.#worker.postMessage(request, give ? [bytes.buffer as ArrayBuffer] : []);
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
