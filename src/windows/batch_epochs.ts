/**
 * The epochs that batches are asked of: their orders, where they end, and where the first one begins.
 *
 * @module
 */

import type { WindowView } from "../array/window_view.ts";
import type { Draw, Epoch } from "../feed/epochs.ts";
import { checkSampler, countDrawn, createEpoch, drawEpoch, foresee } from "../feed/epochs.ts";
import type { Shuffle } from "../feed/order.ts";
import type { BatchCursor, CheckedBatchOptions } from "./batch_options.ts";

/** A stretch of an epoch: positions [from, to). */
export interface EpochPart {
  epoch: Epoch;
  from: number;
  to: number;
}

export class BatchEpochs {
  readonly shuffle: Shuffle;
  /** The epoch that is looked at beforehand. */
  readonly first: number;
  /** Whether epochs are drawn, so that one has to begin before its windows are known. */
  readonly isDrawn: boolean;
  readonly #view: WindowView;
  readonly #options: CheckedBatchOptions;

  /** @throws {RangeError} If an epoch has no batch: a short one is left out, and there is no other. */
  constructor(view: WindowView, options: CheckedBatchOptions) {
    const { shuffle, epoch, sampler } = options;
    this.shuffle = shuffle;
    this.first = epoch;
    this.isDrawn = sampler !== undefined;
    this.#view = view;
    this.#options = options;
    if (sampler) checkSampler(sampler, view.shape[0]!);
    const most = sampler ? sampler.most(view.shape[0]!) : view.shape[0]!;
    this.#checkLength(most, sampler ? "an epoch has at most" : "an epoch has");
  }

  /** What the sampler draws for the first epoch, or what stands for it. */
  lookAhead(): Draw | undefined {
    return foresee(this.#options.sampler, this.#view.shape[0]!, this.first);
  }

  /** Batches of the first epoch. */
  get batches(): number {
    const { sampler, size } = this.#options;
    const windows = this.#view.shape[0]!;
    const length = sampler ? countDrawn(sampler, windows, this.first) : windows;
    return Math.ceil(this.#comingOf(length) / size);
  }

  /** The first epoch, as it was looked at, in this order or in another one. */
  preview(draw: Draw | undefined, shuffle: Shuffle = this.shuffle): Epoch {
    return createEpoch(this.#view, shuffle, this.first, draw);
  }

  /** Draws an epoch. */
  async begin(number: number, signal: AbortSignal): Promise<Epoch> {
    const draw = await drawEpoch(this.#options.sampler, this.#view.shape[0]!, number, signal);
    const epoch = createEpoch(this.#view, this.shuffle, number, draw);
    this.#checkLength(epoch.length, `epoch ${number} has`);
    return epoch;
  }

  /** Windows of an epoch that come, from a position on: a short batch may be left out. */
  partOf(epoch: Epoch, from = 0): EpochPart {
    const left = epoch.length - from;
    return { epoch, from, to: from + this.#comingOf(left) };
  }

  /** Windows that come of those that are left. */
  #comingOf(left: number): number {
    const { size, dropLast } = this.#options;
    return dropLast ? Math.floor(left / size) * size : left;
  }

  /**
   * An epoch from where a cursor stands.
   *
   * @throws {RangeError} If it belongs to another order or to other frames.
   */
  async goOn(from: BatchCursor, frames: number, signal: AbortSignal): Promise<EpochPart> {
    if (from.frames !== frames) {
      throw new RangeError(
        "Cannot go on with windows: the cursor was made with other frames (their checksum was " +
          `${from.frames}, it is ${frames})`,
      );
    }
    const epoch = await this.begin(from.epoch, signal);
    if (from.order !== epoch.checksum) {
      throw new RangeError(
        "Cannot go on with windows: the cursor was made with other windows, another sampler or " +
          `another shuffle (its checksum is ${from.order}, this order's is ${epoch.checksum})`,
      );
    }
    if (from.position > epoch.length) {
      throw new RangeError(
        `Cannot go on with windows: the cursor stands at window ${from.position}, its epoch has ` +
          `${epoch.length}`,
      );
    }
    return this.partOf(epoch, from.position);
  }

  #checkLength(windows: number, has: string): void {
    const { size, dropLast } = this.#options;
    if (!dropLast || windows >= size) return;
    throw new RangeError(
      `Cannot make batches: ${has} ${windows} windows, a batch ${size}, ` +
        `and dropLast leaves out what does not fill one; wanted a size of at most ${windows}, or no ` +
        "dropLast",
    );
  }
}

/**
 * @throws {TypeError} If a cursor lacks something.
 * @throws {RangeError} If what it has are no whole numbers, or it is in an epoch that is not asked for.
 */
export function checkCursor(from: BatchCursor, first: number, end: number): void {
  for (const name of ["epoch", "position", "order", "frames"] as const) {
    const value: unknown = from[name];
    if (Number.isSafeInteger(value) && value as number >= 0) continue;
    const kind = typeof value === "number" ? RangeError : TypeError;
    throw new kind(
      `Cannot go on with windows: ${name} of the cursor is ${
        String(value)
      }, wanted a whole number ` +
        "from 0",
    );
  }
  if (from.epoch < first || from.epoch >= end) {
    throw new RangeError(
      `Cannot go on with windows: the cursor is in epoch ${from.epoch}, wanted ${first} to ` +
        `${end - 1}, as the options epoch and epochs say`,
    );
  }
}
