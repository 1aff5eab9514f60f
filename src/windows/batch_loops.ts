/**
 * The loops that make batches: one reads what they need, another gathers it.
 *
 * @module
 */

import type { RealFrames } from "../array/window_reading.ts";
import type { Epoch } from "../feed/epochs.ts";
import type { FrameValues } from "../feed/frame_table.ts";
import { fingerprint, FrameReader } from "../feed/frame_table.ts";
import type { Round } from "../feed/rounds.ts";
import { cutRounds, poolRow } from "../feed/rounds.ts";
import type { Account } from "../gpu/ledger.ts";
import { Channel } from "../stream/channel.ts";
import { nextTurn } from "../turns.ts";
import { elementCount } from "../zarr/data_types.ts";
import type { BatchEpochs, EpochPart } from "./batch_epochs.ts";
import type { BatchCursor } from "./batch_options.ts";
import type { Choice, Wish } from "./choose.ts";
import { DeviceSide } from "./device_side.ts";
import type { GatherSide } from "./gather_side.ts";
import { HostSide } from "./host_side.ts";
import { UploadSide } from "./upload_side.ts";
import type { Companions, OpenCompanions } from "./companions.ts";
import type { BatchStats, WindowBatch } from "./window_batch.ts";

/** What batches are made of. */
export interface Making {
  wish: Wish;
  choice: Choice;
  epochs: BatchEpochs;
  companions: Companions;
  /** Counted on. */
  stats: BatchStats;
}

/** Epochs that a loop goes through, [first, end), and where in them it begins. */
export interface EpochRange {
  first: number;
  end: number;
  from: BatchCursor | undefined;
}

/** A stretch of an epoch whose frames are there. */
interface Stretch {
  epoch: Epoch;
  round: Round;
  pool: number;
  /** Whether none of its epoch comes after it. */
  isLast: boolean;
}

/** A batch, and the slot it lies in. */
interface Made<Batch> {
  batch: Batch;
  slot: number;
}

interface Channels<Batch> {
  pools: Channel<number>;
  stretches: Channel<Stretch | "epoch over" | undefined>;
  slots: Channel<number>;
  made: Channel<Made<Batch> | "epoch over" | undefined>;
  /** Told when a batch is asked for beyond the epoch that has begun. */
  begins: Channel<void>;
}

