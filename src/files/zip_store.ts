/**
 * Zip archives as stores, for reading: zarr keeps a whole store in one as `x.zarr.zip`.
 *
 * @module
 */

import type { ByteRange } from "../store/byte_range.ts";
import { rangeBounds } from "../store/byte_range.ts";
import { keyParts, prefixParts } from "../store/place.ts";
import { ReadOnlyStore } from "../store/read_only.ts";
import type { Store } from "../store/store.ts";
import type { ByteSource } from "./byte_source.ts";
import { readExactly } from "./byte_source.ts";
import type { ZipMember } from "./zip.ts";
import { openMember, readZip } from "./zip.ts";

export class ZipStore extends ReadOnlyStore implements Store {
  readonly place: string;
  readonly #source: ByteSource;
  readonly #members: ReadonlyMap<string, ZipMember>;
  /** Members that lie there as they are, once their checksums have been compared. */
  readonly #opened = new Map<string, Promise<ByteSource>>();

  private constructor(source: ByteSource, members: ReadonlyMap<string, ZipMember>) {
    super("zip archives are read only");
    this.place = source.path;
    this.#source = source;
    this.#members = members;
  }

  /** Takes over the source: closing the store closes it. */
  static async open(source: ByteSource): Promise<ZipStore> {
    // of two members with one name the later one is meant, as where a store was written over
    const members = new Map((await readZip(source)).map((member) => [`/${member.name}`, member]));
    return new ZipStore(source, members);
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const member = await this.#open(key);
    return member && (await readExactly(member, 0, member.bytes)).slice();
  }

  async getRange(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    const member = await this.#open(key);
    if (!member) return undefined;
    const [start, end] = rangeBounds(range, member.bytes);
    return (await readExactly(member, start, end - start)).slice();
  }

  size(key: string): Promise<number | undefined> {
    return Promise.resolve(this.#find(key)?.bytes);
  }

  list(prefix: string): Promise<string[]> {
    const folder = ["", ...prefixParts(prefix), ""].join("/");
    const keys = [...this.#members.keys()].filter((key) =>
      key.startsWith(folder) && !key.endsWith("/")
    );
    return Promise.resolve(keys.sort());
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #find(key: string): ZipMember | undefined {
    return this.#members.get(`/${keyParts(key).join("/")}`);
  }

  async #open(key: string): Promise<ByteSource | undefined> {
    const member = this.#find(key);
    if (!member) return undefined;
    if (member.method !== "stored") return await openMember(this.#source, member);
    const opened = this.#opened.get(key) ?? openMember(this.#source, member);
    this.#opened.set(key, opened);
    return await opened;
  }
}
