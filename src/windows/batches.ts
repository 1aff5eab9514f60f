/**
 * Batches of windows: memory and reading are planned, then batches are made ahead of whoever iterates.
 *
 * @module
 */

import type { WindowView } from "../array/window_view.ts";
import { epochBytes } from "../feed/epochs.ts";
import type { Shuffle } from "../feed/order.ts";
import { checkShuffle } from "../feed/order.ts";
import type { EpochCost } from "../feed/rounds.ts";
import type { Gpu } from "../gpu/device.ts";
import { Ledger } from "../gpu/ledger.ts";
import { parseBytes } from "../math/format.ts";
import type { MemoryBytes } from "../types.ts";
import { BatchEpochs, checkCursor } from "./batch_epochs.ts";
import type { EpochRange, Making } from "./batch_loops.ts";
import { BatchLoops } from "./batch_loops.ts";
import type { CheckedBatchOptions, HostBatchOptions } from "./batch_options.ts";
import { batchOptions, hostBatchOptions } from "./batch_options.ts";
import { BatchReport } from "./batch_report.ts";
import type { FramesIn, Wish } from "./choose.ts";
import { choose, totalOf } from "./choose.ts";
import type { Companions } from "./companions.ts";
import { machineMemoryBytes } from "./machine_memory.ts";
import type { Mixing } from "./mixing.ts";
import { measureMixing } from "./mixing.ts";
import type { BatchStats, WindowBatch } from "./window_batch.ts";

export type { BatchCursor, BatchOptions, HostBatchOptions } from "./batch_options.ts";
export type { BatchStats, DeviceBatch, HostBatch, WindowBatch } from "./window_batch.ts";

/** The batches of one epoch. */
export interface EpochBatches<Batch> {
  epoch: number;
  batches: AsyncIterable<Batch>;
}

/**
 * Batches of windows, planned: iterate over them. Another loop goes on with the next epoch. Each loop has
 * memory of its own, which is let go when it ends, is broken off, or fails, so that it reads frames again
 * from where they are stored: for many epochs ask for `epochs`, and take them {@link byEpoch}.
 */
export class Batches<Batch extends WindowBatch> implements AsyncIterable<Batch> {
  /** Bytes an iteration holds at most. */
  readonly projected: MemoryBytes;
  /** Where frames are kept, and whether windows are made beforehand. */
  readonly framesIn: FramesIn;
  readonly eager: boolean;
  /** What the iterations so far took. */
  readonly stats: BatchStats = {
    batches: 0,
    rounds: 0,
    reads: 0,
    bytesRead: 0,
    readSeconds: 0,
    waitSeconds: 0,
    peakBytes: { gpu: 0, host: 0, disk: 0 },
  };
  readonly #making: Making;
  readonly #report: BatchReport;
  readonly #ledger: Ledger;
  readonly #signal: AbortSignal | undefined;
  /** Epochs that the next loop goes through, and where it begins. */
  #range: EpochRange;

