/**
 * What batches hold and what shuffling costs them, in numbers and in tables for people.
 *
 * @module
 */

import type { Draw } from "../feed/epochs.ts";
import { lazyTable } from "../feed/frame_table.ts";
import type { Order, Shuffle, TwoLevelShuffle } from "../feed/order.ts";
import { describeShuffle, fullShuffle } from "../feed/order.ts";
import type { EpochCost } from "../feed/rounds.ts";
import { costOf, cutRounds } from "../feed/rounds.ts";
import { formatBytes, formatTable } from "../math/format.ts";
import type { MemoryBytes } from "../types.ts";
import type { Making } from "./batch_loops.ts";
import type { FramesIn, Wish } from "./choose.ts";
import { eagerBytes, paged, totalOf } from "./choose.ts";
import { beginningBytes } from "./whole_table.ts";
import { measureMixing } from "./mixing.ts";

/** The cost of an epoch is counted for windows of so many frames at most, and scaled up beyond. */
const COUNTED_FRAMES = 1.2e7;

/** Tables that orders on two levels read without a word. */
const FEW_PASSES = 1.5;

const ESTIMATED =
  "The sampler has many windows to look at, and is not asked beforehand: this is what as many cost and " +
  "how they mix that are spread evenly over all";

const LOOPS = "another loop reads them again, so for many epochs ask for `epochs`";

/** Places in words. */
export const PLACES: Record<FramesIn, string> = {
  device: "on the device",
  host: "in memory",
  disk: "left on disk",
};

export class BatchReport {
  readonly #making: Making;

  constructor(making: Making) {
    this.#making = making;
  }

  /** What the first epoch costs in this order, as it was looked at. */
  costOf(shuffle: Shuffle, draw: Draw | undefined): EpochCost {
    const { wish, choice, epochs } = this.#making;
    const { view, held, batchSize } = wish;
    const { plan } = choice.framesIn === "disk" ? choice : paged(wish, lazyTable(view, held));
    const { table, poolRows } = plan;
    const { epoch, to } = epochs.partOf(epochs.preview(draw, shuffle));
    const some = Math.max(1, Math.floor(COUNTED_FRAMES / table.windowRows / batchSize)) * batchSize;
    const counted = Math.min(to, some);
    const rounds = cutRounds(table, epoch, [0, counted], batchSize, poolRows);
    const cost = costOf(table, rounds);
    const scale = to / counted;
    return {
      rounds: Math.ceil(cost.rounds * scale),
      reads: Math.ceil(cost.reads * scale),
      bytesRead: cost.bytesRead * scale,
      passes: cost.passes * scale,
    };
  }

  #countBatches(draw: Draw | undefined): string {
    const { epochs, wish } = this.#making;
    const batches = Math.ceil(epochs.partOf(epochs.preview(draw)).to / wish.batchSize);
    return draw?.isEstimate ? `about ${batches}` : String(batches);
  }

  /** Tables for people: what is held where, and what shuffling costs, by its kind. */
  explain(projected: MemoryBytes): string {
    const { wish, choice: { plan, memory, why, framesIn, eager }, epochs } = this.#making;
    const { shuffle } = epochs;
    const { view, gpu, batchSize, dtype } = wish;
    const cell = (bytes: number) => bytes === 0 ? "" : formatBytes(bytes);
    const row = (what: string, { gpu, host }: { gpu: number; host: number }) => [
      what,
      cell(gpu),
      cell(host),
    ];
    const held = [["", "GPU", "host"]];
    for (const item of memory) if (item.bytes > 0) held.push(row(item.what, totalOf([item])));
    held.push(row("in all", projected));
    held.push(row("all windows, made beforehand", { gpu: 0, host: eagerBytes(wish) }));

    let draw: Draw | undefined;
    let unknown = "";
    try {
      draw = epochs.lookAhead();
    } catch (error) {
      // a sampler may not know yet; batches say it, should it fail in earnest
      unknown = (error as Error).message;
    }
    const seed = typeof shuffle === "object" ? shuffle.seed : shuffle || 0;
    let advice = "";
    const orders = [["", "sweeps", "tables read", "bytes read", "reads", "mixing"]];
    for (const kind of unknown ? [] : [false, { seed }, seed] as Shuffle[]) {
      const own = typeof kind === typeof shuffle ? shuffle : kind;
      const { rounds, passes, bytesRead, reads } = this.costOf(own, draw);
      if (typeof own === "object" && passes > FEW_PASSES) advice = adviceOn(own, passes, wish);
      orders.push([
        describeShuffle(own) + (own === shuffle ? " (this one)" : ""),
        String(rounds),
        passes.toFixed(2),
        formatBytes(Math.round(bytesRead)),
        String(reads),
        describeMixing(epochs.preview(draw, own).order, own),
      ]);
    }
    const count = unknown ? "" : `, ${this.#countBatches(draw)} batches an epoch`;
    const where = framesIn === "disk"
      ? "An epoch from disk, by order:"
      : "An epoch would cost, by order, were frames left on disk:";
    const costs = [
      where,
      formatTable(orders),
      "mixing: chi-square / degrees of freedom of places and of neighbours, 1 for a random order",
      ...advice ? [advice] : [],
      ...draw?.isEstimate ? [ESTIMATED] : [],
    ];
    const begun = framesIn === "disk" ? 0 : beginningBytes(plan, framesIn);
    return [
      `Batches of ${batchSize} windows [${[batchSize, ...view.shape.slice(1)]}] ${dtype} on ` +
      `${gpu ? gpu.adapter.name : "the host"}: ${view.shape[0]} windows of ` +
      `${view.segments.length} segments${count}`,
      `${eager ? "eager" : "lazy"}, frames ${PLACES[framesIn]}: ${why}`,
      formatTable(held),
      ...begun > 0
        ? [`Each loop reads ${formatBytes(begun)} of frames, once for all of its epochs; ${LOOPS}`]
        : [],
      ...unknown ? [unknown] : costs,
    ].join("\n");
  }
}

/** Why an order on two levels reads a table more than once. */
function adviceOn(shuffle: TwoLevelShuffle, passes: number, { view }: Wish): string {
  const { wholeChunks, chunkRows } = view.base;
  const { block } = fullShuffle(shuffle) as Required<TwoLevelShuffle>;
  const frames = (block - 1) * view.stride + view.size;
  const words = `On two levels the table is read ${
    passes.toFixed(1)
  } times: a block has ${frames} frames`;
  return wholeChunks && frames < 4 * chunkRows
    ? `${words}, a stored chunk ${chunkRows}; blocks of several chunks read it about once`
    : `${words}; larger blocks, or more memory for a pool of them, read it about once`;
}

function describeMixing(order: Order, shuffle: Shuffle): string {
  if (order.length < 32 || shuffle === false) return "none";
  const { positions, neighbours } = measureMixing(order);
  return [positions, neighbours].map(({ chiSquare, degrees }) => (chiSquare / degrees).toFixed(1))
    .join(" / ");
}
