/**
 * Batches of windows: memory and reading are planned, then batches are made ahead of whoever iterates.
 *
 * @module
 */

import type { WindowView } from "../array/window_view.ts";
import { epochBytes } from "../feed/epochs.ts";
import { lazyTable } from "../feed/frame_table.ts";
import type { Shuffle } from "../feed/order.ts";
import { checkShuffle, describeShuffle } from "../feed/order.ts";
import type { EpochCost } from "../feed/rounds.ts";
import { costOf, cutRounds } from "../feed/rounds.ts";
import type { Gpu } from "../gpu/device.ts";
import { Ledger } from "../gpu/ledger.ts";
import { formatBytes, formatTable, parseBytes } from "../math/format.ts";
import type { MemoryBytes } from "../types.ts";
import { BatchEpochs } from "./batch_epochs.ts";
import type { Making } from "./batch_loops.ts";
import { BatchLoops } from "./batch_loops.ts";
import type { CheckedBatchOptions, HostBatchOptions } from "./batch_options.ts";
import { batchOptions, hostBatchOptions } from "./batch_options.ts";
import type { FramesIn, Wish } from "./choose.ts";
import { choose, eagerBytes, paged, totalOf } from "./choose.ts";
import { machineMemoryBytes } from "./machine_memory.ts";
import type { Mixing } from "./mixing.ts";
import { measureMixing } from "./mixing.ts";
import type { BatchStats, Companions, WindowBatch } from "./window_batch.ts";

export type { BatchCursor, BatchOptions, HostBatchOptions } from "./batch_options.ts";
export type { BatchStats, DeviceBatch, HostBatch, WindowBatch } from "./window_batch.ts";

/** The cost of an epoch is counted for so many windows at most, and scaled up beyond. */
const COUNTED_WINDOWS = 4e6;

/** Places in words. */
export const PLACES: Record<FramesIn, string> = {
  device: "on the device",
  host: "in memory",
  disk: "left on disk",
};

/**
 * Batches of windows, planned: iterate over them. Iterating again begins again. Each iteration has
 * memory of its own, which is let go when it ends, is broken off, or fails.
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
  readonly #ledger: Ledger;
  readonly #signal: AbortSignal | undefined;

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
    const wish = wishOf(view, gpu, options, companions, free);
    const choice = choose(wish);
    const epochs = new BatchEpochs(view, options);
    this.#making = { wish, choice, epochs, companions, stats: this.stats };
    this.framesIn = choice.framesIn;
    this.eager = choice.eager;
    this.projected = { ...totalOf(choice.memory), disk: 0 };
  }

  /** Batches of the first epoch. */
  get length(): number {
    const { epochs, wish } = this.#making;
    return Math.ceil(epochs.endOf(epochs.at(epochs.first)) / wish.batchSize);
  }

  /**
   * What the first epoch costs in this order, or in another one, with frames on disk. Counted for
   * 4 million windows, and scaled where there are more.
   */
  cost(shuffle: Shuffle = this.#making.epochs.shuffle): EpochCost {
    checkShuffle(shuffle);
    const { wish, choice, epochs } = this.#making;
    const { view, held, batchSize } = wish;
    const { plan } = this.framesIn === "disk" ? choice : paged(wish, lazyTable(view, held));
    const epoch = epochs.at(epochs.first, shuffle);
    const end = epochs.endOf(epoch);
    const counted = Math.min(end, COUNTED_WINDOWS);
    const { table, poolRows } = plan;
    const rounds = cutRounds(table, epoch, [0, counted], batchSize, poolRows);
    const cost = costOf(table, rounds);
    const scale = end / counted;
    return {
      rounds: Math.ceil(cost.rounds * scale),
      reads: Math.ceil(cost.reads * scale),
      bytesRead: cost.bytesRead * scale,
      passes: cost.passes * scale,
    };
  }

  /**
   * How well an order mixes, this one when not given, beside a random permutation.
   *
   * @throws {RangeError} If there are fewer than 32 windows.
   */
  mixing(shuffle: Shuffle = this.#making.epochs.shuffle): Mixing {
    checkShuffle(shuffle);
    const { epochs } = this.#making;
    return measureMixing(epochs.at(epochs.first, shuffle).order);
  }

  /** Tables for people: what is held where, and what shuffling costs, by its kind. */
  explain(): string {
    const { wish, choice: { memory, why }, epochs: { shuffle } } = this.#making;
    const { view, gpu, batchSize, dtype } = wish;
    const cell = (bytes: number) => bytes === 0 ? "" : formatBytes(bytes);
    const row = (what: string, { gpu, host }: { gpu: number; host: number }) => [
      what,
      cell(gpu),
      cell(host),
    ];
    const held = [["", "GPU", "host"]];
    for (const item of memory) if (item.bytes > 0) held.push(row(item.what, totalOf([item])));
    held.push(row("in all", this.projected));
    held.push(row("all windows, made beforehand", { gpu: 0, host: eagerBytes(wish) }));

    const seed = typeof shuffle === "object" ? shuffle.seed : shuffle || 0;
    const orders = [["", "sweeps", "tables read", "bytes read", "reads", "mixing"]];
    for (const kind of [false, { seed }, seed] as Shuffle[]) {
      const own = typeof kind === typeof shuffle ? shuffle : kind;
      const { rounds, passes, bytesRead, reads } = this.cost(own);
      orders.push([
        describeShuffle(own) + (own === shuffle ? " (this one)" : ""),
        String(rounds),
        passes.toFixed(2),
        formatBytes(Math.round(bytesRead)),
        String(reads),
        this.#describeMixing(own),
      ]);
    }
    return [
      `Batches of ${batchSize} windows [${[batchSize, ...view.shape.slice(1)]}] ${dtype} on ` +
      `${gpu ? gpu.adapter.name : "the host"}: ${view.shape[0]} windows of ` +
      `${view.segments.length} segments, ${this.length} batches an epoch`,
      `${this.eager ? "eager" : "lazy"}, frames ${PLACES[this.framesIn]}: ${why}`,
      formatTable(held),
      this.framesIn === "disk"
        ? "An epoch from disk, by order:"
        : "An epoch would cost, by order, were frames left on disk:",
      formatTable(orders),
      "mixing: chi-square / degrees of freedom of places and of neighbours, 1 for a random order",
    ].join("\n");
  }

  #describeMixing(shuffle: Shuffle): string {
    const { epochs } = this.#making;
    const { order } = epochs.at(epochs.first, shuffle);
    if (order.length < 32 || shuffle === false) return "none";
    const { positions, neighbours } = measureMixing(order);
    return [positions, neighbours].map(({ chiSquare, degrees }) => (chiSquare / degrees).toFixed(1))
      .join(" / ");
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
    try {
      await loops.start();
      for (;;) {
        const waited = performance.now();
        const next = await loops.next();
        this.stats.waitSeconds += (performance.now() - waited) / 1000;
        gpu?.throwIfFailed();
        if (!next) break;
        this.stats.batches++;
        yield next.batch;
        stop.throwIfAborted();
        loops.recycle(next.slot);
      }
      await loops.close();
      account.close();
    } catch (error) {
      signal?.throwIfAborted();
      throw await gpu?.loss() ?? error;
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
  { heldBytes, windowBytes }: Companions,
  budget: Wish["budget"],
): Wish {
  const stored = view.dtype === "float16" ? "float16" : "float32";
  const slots = prefetch + 1;
  const labels = slots * batchSize * (4 + windowBytes);
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
      { what: "labels and weights", kind: "host", bytes: heldBytes },
      { what: "labels of batches", kind: "host", bytes: labels },
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
