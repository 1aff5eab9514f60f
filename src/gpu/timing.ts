/**
 * Device time of compute passes, where the adapter has timestamps.
 *
 * @module
 */

import type { Gpu } from "./device.ts";
import type { Account } from "./ledger.ts";
import { BufferUsage, MapMode } from "./usage.ts";

/** Bytes of buffers a {@link GpuTimer} takes from its account. */
export const TIMER_BYTES = 2 * 16;

/** Times one compute pass at a time. */
export class GpuTimer {
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;

  constructor(queries: GPUQuerySet, resolved: GPUBuffer, staging: GPUBuffer) {
    this.#queries = queries;
    this.#resolved = resolved;
    this.#staging = staging;
  }

  /** A timer, or `undefined` where the adapter keeps no time. */
  static async create(gpu: Gpu, account: Account): Promise<GpuTimer | undefined> {
    if (!gpu.device.features.has("timestamp-query")) return undefined;
    const [resolved, staging] = await account.createBuffers([
      {
        label: "timestamps",
        bytes: 16,
        usage: BufferUsage.QUERY_RESOLVE | BufferUsage.COPY_SRC,
      },
      {
        label: "timestamps staging",
        bytes: 16,
        usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
      },
    ]);
    const queries = gpu.device.createQuerySet({ type: "timestamp", count: 2 });
    return new GpuTimer(queries, resolved!, staging!);
  }

  /** What a timed pass adds to its descriptor. */
  get timestampWrites(): GPUComputePassTimestampWrites {
    return { querySet: this.#queries, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
  }

  /** Records what brings the times back; after the pass, in the same submit. */
  encodeResolve(encoder: GPUCommandEncoder): void {
    encoder.resolveQuerySet(this.#queries, 0, 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, 16);
  }

  /** Milliseconds the last timed pass took on the device. */
  async read(): Promise<number> {
    await this.#staging.mapAsync(MapMode.READ);
    const [begin, end] = new BigUint64Array(this.#staging.getMappedRange());
    const milliseconds = Number(end! - begin!) / 1e6;
    this.#staging.unmap();
    return milliseconds;
  }

  /** Gives its buffers back to the account. */
  destroy(account: Account): void {
    this.#queries.destroy();
    account.destroyBuffer(this.#resolved);
    account.destroyBuffer(this.#staging);
  }
}
