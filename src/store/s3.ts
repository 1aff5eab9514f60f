/**
 * A store in a bucket of S3, or of a server that speaks its language. Objects are written whole, so every value is
 * there or not; what grows lies in pieces until it is finished.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import type { HttpOptions } from "./http.ts";
import { HttpStore } from "./http.ts";
import type { Patience } from "./http_request.ts";
import { PATIENCE } from "./http_request.ts";
import { finishedKey, keyParts, prefixParts } from "./place.ts";
import type { S3Settings } from "./s3_client.ts";
import { S3Client, settingsFromEnvironment } from "./s3_client.ts";
import type { Piece } from "./s3_growing.ts";
import { findPieces, openGrowing, readPieces, removePieces, valueOfPiece } from "./s3_growing.ts";
import type { LeaseTimes } from "./s3_lease.ts";
import { LEASE_TIMES, takeLease } from "./s3_lease.ts";
import type { Appender, GetOptions, Store } from "./store.ts";

/** Buckets whose conditions were tried, by address. */
const tried = new Map<string, Promise<void>>();
/** Objects that are removed at a time. */
const REMOVED_AT_ONCE = 16;

export interface S3Options extends HttpOptions {
  /** Those of the environment when not given. */
  settings?: S3Settings;
  patience?: Patience;
  leases?: LeaseTimes;
}

export class S3Store implements Store {
  readonly place: string;
  readonly #client: S3Client;
  /** Before every key: the folders that the store is, and a slash. */
  readonly #prefix: string;
  readonly #reader: HttpStore;
  readonly #leases: LeaseTimes;
  /** The last write of each object: of two at once the second stays. */
  readonly #writes = new Map<string, Promise<void>>();
  /** Why nothing may be written any more. */
  #lost: StoreError | undefined;

  private constructor(
    path: string,
    client: S3Client,
    { patience = PATIENCE, leases = LEASE_TIMES, ...options }: S3Options,
  ) {
    this.place = `s3://${path}`;
    const folders = path.split("/").slice(1).filter((part) => part !== "");
    this.#client = client;
    this.#prefix = folders.map((folder) => `${folder}/`).join("");
    this.#leases = leases;
    const address = [client.address, ...folders.map(encodeURIComponent)].join("/");
    this.#reader = new HttpStore(address, options, patience, client.sign);
  }

  /**
   * @param path Bucket and folders: `bucket/x.zarr`.
   * @throws {TypeError | StoreError} If the environment does not say who asks, or what signs is missing.
   */
  static async open(path: string, { settings, ...options }: S3Options = {}): Promise<S3Store> {
    const client = await S3Client.open(
      path.split("/")[0]!,
      settings ?? settingsFromEnvironment(),
      options,
    );
    return new S3Store(path, client, options);
  }

