/**
 * The list of a result's files, with a checksum of each: `checksums.txt` beside its arrays. Chunks of version 3
 * end in checksums of their own; metadata, strings and all of version 2 have none, and nothing else tells a chunk
 * from another one of the same length, or that a file is gone.
 *
 * A line has how the checksum is made, the checksum, the bytes of the file, and its key. The last line is the
 * checksum of those before it. All are CRC-32C: of a `file` as a whole; of a `chunk` without the checksum it ends in,
 * since that of the whole would be the same for all; of a `shard:N` that of its index, with the checksum of each
 * of its N chunks behind it, so that shards need not be read again. `begun` is for files of the group while its
 * run has not finished.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import type { ByteRange } from "../store/byte_range.ts";
import { parsePlace } from "../store/place.ts";
import type { GetOptions, Store } from "../store/store.ts";
import { StoreView } from "../store/store_view.ts";

/** The key of the list. */
export const CHECKSUMS_KEY = "/checksums.txt";

const FIRST_LINE = "sluice checksums 1";
const CRC_BYTES = 4;
/** Offset and length of a chunk, in the index of its shard. */
const ENTRY_BYTES = 16;

/** What a file is known by. */
export interface FileSum {
  /** How the checksum is made: of all bytes, of those before a chunk's own, or chunk by chunk. */
  how: "file" | "chunk" | "shard";
  /** Chunks of a shard. */
  chunks?: number;
  checksum: number;
  bytes: number;
}

/** By key. */
export type FileSums = Map<string, FileSum>;

export interface Checksums {
  files: FileSums;
  /** Files of the group itself as they are until its run has finished. */
  begun: FileSums;
}

export function sumOfFile(bytes: Uint8Array): FileSum {
  return { how: "file", checksum: crc32c(bytes), bytes: bytes.byteLength };
}

/** @param checksum Of each chunk, in the order of the index, without the checksum that it ends in. */
export function sumOfShard(index: Uint8Array, checksums: Uint32Array, bytes: number): FileSum {
  const all = new Uint8Array(index.byteLength + checksums.byteLength);
  all.set(index);
  const view = new DataView(all.buffer, index.byteLength);
  checksums.forEach((checksum, i) => view.setUint32(4 * i, checksum, true));
  return { how: "shard", chunks: checksums.length, checksum: crc32c(all), bytes };
}

export function encodeChecksums({ files, begun }: Checksums): Uint8Array {
  const lines = [FIRST_LINE];
  // equal results have equal lists, in whatever order their files came
  const sorted = (sums: FileSums) => [...sums].sort(([a], [b]) => a < b ? -1 : 1);
  for (const [key, sum] of sorted(files)) lines.push(lineOf(howOf(sum), key, sum));
  for (const [key, sum] of sorted(begun)) lines.push(lineOf("begun", key, sum));
  const text = `${lines.join("\n")}\n`;
  return new TextEncoder().encode(`${text}${hex(crc32c(new TextEncoder().encode(text)))}\n`);
}

/** Bytes of the line of a file at most. */
export function mostLineBytes(key: string): number {
  const most = { how: "shard", chunks: 2 ** 31, checksum: 0, bytes: 2 ** 53 } as const;
  return new TextEncoder().encode(lineOf(howOf(most), key, most)).byteLength + 1;
}

function howOf({ how, chunks }: FileSum): string {
  return how === "shard" ? `shard:${chunks}` : how;
}

function lineOf(how: string, key: string, { checksum, bytes }: FileSum): string {
  return `${how} ${hex(checksum)} ${bytes} ${key}`;
}

const hex = (checksum: number) => checksum.toString(16).padStart(8, "0");

/**
 * The list of a store; `undefined` if it has none.
 *
 * @throws {ChunkError} If it is damaged.
 */
export async function readChecksums(store: Store): Promise<Checksums | undefined> {
  const bytes = await store.get(CHECKSUMS_KEY);
  if (!bytes) return undefined;
  const path = store.place + CHECKSUMS_KEY;
  const found = decodeChecksums(bytes);
  if (!found) throw new ChunkError(`Cannot read "${path}": the list of checksums is damaged`, path);
  return found;
}