  /**
   * @throws {RangeError} If an option is out of its range.
   * @throws {BudgetError} If a batch and the frames it needs exceed what the budget has free.
   */
  constructor(
    view: WindowView,
    gpu: Gpu | undefined,
    given: HostBatchOptions,
    companions: Companions,
  ) {
    const options = (gpu ? batchOptions : hostBatchOptions).check(given) as CheckedBatchOptions;
    checkShuffle(options.shuffle);
    checkTypes(view);
    companions.check(gpu);
    const host = gpu
      ? gpu.budgetBytes.host
      : parseBytes(options.budget ?? Math.floor(machineMemoryBytes() / 2));
    this.#ledger = gpu?.ledger ?? hostLedger(host);
    this.#signal = options.signal;
    const { reserved } = this.#ledger;
    const free = {
      gpu: gpu ? gpu.budgetBytes.gpu - reserved.gpu : 0,
      host: host - reserved.host,
    };
    const epochs = new BatchEpochs(view, options);
    const { epoch, from } = options;
    this.#range = { first: epoch, end: epoch + options.epochs, from };
    if (from) checkCursor(from, this.#range.first, this.#range.end);
    const wish = wishOf(view, gpu, options, companions, free);
    const choice = choose(wish);
    this.#making = { wish, choice, epochs, companions, stats: this.stats };
    this.#report = new BatchReport(this.#making);
    this.framesIn = choice.framesIn;
    this.eager = choice.eager;
    this.projected = { ...totalOf(choice.memory), disk: 0 };
  }

  /**
   * Batches of the first epoch, which a sampler may have to draw for it.
   *
   * @throws {TypeError} If the sampler draws by a promise.
   */
  get length(): number {
    return this.#making.epochs.batches;
  }

  /**
   * What the first epoch costs in this order, or in another one, with frames on disk. Counted for
   * windows of 12 million frames, and scaled where there are more. Where a sampler would have to look at more
   * than a million windows, as many as it draws in the mean stand for them, spread evenly over all.
   *
   * @throws {TypeError} If the sampler draws fewer, by a promise.
   */
  cost(shuffle: Shuffle = this.#making.epochs.shuffle): EpochCost {
    checkShuffle(shuffle);
    return this.#report.costOf(shuffle, this.#making.epochs.lookAhead());
  }

  /**
   * How well an order mixes, this one when not given, beside a random permutation. Samplers are looked at as
   * {@link cost} says.
   *
   * @throws {TypeError} If the sampler draws fewer windows than that, by a promise.
   * @throws {RangeError} If there are fewer than 32 windows.
   */
  mixing(shuffle: Shuffle = this.#making.epochs.shuffle): Mixing {
    checkShuffle(shuffle);
    const { epochs } = this.#making;
    return measureMixing(epochs.preview(epochs.lookAhead(), shuffle).order);
  }

  /** Tables for people: what is held where, and what shuffling costs, by its kind. */
  explain(): string {
    return this.#report.explain(this.projected);
  }

  /**
   * The batches of each epoch, in a loop of its own; frames are read for all of them together. What an
   * inner loop leaves is passed over. An epoch that a sampler draws is drawn when its loop begins.
   *
   * ```ts
   * for await (const { epoch, batches } of train.batches({ epochs: 10 }).byEpoch()) {
   *   for await (const batch of batches) step(batch);
   *   validate(epoch);
   * }
   * ```
   */
  async *byEpoch(): AsyncGenerator<EpochBatches<Batch>, void, undefined> {
    const all = this[Symbol.asyncIterator]();
    let next = await all.next();
    async function* ofEpoch(): AsyncGenerator<Batch, void, undefined> {
      while (!next.done) {
        const { isLast } = next.value;
        yield next.value;
        if (isLast) return;
        next = await all.next();
      }
    }
    try {
      while (!next.done) {
        const { epoch } = next.value;
        yield { epoch, batches: ofEpoch() };
        while (!next.done && next.value.epoch === epoch) next = await all.next();
      }
    } finally {
      await all.return();
    }
  }

  /**
   * Makes batches until the epochs are over.
   *
   * @throws {BudgetError} If other work took the budget since this was planned.
   * @throws {RangeError} If the cursor belongs to another order or to other frames.
   * @throws {ChunkError} If frames cannot be read, or are not what they were.
   * @throws {DeviceLostError} If the device is lost; open it again and go on from the last cursor.
   * @throws The signal's reason, once it is aborted.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    const signal = this.#signal;
    const { gpu } = this.#making.wish;
    signal?.throwIfAborted();
    const ended = new AbortController();
    const stop = signal ? AbortSignal.any([ended.signal, signal]) : ended.signal;
    const account = this.#ledger.open("windows", this.projected);
    const loops = new BatchLoops<Batch>(this.#making, account, stop);
    const range = this.#range;
    const epochs = range.end - range.first;
    try {
      await loops.start(range);
      for (;;) {
        const waited = performance.now();
        const next = await loops.next();
        this.stats.waitSeconds += (performance.now() - waited) / 1000;
        gpu?.throwIfFailed();
        if (!next) break;
        this.stats.batches++;
        const begun = next.batch.epoch + 1;
        this.#range = { first: begun, end: begun + epochs, from: undefined };
        yield next.batch;
        stop.throwIfAborted();
        loops.recycle(next.slot);
      }
      await loops.close();
      account.close();
    } catch (error) {
      signal?.throwIfAborted();
      const loss = await gpu?.loss();
      if (loss) throw loss;
      // what a closed device refuses has no message of its own
      gpu?.throwIfFailed();
      throw error;
    } finally {
      ended.abort();
      await loops.end();
      account.abandon();
    }
  }
}

/** @param budget Bytes that are free. */
function wishOf(
  view: WindowView,
  gpu: Gpu | undefined,
  { size: batchSize, prefetch, dtype, hold, shuffle, sampler, eager, framesIn }:
    CheckedBatchOptions,
  companions: Companions,
  budget: Wish["budget"],
): Wish {
  const halves = view.readBrainBits ? "bfloat16" : "float32";
  const stored = view.dtype === "float16" ? "float16" : halves;
  const slots = prefetch + 1;
  const labels = slots * batchSize * (4 + companions.windowBytes);
  return {
    view,
    gpu,
    budget,
    batchSize,
    slots,
    dtype,
    held: hold ?? (dtype === "float16" ? "float16" : stored),
    exact: typeof shuffle === "number",
    eager,
    framesIn,
    others: [
      { what: "labels and weights", kind: "host", bytes: companions.heldBytes },
      { what: "labels of batches", kind: "host", bytes: labels },
      {
        what: "keys of batches",
        kind: "gpu",
        bytes: slots * companions.deviceBytes(batchSize),
      },
      { what: "sampled windows", kind: "host", bytes: epochBytes(view.shape[0]!, sampler) },
    ],
  };
}

/** A ledger of host bytes alone. */
function hostLedger(bytes: number): Ledger {
  const device = () => undefined as unknown as GPUDevice;
  return new Ledger(device, { gpu: 0, host: bytes }, () => {});
}

function checkTypes(view: WindowView): void {
  if (view.dtype === "int64" || view.dtype === "uint64") {
    throw new TypeError(`Cannot make batches: frames are ${view.dtype}, wanted at most 32 bits`);
  }
}