  async get(key: string, options?: GetOptions): Promise<Uint8Array | undefined> {
    const pieces = await this.#pieces(key);
    return pieces === "none"
      ? await this.#reader.get(key, options)
      : pieces && await readPieces(this.#client, pieces, 0, pieces.at(-1)!.end);
  }

  async getRange(
    key: string,
    range: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array | undefined> {
    const pieces = await this.#pieces(key);
    if (pieces !== "none") {
      return pieces &&
        await readPieces(this.#client, pieces, ...rangeBounds(range, pieces.at(-1)!.end));
    }
    // nothing is asked for, but whether there is anything is
    if ("length" in range && range.length === 0) {
      return await this.#reader.size(key, options) === undefined ? undefined : new Uint8Array(0);
    }
    return await this.#reader.getRange(key, range, options);
  }

  async size(key: string, options?: GetOptions): Promise<number | undefined> {
    const pieces = await this.#pieces(key);
    return pieces === "none" ? await this.#reader.size(key, options) : pieces?.at(-1)?.end;
  }

  set(key: string, bytes: Uint8Array): Promise<void> {
    const name = this.#name(keyParts(key, "write"));
    const before = this.#writes.get(name) ?? Promise.resolve();
    const write = before.catch(() => {}).then(async () => {
      this.#check();
      // what was unfinished before may not come back
      await removePieces(this.#client, name);
      await this.#client.put(name, bytes);
      this.#reader.forget(key);
    });
    this.#writes.set(name, write);
    const forget = () => {
      if (this.#writes.get(name) === write) this.#writes.delete(name);
    };
    write.then(forget, forget);
    return write;
  }

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    this.#check();
    this.#reader.forget(key);
    return !!await this.#client.put(this.#name(keyParts(key, "write")), bytes, "absent");
  }

  async append(key: string, { keep = 0 } = {}): Promise<Appender> {
    const name = this.#name(keyParts(key, "write"));
    this.#check();
    this.#reader.forget(key);
    return await openGrowing(this.#client, name, keep, {
      check: () => this.#check(),
      size: () => this.#reader.size(key),
      onFinish: () => this.#reader.forget(key),
    });
  }

  lock(key: string): Promise<() => Promise<void>> {
    return takeLease(this.#client, this.#name(keyParts(key, "write")), {
      place: this.place,
      times: this.#leases,
      onLost: (error) => this.#lost = error,
    });
  }

  /** Nobody tells. */
  availableBytes(): Promise<number> {
    return Promise.resolve(Infinity);
  }

  async delete(key: string): Promise<void> {
    this.#check();
    this.#reader.forget(key);
    await this.#client.delete(this.#name(keyParts(key)));
  }

  async deleteAll(prefix = "/", isOwn: (key: string) => boolean = () => true): Promise<void> {
    this.#check();
    const names = (await this.#below(prefix)).filter((name) => {
      return isOwn(this.#key(valueOfPiece(name) ?? name));
    });
    // the last first: of a value that grows the beginning is left until its end is gone
    names.reverse();
    for (let at = 0; at < names.length; at += REMOVED_AT_ONCE) {
      const some = names.slice(at, at + REMOVED_AT_ONCE);
      await Promise.all(some.map((name) => this.#client.delete(name)));
      for (const name of some) this.#reader.forget(this.#key(name));
    }
  }

  async list(prefix: string): Promise<string[]> {
    const names = await this.#below(prefix);
    return names.filter((name) => valueOfPiece(name) === undefined)
      .map((name) => this.#key(name)).sort();
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  /**
   * Checks that objects can be made here, and that the server makes none twice, and leaves no trace.
   *
   * @throws {StoreError} If not.
   */
  async checkWritable(): Promise<void> {
    const { address } = this.#client;
    const trial = tried.get(address) ?? this.#try();
    tried.set(address, trial);
    await trial.catch((error) => {
      tried.delete(address);
      throw error;
    });
  }

  async #try(): Promise<void> {
    const name = `${this.#prefix}.trial-${crypto.randomUUID()}`;
    const client = this.#client;
    await client.put(name, new Uint8Array(1), "absent");
    const again = await client.put(name, new Uint8Array(1), "absent");
    await client.delete(name);
    if (!again) return;
    throw new StoreError(
      `Cannot write to "${this.place}": the server replaced an object that was to be made only once, ` +
        "so two runs could write at the same time; wanted one that heeds If-None-Match",
      this.place,
    );
  }

  /** The pieces of a key that means an unfinished value, or that there are none; `none` of other keys. */
  async #pieces(key: string): Promise<Piece[] | undefined | "none"> {
    const finished = finishedKey(key);
    if (finished === key) return "none";
    return await findPieces(this.#client, this.#name(keyParts(finished)));
  }

  /** Names of all objects below a folder. */
  async #below(prefix: string): Promise<string[]> {
    const folder = prefixParts(prefix).map((part) => `${part}/`).join("");
    return (await this.#client.list(this.#prefix + folder)).map(({ name }) => name);
  }

  #name(parts: readonly string[]): string {
    return this.#prefix + parts.join("/");
  }

  #key(name: string): string {
    return `/${name.slice(this.#prefix.length)}`;
  }

  #check(): void {
    if (this.#lost) throw this.#lost;
  }
}
