/**
 * Batches of windows: memory and reading are planned, then batches are made ahead of whoever iterates.
 *
 * @module
 */

import type { WindowView } from "../array/window_view.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import { Ledger } from "../gpu/ledger.ts";
import { formatBytes, formatTable, parseBytes } from "../math/format.ts";
import { Channel } from "../stream/channel.ts";
import type { MemoryBytes, NumericArray } from "../types.ts";
import type { BatchCursor, HostBatchOptions } from "./batch_options.ts";
import { batchOptions, hostBatchOptions } from "./batch_options.ts";
import type { Choice, FramesIn, Wish } from "./choose.ts";
import { choose, eagerBytes, paged, totalOf } from "./choose.ts";
import type { Epoch } from "../feed/epochs.ts";
import { createEpoch, epochBytes } from "../feed/epochs.ts";
import type { FrameType, FrameValues } from "../feed/frame_table.ts";
import { FrameReader, lazyTable } from "../feed/frame_table.ts";
import type { GatherSide, SideBytes } from "./gather_side.ts";
import { DeviceSide, HostSide, UploadSide } from "./gather_side.ts";
import { machineMemoryBytes } from "./machine_memory.ts";
import type { Mixing } from "./mixing.ts";
import { measureMixing } from "./mixing.ts";
import type { Shuffle } from "../feed/order.ts";
import { checkShuffle, describeShuffle } from "../feed/order.ts";
import type { EpochCost, Round } from "../feed/rounds.ts";
import { costOf, cutRounds, poolRow } from "../feed/rounds.ts";

export type { BatchCursor, BatchOptions, HostBatchOptions } from "./batch_options.ts";

/** What every batch has. It is valid until the next one is asked for. */
export interface WindowBatch {
  /** [windows, size, ...]. */
  shape: readonly number[];
  /** Elements from one to the next along each axis. */
  strides: readonly number[];
  dtype: FrameType;
  epoch: number;
  /** Numbers of the windows, [windows]. */
  windows: Uint32Array;
  /** Label of each window: [windows, ...], as labels are. */
  labels?: NumericArray;
  /** Label of the frame before the labelled one, where asked for. */
  previous?: NumericArray;
  /** Weight of each window's labelled frame, [windows]. */
  weights?: Float32Array;
  /** Goes on after this batch. */
  cursor: BatchCursor;
}

/** A batch as a typed array; it is detached, of length 0, once the next one is asked for. */
export interface HostBatch extends WindowBatch {
  /** [windows, size, ...] in C order; f16 as bits. */
  frames: FrameValues;
}

/** A batch as a buffer of the device, which later batches write into again. */
export interface DeviceBatch extends WindowBatch {
  /** Usages: storage, copy source and destination. A short batch fills the beginning of it. */
  buffer: GPUBuffer;
  byteOffset: number;
}

/** What belongs to windows besides frames. */
export interface Companions {
  /** Host bytes while batches are made, and of each window in a batch. */
  heldBytes: number;
  windowBytes: number;
  load(signal: AbortSignal): Promise<void>;
  of(windows: Uint32Array): Pick<WindowBatch, "labels" | "previous" | "weights">;
}

/** What making batches took so far. */
export interface BatchStats {
  batches: number;
  /** Sweeps over the table on disk. */
  rounds: number;
  reads: number;
  bytesRead: number;
  /** Seconds in which reads were under way, and in which the next batch was waited for. */
  readSeconds: number;
  waitSeconds: number;
  peakBytes: MemoryBytes;
}

type CheckedOptions = ReturnType<typeof hostBatchOptions.check>;

/** The cost of an epoch is counted for so many windows at most, and scaled up beyond. */
const COUNTED_WINDOWS = 4e6;

/** Places in words. */
export const PLACES: Record<FramesIn, string> = {
  device: "on the device",
  host: "in memory",
  disk: "left on disk",
};

/** A stretch of an epoch whose frames are there. */
interface Stretch {
  epoch: Epoch;
  round: Round;
  pool: number;
}

interface Made<Batch> {
  batch: Batch;
  slot: number;
}

