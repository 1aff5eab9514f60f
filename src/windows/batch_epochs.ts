/**
 * The epochs that batches are asked of: their orders, where they end, and where the first one begins.
 *
 * @module
 */

import type { WindowView } from "../array/window_view.ts";
import type { Epoch } from "../feed/epochs.ts";
import { createEpoch } from "../feed/epochs.ts";
import type { Shuffle } from "../feed/order.ts";
import type { CheckedBatchOptions } from "./batch_options.ts";

export class BatchEpochs {
  readonly shuffle: Shuffle;
  /** Numbers of the epochs: [first, end). */
  readonly first: number;
  readonly end: number;
  readonly #view: WindowView;
  readonly #options: CheckedBatchOptions;
  /** The one made last. */
  #epoch: Epoch | undefined;

  constructor(view: WindowView, options: CheckedBatchOptions) {
    this.shuffle = options.shuffle;
    this.first = options.epoch;
    this.end = options.epoch + options.epochs;
    this.#view = view;
    this.#options = options;
  }

  /** An epoch, in this order or in another one. */
  at(number: number, shuffle: Shuffle = this.shuffle): Epoch {
    const { sampler } = this.#options;
    if (shuffle !== this.shuffle) return createEpoch(this.#view, shuffle, sampler, number);
    if (this.#epoch?.number !== number) {
      this.#epoch = createEpoch(this.#view, shuffle, sampler, number);
    }
    return this.#epoch;
  }

  /** Windows of an epoch that come: a short batch may be left out. */
  endOf({ length }: Epoch): number {
    const { size, dropLast } = this.#options;
    return dropLast ? Math.floor(length / size) * size : length;
  }

  /**
   * Where to begin: at the cursor.
   *
   * @throws {RangeError} If it belongs to another order or to other frames.
   */
  begin(frames: number): { epoch: number; position: number } {
    const { from } = this.#options;
    if (!from) return { epoch: this.first, position: 0 };
    if (from.frames !== frames) {
      throw new RangeError(
        "Cannot go on with windows: the cursor was made with other frames (their checksum was " +
          `${from.frames}, it is ${frames})`,
      );
    }
    if (from.epoch < this.first || from.epoch >= this.end) {
      throw new RangeError(
        `Cannot go on with windows: the cursor is in epoch ${from.epoch}, wanted ${this.first} to ` +
          `${this.end - 1}`,
      );
    }
    const { checksum, length } = this.at(from.epoch);
    if (from.order !== checksum || from.position > length) {
      throw new RangeError(
        "Cannot go on with windows: the cursor was made with other windows, another sampler or " +
          `another shuffle (its checksum is ${from.order}, this order's is ${checksum})`,
      );
    }
    return from;
  }
}