function decodeChecksums(bytes: Uint8Array): Checksums | undefined {
  const text = new TextDecoder().decode(bytes);
  const end = text.lastIndexOf("\n", text.length - 2) + 1;
  const last = new TextEncoder().encode(text.slice(0, end));
  if (!text.startsWith(`${FIRST_LINE}\n`) || text.slice(end) !== `${hex(crc32c(last))}\n`) {
    return undefined;
  }
  const found: Checksums = { files: new Map(), begun: new Map() };
  for (const line of text.slice(0, end - 1).split("\n").slice(1)) {
    const [, how, chunks, checksum, size, key] =
      /^(file|chunk|begun|shard:(\d+)) ([0-9a-f]{8}) (\d+) (.*)$/.exec(line) ?? [];
    if (key === undefined) return undefined;
    const sum = { checksum: parseInt(checksum!, 16), bytes: Number(size) };
    if (how === "begun") found.begun.set(key, { how: "file", ...sum });
    else if (chunks) found.files.set(key, { how: "shard", chunks: Number(chunks), ...sum });
    else found.files.set(key, { how: how as "file" | "chunk", ...sum });
  }
  return found;
}

/** Why bytes are not those of a file; `undefined` if they are. What a shard holds is not looked at. */
function problemOfBytes(bytes: Uint8Array, { how, checksum, bytes: wanted }: FileSum) {
  if (bytes.byteLength !== wanted) return `it holds ${bytes.byteLength} bytes, wanted ${wanted}`;
  if (how === "file" && crc32c(bytes) !== checksum) return "it does not match its checksum";
  if (how === "chunk" && endOf(bytes) !== checksum) return "it is another chunk, or damaged";
  return undefined;
}

/**
 * Why a file is not as it was stored; `undefined` if it is. It is read, of shards a chunk at a time.
 */
export async function problemOfFile(
  store: Store,
  key: string,
  sum: FileSum,
): Promise<string | undefined> {
  if (sum.how === "shard") return await problemOfShard(store, key, sum);
  const bytes = await store.get(key);
  if (!bytes) return "it is missing";
  const problem = problemOfBytes(bytes, sum);
  if (problem || sum.how === "file") return problem;
  return crc32c(bodyOf(bytes)) === sum.checksum ? undefined : "it does not match its checksum";
}

/** @param reads How much of a chunk is read: `all`, or the checksum that it ends in. */
async function problemOfShard(
  store: Store,
  key: string,
  sum: FileSum,
  reads: "all" | "ends" = "all",
): Promise<string | undefined> {
  const size = await store.size(key);
  if (size !== sum.bytes) return `it holds ${size ?? 0} bytes, wanted ${sum.bytes}`;
  const chunks = sum.chunks!;
  const index = await store.getRange(key, { suffixLength: chunks * ENTRY_BYTES + CRC_BYTES });
  if (!index || crc32c(bodyOf(index)) !== endOf(index)) {
    return "its index does not match its checksum";
  }
  const entries = new DataView(index.buffer, index.byteOffset);
  const checksums = new Uint32Array(chunks);
  const problems: number[] = [];
  const look = async (i: number) => {
    const [start, length] = [0, 8].map((at) => entries.getBigUint64(ENTRY_BYTES * i + at, true));
    // an array may end within its last shard
    if (start === 2n ** 64n - 1n) return;
    const bytes = Number(length);
    const end = Number(start) + bytes;
    const part = reads === "all" ? bytes : Math.min(CRC_BYTES, bytes);
    const read = await store.getRange(key, { offset: end - part, length: part });
    const isWhole = read?.byteLength === part &&
      (reads === "ends" || crc32c(bodyOf(read)) === endOf(read));
    if (isWhole) checksums[i] = endOf(read);
    else problems.push(i);
  };
  const all = Array.from({ length: chunks }, (_, i) => i);
  if (reads === "ends") await Promise.all(all.map(look));
  else for (const i of all) await look(i);
  if (problems.length > 0) return `its chunk ${problems[0]} does not match its checksum`;
  const { checksum } = sumOfShard(bodyOf(index), checksums, size);
  return checksum === sum.checksum ? undefined : "it is another shard than was stored";
}

function bodyOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, Math.max(0, bytes.byteLength - CRC_BYTES));
}

/** The checksum that bytes end in; NaN if they are too few for one. */
function endOf(bytes: Uint8Array): number {
  const at = bytes.byteLength - CRC_BYTES;
  return at < 0 ? NaN : new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}

/**
 * A store whose list of checksums is heeded by those who read: what it gives is as it was stored, or refused.
 * Files that are not in the list are given as they are. Chunks of shards end in checksums; that a shard is the one
 * it should be is looked at once, except on servers, where every chunk would be a request.
 */
class CheckedStore extends StoreView {
  readonly #stored: Store;
  readonly #list: () => Promise<Checksums | undefined>;
  /** Where the list calls this store's folder. */
  readonly #folder: string;
  #known: Checksums;
  /** What was found of shards. */
  readonly #shards = new Map<string, Promise<string | undefined>>();

  constructor(
    store: Store,
    list: () => Promise<Checksums | undefined>,
    known: Checksums,
    folder = "",
  ) {
    super(store);
    this.#stored = store;
    this.#list = list;
    this.#known = known;
    this.#folder = folder;
  }

  override async get(key: string, options?: GetOptions): Promise<Uint8Array | undefined> {
    const bytes = await super.get(key, options);
    const why = this.#problem(key, bytes);
    if (why === undefined) return bytes;
    // a run may have finished meanwhile
    this.#known = await this.#list() ?? this.#known;
    const still = this.#problem(key, bytes);
    if (still === undefined) return bytes;
    throw this.#refusal(key, still);
  }

  override async getRange(
    key: string,
    range: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array | undefined> {
    const bytes = await super.getRange(key, range, options);
    const sum = this.#known.files.get(this.#folder + key);
    if (!sum) return bytes;
    if (!bytes) throw this.#refusal(key, "it is missing");
    const problem = sum.how === "shard" ? await this.#shardProblem(key, sum) : undefined;
    if (problem) throw this.#refusal(key, problem);
    return bytes;
  }

  #shardProblem(key: string, sum: FileSum): Promise<string | undefined> {
    if (parsePlace(this.place).scheme === "http") return Promise.resolve(undefined);
    let looked = this.#shards.get(key);
    if (!looked) {
      looked = problemOfShard(this.#stored, key, sum, "ends");
      this.#shards.set(key, looked);
    }
    return looked;
  }

  #problem(key: string, bytes: Uint8Array | undefined): string | undefined {
    const name = this.#folder + key;
    const { files, begun } = this.#known;
    const sums = [files.get(name), begun.get(name)].filter((sum) => sum !== undefined);
    if (sums.length === 0) return undefined;
    // a group is shown once all else that begins it is there
    if (!bytes) return files.has(name) ? "it is missing" : undefined;
    const problems = sums.map((sum) => problemOfBytes(bytes, sum));
    return problems.includes(undefined) ? undefined : problems[0];
  }

  #refusal(key: string, why: string): ChunkError {
    const path = this.place + key;
    return new ChunkError(
      `Cannot read "${path}": ${why}; it is not as it was stored, see what sluice check says`,
      path,
    );
  }
}

/** A store to read from, as its list of checksums says, if it has one. */
export async function checkedStore(store: Store): Promise<Store> {
  const list = await readChecksums(store);
  return list ? new CheckedStore(store, () => readChecksums(store), list) : new StoreView(store);
}

/**
 * The store of one array, as the list of the group it lies in says, if there is one.
 *
 * @param group Of the folder above.
 * @param name Of the array there.
 */
export async function checkedArrayStore(array: Store, group: Store, name: string): Promise<Store> {
  const read = async () => {
    // somebody's server may refuse what it does not have
    const bytes = await group.get(CHECKSUMS_KEY).catch(() => undefined);
    return bytes && await readChecksums(group);
  };
  const list = await read();
  return list ? new CheckedStore(array, read, list, `/${name}`) : array;
}