interface Channels<Batch> {
  pools: Channel<number>;
  stretches: Channel<Stretch | undefined>;
  slots: Channel<number>;
  made: Channel<Made<Batch> | undefined>;
}

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
  readonly #options: CheckedOptions;
  readonly #shuffle: Shuffle;
  readonly #companions: Companions;
  readonly #ledger: Ledger;
  readonly #wish: Wish;
  readonly #choice: Choice;
  #epoch: Epoch | undefined;

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
    const options = (gpu ? batchOptions : hostBatchOptions).check(given) as CheckedOptions;
    const { dtype, prefetch } = options;
    checkShuffle(options.shuffle);
    checkTypes(view);
    this.#options = options;
    this.#shuffle = options.shuffle;
    this.#companions = companions;
    const host = gpu
      ? gpu.budgetBytes.host
      : parseBytes(options.budget ?? Math.floor(machineMemoryBytes() / 2));
    this.#ledger = gpu?.ledger ?? hostLedger(host);
    const { reserved } = this.#ledger;
    const stored = view.dtype === "float16" ? "float16" : "float32";
    const slots = prefetch + 1;
    const { heldBytes, windowBytes } = companions;
    const others: SideBytes[] = [
      { what: "labels and weights", kind: "host", bytes: heldBytes },
      {
        what: "labels of batches",
        kind: "host",
        bytes: slots * options.size * (4 + windowBytes),
      },
      { what: "sampled windows", kind: "host", bytes: epochBytes(view.shape[0]!, options.sampler) },
    ];
    this.#wish = {
      view,
      gpu,
      budget: {
        gpu: gpu ? gpu.budgetBytes.gpu - reserved.gpu : 0,
        host: host - reserved.host,
      },
      batchSize: options.size,
      slots,
      dtype,
      held: options.hold ?? (dtype === "float16" ? "float16" : stored),
      exact: typeof this.#shuffle === "number",
      eager: options.eager,
      framesIn: options.framesIn,
      others,
    };
    this.#choice = choose(this.#wish);
    this.framesIn = this.#choice.framesIn;
    this.eager = this.#choice.eager;
    this.projected = { ...totalOf(this.#choice.memory), disk: 0 };
  }

  /** Batches of the first epoch. */
  get length(): number {
    const { size, dropLast = false } = this.#options;
    const { length } = this.#epochAt(this.#options.epoch ?? 0);
    return dropLast ? Math.floor(length / size) : Math.ceil(length / size);
  }

  /**
   * What the first epoch costs in this order, or in another one, with frames on disk. Counted for
   * 4 million windows, and scaled where there are more.
   */
  cost(shuffle: Shuffle = this.#shuffle): EpochCost {
    checkShuffle(shuffle);
    const { view, held, batchSize } = this.#wish;
    const { plan } = this.framesIn === "disk"
      ? this.#choice
      : paged(this.#wish, lazyTable(view, held));
    const epoch = this.#epochAt(this.#options.epoch ?? 0, shuffle);
    const end = this.#endOf(epoch);
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
  mixing(shuffle: Shuffle = this.#shuffle): Mixing {
    checkShuffle(shuffle);
    return measureMixing(this.#epochAt(this.#options.epoch ?? 0, shuffle).order);
  }

  /** Tables for people: what is held where, and what shuffling costs, by its kind. */
  explain(): string {
    const { view, gpu, batchSize, dtype } = this.#wish;
    const { memory, why } = this.#choice;
    const cell = (bytes: number) => bytes === 0 ? "" : formatBytes(bytes);
    const row = (what: string, { gpu, host }: { gpu: number; host: number }) => [
      what,
      cell(gpu),
      cell(host),
    ];
    const held = [["", "GPU", "host"]];
    for (const item of memory) if (item.bytes > 0) held.push(row(item.what, totalOf([item])));
    held.push(row("in all", this.projected));
    held.push(row("all windows, made beforehand", { gpu: 0, host: eagerBytes(this.#wish) }));

    const seed = typeof this.#shuffle === "object" ? this.#shuffle.seed : this.#shuffle || 0;
    const orders = [["", "sweeps", "tables read", "bytes read", "reads", "mixing"]];
    for (const kind of [false, { seed }, seed] as Shuffle[]) {
      const own = typeof kind === typeof this.#shuffle ? this.#shuffle : kind;
      const { rounds, passes, bytesRead, reads } = this.cost(own);
      orders.push([
        describeShuffle(own) + (own === this.#shuffle ? " (this one)" : ""),
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
    const { order } = this.#epochAt(this.#options.epoch ?? 0, shuffle);
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
    const { signal } = this.#options;
    const { gpu, slots } = this.#wish;
    signal?.throwIfAborted();
    const ended = new AbortController();
    const stop = signal ? AbortSignal.any([ended.signal, signal]) : ended.signal;
    const account = this.#ledger.open("windows", this.projected);
    const reader = new FrameReader(this.#choice.plan.table, stop, {
      readsAgain: this.framesIn === "disk",
    });
    const side = this.#side(account);
    const channels: Channels<Batch> = {
      pools: new Channel(),
      stretches: new Channel(),
      slots: new Channel(),
      made: new Channel(),
    };
    const fail = (reason: unknown) => {
      for (const channel of Object.values(channels)) channel.fail(reason);
    };
    const onAbort = () => fail(stop.reason);
    stop.addEventListener("abort", onAbort);
    const loops: Promise<void>[] = [];
    try {
      const overheads = this.#takeOverheads(account);
      await this.#companions.load(stop);
      const frames = await reader.fingerprint();
      const begin = this.#begin(frames);
      await side.open(reader);
      for (let pool = 0; pool < side.pools; pool++) channels.pools.put(pool);
      for (let slot = 0; slot < slots; slot++) channels.slots.put(slot);
      loops.push(this.#readStretches(begin, side, reader, channels));
      loops.push(this.#makeBatches(frames, side, channels));
      for (const loop of loops) loop.catch(fail);
      for (;;) {
        const waited = performance.now();
        const next = await channels.made.take();
        this.stats.waitSeconds += (performance.now() - waited) / 1000;
        gpu?.throwIfFailed();
        if (!next) break;
        this.stats.batches++;
        yield next.batch;
        stop.throwIfAborted();
        side.recycle(next.slot);
        channels.slots.put(next.slot);
      }
      await side.close();
      account.giveBack("host", overheads);
      account.close();
    } catch (error) {
      signal?.throwIfAborted();
      throw await gpu?.loss() ?? error;
    } finally {
      stop.removeEventListener("abort", onAbort);
      ended.abort();
      fail(ended.signal.reason);
      await Promise.allSettled(loops);
      this.#note(reader, account);
      // does nothing where all went well
      await side.close();
      account.abandon();
    }
  }

  /** Reads what stretches need, a pool ahead of those that batches are made of. */
  async #readStretches(
    begin: { epoch: number; position: number },
    side: GatherSide<unknown>,
    reader: FrameReader,
    { pools, stretches }: Channels<Batch>,
  ): Promise<void> {
    const { epoch: first = 0, epochs = 1 } = this.#options;
    const { table, poolRows, whole, batchSize } = this.#choice.plan;
    for (let number = begin.epoch; number < first + epochs; number++) {
      const epoch = this.#epochAt(number);
      const from = number === begin.epoch ? begin.position : 0;
      const to = this.#endOf(epoch);
      if (from >= to) continue;
      const rounds = whole
        ? [{ from, to, runs: [], rows: 0 }]
        : cutRounds(table, epoch, [from, to], batchSize, poolRows);
      for (const round of rounds) {
        const pool = await pools.take();
        await side.fill(round, pool, reader);
        if (!whole) this.stats.rounds++;
        stretches.put({ epoch, round, pool });
      }
    }
    stretches.put(undefined);
  }

  /** Gathers batches, as many ahead as there are slots. */
  async #makeBatches(
    frames: number,
    side: GatherSide<FrameValues | GPUBuffer>,
    { pools, stretches, slots, made }: Channels<Batch>,
  ): Promise<void> {
    const { table, whole, batchSize, dtype } = this.#choice.plan;
    const { gpu, view } = this.#wish;
    const inner = view.shape.slice(1);
    const strides = view.shape.map((_, axis) =>
      view.shape.slice(axis + 1).reduce((product, size) => product * size, 1)
    );
    for (;;) {
      const stretch = await stretches.take();
      if (!stretch) break;
      const { epoch, round, pool } = stretch;
      const freed = await side.turnTo(round, pool);
      if (freed !== undefined && !whole) pools.put(freed);
      for (let from = round.from; from < round.to; from += batchSize) {
        const to = Math.min(round.to, from + batchSize);
        const slot = await slots.take();
        await nextTurn();
        const windows = new Uint32Array(to - from);
        const rows = new Uint32Array(to - from);
        for (let i = 0; i < windows.length; i++) {
          windows[i] = epoch.windowAt(from + i);
          const row = table.rowOf(windows[i]!);
          rows[i] = whole ? row : poolRow(round, row);
        }
        const gathered = await side.gather(rows, slot);
        const batch = {
          shape: [windows.length, ...inner],
          strides,
          dtype,
          epoch: epoch.number,
          windows,
          ...this.#companions.of(windows),
          cursor: { epoch: epoch.number, position: to, order: epoch.checksum, frames },
          ...(gpu ? { buffer: gathered, byteOffset: 0 } : { frames: gathered }),
        };
        made.put({ batch: batch as unknown as Batch, slot });
      }
      if (whole) pools.put(pool);
    }
    await side.settle();
    made.put(undefined);
  }

  #side(account: Account): GatherSide<FrameValues | GPUBuffer> {
    const { gpu } = this.#wish;
    const { plan, framesIn } = this.#choice;
    if (!gpu) return new HostSide(plan, account);
    return framesIn === "host"
      ? new UploadSide(plan, account, gpu)
      : new DeviceSide(plan, account, gpu);
  }

  /** Counts what neither side nor reader counts; returns the bytes. */
  #takeOverheads(account: Account): number {
    const { gpu } = this.#wish;
    const { plan, framesIn, memory } = this.#choice;
    const own = gpu
      ? framesIn === "host" ? UploadSide.bytes(plan) : DeviceSide.bytes(plan)
      : HostSide.bytes(plan);
    const bytes = totalOf(memory).host - totalOf(own).host;
    account.take("host", bytes, "labels and reads");
    return bytes;
  }

  #epochAt(number: number, shuffle = this.#shuffle): Epoch {
    const { view } = this.#wish;
    if (shuffle !== this.#shuffle) {
      return createEpoch(view, shuffle, this.#options.sampler, number);
    }
    if (this.#epoch?.number !== number) {
      this.#epoch = createEpoch(view, shuffle, this.#options.sampler, number);
    }
    return this.#epoch;
  }

  #endOf({ length }: Epoch): number {
    const { size, dropLast = false } = this.#options;
    return dropLast ? Math.floor(length / size) * size : length;
  }

  /** Where to begin: at the cursor, if it belongs here. */
  #begin(frames: number): { epoch: number; position: number } {
    const { from, epoch: first = 0, epochs = 1 } = this.#options;
    if (!from) return { epoch: first, position: 0 };
    if (from.frames !== frames) {
      throw new RangeError(
        "Cannot go on with windows: the cursor was made with other frames (their checksum was " +
          `${from.frames}, it is ${frames})`,
      );
    }
    if (from.epoch < first || from.epoch >= first + epochs) {
      throw new RangeError(
        `Cannot go on with windows: the cursor is in epoch ${from.epoch}, wanted ${first} to ` +
          `${first + epochs - 1}`,
      );
    }
    const { checksum, length } = this.#epochAt(from.epoch);
    if (from.order !== checksum || from.position > length) {
      throw new RangeError(
        "Cannot go on with windows: the cursor was made with other windows, another sampler or " +
          `another shuffle (its checksum is ${from.order}, this order's is ${checksum})`,
      );
    }
    return from;
  }

  #note(reader: FrameReader, account: Account): void {
    const { stats } = this;
    stats.reads += reader.reads;
    stats.bytesRead += reader.bytesRead;
    stats.readSeconds += reader.busyMs / 1000;
    for (const kind of ["gpu", "host", "disk"] as const) {
      stats.peakBytes[kind] = Math.max(stats.peakBytes[kind], account.peak[kind]);
    }
  }
}

/**
 * Waits until whoever took a batch has gone on with it: making the next one keeps this thread busy, and
 * its commands would come before those of the step. A message, since browsers slow timers down.
 */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
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