/** Makes the batches of one iteration, as many ahead as there are slots. */
export class BatchLoops<Batch extends WindowBatch> {
  readonly #making: Making;
  readonly #account: Account;
  readonly #stop: AbortSignal;
  readonly #reader: FrameReader;
  readonly #side: GatherSide<FrameValues | GPUBuffer>;
  readonly #channels: Channels<Batch> = {
    pools: new Channel(),
    stretches: new Channel(),
    slots: new Channel(),
    made: new Channel(),
    begins: new Channel(),
  };
  #company: OpenCompanions | undefined;
  #loops: Promise<void>[] = [];

  /** @param stop Ends the loops once it is aborted. */
  constructor(making: Making, account: Account, stop: AbortSignal) {
    this.#making = making;
    this.#account = account;
    this.#stop = stop;
    const { plan, framesIn } = making.choice;
    this.#reader = new FrameReader(plan.table, stop, { readsAgain: framesIn === "disk" });
    this.#side = createSide(making, account);
    stop.addEventListener("abort", () => this.#fail(stop.reason));
  }

  /** Reads what is kept, and sets the loops going. */
  async start(range: EpochRange): Promise<void> {
    const { wish, choice, epochs, companions } = this.#making;
    this.#account.take("host", choice.otherBytes, "labels and reads");
    const { gpu, slots } = wish;
    const making = { gpu, account: this.#account, slots, batchSize: wish.batchSize };
    this.#company = await companions.open({ ...making, signal: this.#stop });
    const frames = await fingerprint(wish.view.base, this.#stop);
    const begin = range.from && await epochs.goOn(range.from, frames, this.#stop);
    await this.#side.open(this.#reader);
    for (let pool = 0; pool < this.#side.pools; pool++) this.#channels.pools.put(pool);
    for (let slot = 0; slot < wish.slots; slot++) this.#channels.slots.put(slot);
    this.#loops = [this.#readStretches(range, begin), this.#makeBatches(frames)];
    for (const loop of this.#loops) loop.catch((reason) => this.#fail(reason));
  }

  /** The next batch; `undefined` once the epochs are over. */
  async next(): Promise<Made<Batch> | undefined> {
    for (;;) {
      const made = await this.#channels.made.take();
      if (made !== "epoch over") return made;
      this.#channels.begins.put();
    }
  }

  /** Takes the slot of a batch back, which cannot be used any more. */
  recycle(slot: number): void {
    this.#side.recycle(slot);
    this.#channels.slots.put(slot);
  }

  /** Gives back what was taken, where all went well. */
  async close(): Promise<void> {
    await this.#side.close();
    this.#company?.close();
    this.#account.giveBack("host", this.#making.choice.otherBytes);
  }

  /** Waits until the loops have stopped, whether all went well or not. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#loops);
    this.#note();
    // does nothing where all went well
    await this.#side.close();
    this.#company?.close();
  }

  /**
   * Reads what stretches need, a pool ahead of those that batches are made of. An epoch that is drawn
   * begins when a batch of it is wanted: what it is drawn by may change up to then.
   */
  async #readStretches({ first, end }: EpochRange, begun: EpochPart | undefined): Promise<void> {
    const { epochs, choice, stats } = this.#making;
    const { table, poolRows, whole, batchSize } = choice.plan;
    const { pools, stretches, begins } = this.#channels;
    for (let number = begun?.epoch.number ?? first; number < end; number++) {
      const { epoch, from, to } = begun ??
        epochs.partOf(await epochs.begin(number, this.#stop));
      begun = undefined;
      const rounds = whole
        ? [{ from, to, runs: [], rows: 0 }]
        : cutRounds(table, epoch, [from, to], batchSize, poolRows);
      for (const round of from < to ? rounds : []) {
        const pool = await pools.take();
        await this.#side.fill(round, pool, this.#reader);
        if (!whole) stats.rounds++;
        stretches.put({ epoch, round, pool, isLast: round.to === to });
      }
      if (!epochs.isDrawn || number + 1 === end) continue;
      stretches.put("epoch over");
      await begins.take();
    }
    stretches.put(undefined);
  }

  /** Gathers batches, as many ahead as there are slots. */
  async #makeBatches(frames: number): Promise<void> {
    const { wish: { gpu, view }, choice } = this.#making;
    const { table, whole, batchSize, dtype } = choice.plan;
    const { pools, stretches, slots, made } = this.#channels;
    const inner = view.shape.slice(1);
    const strides = view.shape.map((_, axis) => elementCount(view.shape.slice(axis + 1)));
    for (;;) {
      const stretch = await stretches.take();
      if (!stretch) break;
      if (stretch === "epoch over") {
        made.put(stretch);
        continue;
      }
      const { epoch, round, pool, isLast } = stretch;
      const freed = await this.#side.turnTo(round, pool);
      if (freed !== undefined && !whole) pools.put(freed);
      for (let from = round.from; from < round.to; from += batchSize) {
        const to = Math.min(round.to, from + batchSize);
        const slot = await slots.take();
        // until whoever took a batch has gone on with it: making the next one keeps this thread busy, and its
        // commands would come before those of the step
        await nextTurn();
        const windows = new Uint32Array(to - from);
        const rows = new Uint32Array(to - from);
        const real: RealFrames[] = [];
        for (let i = 0; i < windows.length; i++) {
          windows[i] = epoch.windowAt(from + i);
          const row = table.rowOf(windows[i]!);
          rows[i] = whole ? row : poolRow(round, row);
          if (!table.padding) continue;
          const own = table.padding.realOf(windows[i]!);
          real.push({ ...own, first: rows[i]! + own.first - row });
        }
        const gathered = await this.#side.gather(rows, slot, table.padding && real);
        const batch = {
          shape: [windows.length, ...inner],
          strides,
          dims: view.dims,
          dtype,
          epoch: epoch.number,
          isLast: isLast && to === round.to,
          windows,
          ...await this.#company!.of(windows, slot),
          cursor: { epoch: epoch.number, position: to, order: epoch.checksum, frames },
          ...(gpu ? { buffer: gathered, byteOffset: 0 } : { frames: gathered }),
        };
        made.put({ batch: batch as unknown as Batch, slot });
      }
      if (whole) pools.put(pool);
    }
    await this.#side.settle();
    made.put(undefined);
  }

  #fail(reason: unknown): void {
    for (const channel of Object.values(this.#channels)) channel.fail(reason);
  }

  #note(): void {
    const { stats } = this.#making;
    stats.reads += this.#reader.reads;
    stats.bytesRead += this.#reader.bytesRead;
    stats.readSeconds += this.#reader.busyMs / 1000;
    for (const kind of ["gpu", "host", "disk"] as const) {
      stats.peakBytes[kind] = Math.max(stats.peakBytes[kind], this.#account.peak[kind]);
    }
  }
}

function createSide(
  { wish: { gpu }, choice: { plan, framesIn } }: Making,
  account: Account,
): GatherSide<FrameValues | GPUBuffer> {
  if (!gpu) return new HostSide(plan, account);
  return framesIn === "host"
    ? new UploadSide(plan, account, gpu)
    : new DeviceSide(plan, account, gpu);
}
