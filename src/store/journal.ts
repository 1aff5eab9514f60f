/**
 * What a run keeps beside its output until it is done: which plan it is, a log of what is stored for good,
 * and the states from which the rest can be computed. A run that was interrupted goes on from them.
 *
 * The log is a line of JSON for every checkpoint, behind its CRC-32C. A line that is torn or damaged ends it:
 * what later lines told of is done again, which gives the same bytes.
 *
 * @module
 */

import { OutputConflictError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import { partialKey, siblingPlace } from "./place.ts";
import type { Appender, Store } from "./store.ts";
import type { OpenStoreOptions } from "./open_store.ts";
import { openStore } from "./open_store.ts";

const PLAN_KEY = "/plan.json";
const LOG_KEY = "/log/steps";
const LOCK_KEY = "/lock";
const CRC_BYTES = 4;
/** Version of the layout written here; another one is not gone on with. */
export const FORMAT_VERSION = 3;

/** Whether a journal has a file of that key, beside its plan. */
const isOwn = (key: string) =>
  /^\/(log\/steps|state\/.+\/\d{12}|lock(\.taking)?)$/.test(key) || isOfParts(key);
/** Whether a key is of a plan in parts: markers, what they name, and what the first part found. */
const isOfParts = (key: string) =>
  /^\/(stages|(done|stop)\/.+|results\/.+\/[0-9a-f-]{36}(\/.+)?)(\.[0-9a-f-]{36})?$/.test(key);

/** What {@link Journal.claim} tells of the run that began a journal. */
export interface Claim {
  /** Hash of its plan. */
  hash: string;
  /** Hash of the plan whose finished result it was allowed to replace. */
  replaces?: string;
}

/** The store `<out>.journal`, opened by {@link openJournal}. */
export class Journal {
  readonly #store: Store;
  #log: Appender | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  get place(): string {
    return this.#store.place;
  }

  /** Bytes a state of so many bytes takes. */
  static stateBytes(bytes: number): number {
    return bytes + CRC_BYTES;
  }

  /** Bytes an entry takes in the log. */
  static entryBytes(entry: unknown): number {
    return encodeEntry(entry).byteLength;
  }

  /**
   * Keeps other processes, tabs and runs out until the returned function is called.
   *
   * @throws {OutputConflictError} If another one is at work.
   */
  lock(): Promise<() => Promise<void>> {
    return this.#store.lock(LOCK_KEY);
  }

  /** Whose journal it is; `undefined` if there is none that can be read. */
  async claim(): Promise<Claim | undefined> {
    const { version, parts, ...claim } = await this.#plan() ?? {};
    return version === FORMAT_VERSION && !parts ? claim as Claim : undefined;
  }

  /** Whether it is of a plan that engines run in parts. */
  async isInParts(): Promise<boolean> {
    return (await this.#plan())?.parts !== undefined;
  }

  async #plan(): Promise<Partial<Claim> & { version?: number; parts?: unknown } | undefined> {
    const bytes = await this.#store.get(PLAN_KEY);
    try {
      return JSON.parse(new TextDecoder().decode(bytes)) ?? undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Starts over for a plan. One that had begun here keeps its claim on the output all the while: what it
   * left there may not look like anything.
   *
   * @throws {OutputConflictError} If the folder holds files that are no journal.
   */
  async begin(claim: Claim): Promise<void> {
    if ((await this.claim())?.hash === claim.hash) {
      await this.#forget();
      return;
    }
    const keys = await this.#store.list("/");
    const isPlan = (await this.#plan())?.hash !== undefined;
    const foreign = keys.find((key) => key === PLAN_KEY ? !isPlan : !isOwn(key));
    if (foreign) {
      throw new OutputConflictError(
        `Cannot write to ${this.place}: it holds files that are no journal, such as ${foreign}; ` +
          "remove them, or name another place",
        this.place,
      );
    }
    await this.clear();
    const plan = { version: FORMAT_VERSION, ...claim };
    await this.#store.set(PLAN_KEY, new TextEncoder().encode(JSON.stringify(plan)));
  }

  /** The entries of the log up to the first that is damaged, and the bytes of each. */
  async readLog(): Promise<{ entry: unknown; bytes: number }[]> {
    const bytes = await this.#store.get(partialKey(LOG_KEY));
    const entries: { entry: unknown; bytes: number }[] = [];
    for (let start = 0; bytes && start < bytes.byteLength;) {
      const end = bytes.indexOf(0x0a, start);
      const line = end < 0 ? undefined : decodeEntry(bytes.subarray(start, end));
      if (line === undefined) break;
      entries.push({ entry: line.entry, bytes: end + 1 - start });
      start = end + 1;
    }
    return entries;
  }

  /** Bytes of the log, those that are damaged among them. */
  async logBytes(): Promise<number> {
    return await this.#store.size(partialKey(LOG_KEY)) ?? 0;
  }

  /** Makes the log end after its first `bytes` bytes; {@link append} goes on from there. */
  async continueLog(bytes: number): Promise<void> {
    await this.#log?.close();
    this.#log = await this.#store.append(LOG_KEY, { keep: bytes });
  }

  /** Adds an entry, anything JSON can hold. When it resolves, the entry outlasts a power cut. */
  async append(entry: unknown): Promise<void> {
    this.#log ??= await this.#store.append(LOG_KEY);
    await this.#log.append(encodeEntry(entry));
    await this.#log.sync();
  }

  /**
   * Stores the state a stage has at a row, in parts that may change as soon as this has been called. One that
   * was there is replaced; at any moment one of them is whole.
   *
   * @returns Its CRC-32C.
   */
  saveState(stage: string, row: number, parts: readonly ArrayBufferView[]): Promise<number> {
    return this.#seal(stateKey(stage, row), parts);
  }

  /** Stores parts, one after the other, with their checksum. */
  async #seal(key: string, parts: readonly ArrayBufferView[]): Promise<number> {
    const length = bytesOf(parts);
    const bytes = new Uint8Array(Journal.stateBytes(length));
    let at = 0;
    for (const { buffer, byteOffset, byteLength } of parts) {
      bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
      at += byteLength;
    }
    const checksum = crc32c(bytes.subarray(0, length));
    new DataView(bytes.buffer).setUint32(length, checksum, true);
    await this.#store.set(key, bytes, { transfer: true });
    return checksum;
  }

  /** The state a stage had at a row; `undefined` if it is missing or damaged. */
  async loadState(stage: string, row: number): Promise<Uint8Array | undefined> {
    const bytes = await this.#store.get(stateKey(stage, row));
    return bytes && unseal(bytes);
  }

  /** Rows at which a stage has a state that is whole, ascending. */
  async stateRows(stage: string): Promise<number[]> {
    const rows: number[] = [];
    for (const key of await this.#store.list(`/state/${stage}`)) {
      const row = Number(key.slice(key.lastIndexOf("/") + 1));
      if (await this.loadState(stage, row)) rows.push(row);
    }
    return rows.sort((a, b) => a - b);
  }

  async deleteState(stage: string, row: number): Promise<void> {
    await this.#store.delete(stateKey(stage, row));
  }

  /** Whether a run that was killed left nothing to be cleared. */
  async isEmpty(): Promise<boolean> {
    if ((await this.#store.list("/")).some((key) => key === PLAN_KEY || isOwn(key))) return false;
    return await this.#store.size(partialKey(LOG_KEY)) === undefined;
  }

  /** Removes everything but the lock and what is not a journal's, as when the run is done. */
  async clear(): Promise<void> {
    // first: what remains of a journal without a plan means nothing
    if ((await this.#plan())?.hash !== undefined) await this.#store.delete(PLAN_KEY);
    await this.#forget();
  }

  /** Removes what was done: the log first, without which states mean nothing. */
  async #forget(): Promise<void> {
    await this.#log?.close();
    this.#log = undefined;
    await this.#store.deleteAll("/log", isOwn);
    await this.#store.deleteAll("/state", isOwn);
    for (const folder of ["/done", "/stop", "/results"]) await this.#store.deleteAll(folder, isOwn);
    await this.#store.delete("/stages");
  }

  /** Lets go of the files. What is in them stays. */
  async close(): Promise<void> {
    await this.#log?.close();
    this.#log = undefined;
    await this.#store.close();
  }
}

/** Opens the journal beside an output place; nothing is created before the first write. */
export async function openJournal(outPlace: string, options?: OpenStoreOptions): Promise<Journal> {
  return new Journal(await openStore(siblingPlace(outPlace, ".journal"), options));
}

function stateKey(stage: string, row: number): string {
  return `/state/${stage}/${String(row).padStart(12, "0")}`;
}

function bytesOf(parts: readonly ArrayBufferView[]): number {
  return parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** What was stored before its checksum; `undefined` if they do not belong together. */
function unseal(bytes: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (bytes.byteLength < CRC_BYTES) return undefined;
  const body = bytes.subarray(0, bytes.byteLength - CRC_BYTES) as Uint8Array<ArrayBuffer>;
  const stored = new DataView(bytes.buffer, bytes.byteOffset).getUint32(body.byteLength, true);
  return stored === crc32c(body) ? body : undefined;
}

/** Eight hexadecimal digits of checksum, a space, JSON, a line feed. */
function encodeEntry(entry: unknown): Uint8Array {
  const json = JSON.stringify(entry);
  return new TextEncoder().encode(`${checksumOf(new TextEncoder().encode(json))}${json}\n`);
}

function decodeEntry(line: Uint8Array): { entry: unknown } | undefined {
  const text = new TextDecoder().decode(line);
  const checksum = checksumOf(line.subarray(9));
  return text.startsWith(checksum) ? { entry: JSON.parse(text.slice(9)) } : undefined;
}

function checksumOf(json: Uint8Array): string {
  return `${crc32c(json).toString(16).padStart(8, "0")} `;
}
