/**
 * What a run keeps beside its output until it is done: its state, and checkpoints.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import { siblingPlace } from "./place.ts";
import type { OpenStoreOptions, Store } from "./store.ts";
import { openStore } from "./store.ts";

const STATE_KEY = "/state.json";
const CRC_BYTES = 4;

/** The store `<out>.journal`, opened by {@link openJournal}. */
export class Journal {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get place(): string {
    return this.#store.place;
  }

  /** Bytes a checkpoint of so many f32 values takes. */
  static checkpointBytes(values: number): number {
    return values * Float32Array.BYTES_PER_ELEMENT + CRC_BYTES;
  }

  /** Stores values under an index, with their checksum. */
  async saveCheckpoint(index: number, values: Float32Array): Promise<void> {
    const bytes = new Uint8Array(Journal.checkpointBytes(values.length));
    const body = bytes.subarray(0, values.byteLength);
    body.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    new DataView(bytes.buffer).setUint32(values.byteLength, crc32c(body), true);
    await this.#store.set(checkpointKey(index), bytes, { transfer: true });
  }

  /**
   * The values saved under an index; `undefined` if there are none.
   *
   * @throws {ChunkError} If the file is damaged.
   */
  async loadCheckpoint(index: number): Promise<Float32Array | undefined> {
    const key = checkpointKey(index);
    const bytes = await this.#store.get(key);
    if (!bytes) return undefined;
    const path = this.#store.place + key;
    const bodyBytes = bytes.byteLength - CRC_BYTES;
    if (bodyBytes < 0 || bodyBytes % Float32Array.BYTES_PER_ELEMENT !== 0) {
      throw new ChunkError(
        `Cannot read checkpoint "${path}": it is cut short to ${bytes.byteLength} bytes`,
        path,
      );
    }
    const stored = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bodyBytes, true);
    const found = crc32c(bytes.subarray(0, bodyBytes));
    if (stored !== found) {
      throw new ChunkError(
        `Cannot read checkpoint "${path}": it is damaged, its checksum is ${hex(found)}, ` +
          `wanted ${hex(stored)}`,
        path,
      );
    }
    const values = new Float32Array(bodyBytes / Float32Array.BYTES_PER_ELEMENT);
    new Uint8Array(values.buffer).set(bytes.subarray(0, bodyBytes));
    return values;
  }

  /** Replaces the state: anything JSON can hold. */
  async writeState(state: unknown): Promise<void> {
    await this.#store.set(STATE_KEY, new TextEncoder().encode(JSON.stringify(state, undefined, 2)));
  }

  /**
   * The state written last; `undefined` if there is none.
   *
   * @throws {ChunkError} If the file is damaged.
   */
  async readState(): Promise<unknown> {
    const bytes = await this.#store.get(STATE_KEY);
    if (!bytes) return undefined;
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      const path = this.#store.place + STATE_KEY;
      throw new ChunkError(
        `Cannot read the journal "${path}": its ${bytes.byteLength} bytes are not JSON`,
        path,
        error,
      );
    }
  }

  /** Removes the journal, as when the run is done. */
  async deleteAll(): Promise<void> {
    await this.#store.deleteAll();
  }

  async close(): Promise<void> {
    await this.#store.close();
  }
}

/** Opens the journal beside an output place; nothing is created before the first write. */
export async function openJournal(outPlace: string, options?: OpenStoreOptions): Promise<Journal> {
  return new Journal(await openStore(siblingPlace(outPlace, ".journal"), options));
}

function checkpointKey(index: number): string {
  return `/checkpoint/${String(index).padStart(8, "0")}`;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
