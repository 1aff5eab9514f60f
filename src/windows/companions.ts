/**
 * What comes with windows besides frames: labels, weights, masks and keys.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { readAll } from "../array/array.ts";
import type { WindowView } from "../array/window_view.ts";
import { checkLength } from "../feed/frame_table.ts";
import type { Gpu } from "../gpu/device.ts";
import type { NumericArray } from "../types.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { elementBytes, elementCount } from "../zarr/data_types.ts";
import type { KeyMaking } from "./key_rows.ts";
import { checkPlace, deviceBytes, heldBytes, KeyRowReader, windowBytes } from "./key_rows.ts";
import type { Anchor, Key } from "./keys.ts";
import type { WindowBatch } from "./window_batch.ts";

/** Windows, and what of their frames is labelled and real. */
export interface LabelledView extends WindowView {
  labelledFrame(window: number, shift?: number): number;
  maskOf(windows: ArrayLike<number>): Uint8Array;
}

/** What windows know of frames besides the frames. */
export interface Told {
  labels: ChunkedArray | undefined;
  weights: ArrayLike<number> | undefined;
  delay: number;
  previous: boolean;
  keys: readonly Key[];
}

/** What comes with some windows. */
export type Company = Pick<WindowBatch, "mask" | "keys" | "labels" | "previous" | "weights">;

export class Companions {
  readonly #view: LabelledView;
  readonly #told: Told;

  constructor(view: LabelledView, told: Told) {
    this.#view = view;
    this.#told = told;
  }

  /** Host bytes while batches are made. */
  get heldBytes(): number {
    const { labels, keys } = this.#told;
    // decoded halves are twice as wide
    const own = labels && !labels.values ? 2 * labels.shape[0]! * this.#labelBytes : 0;
    return keys.reduce((sum, key) => sum + heldBytes(key), own);
  }

  /** Host bytes of each window in a batch. */
  get windowBytes(): number {
    const { previous, weights, keys } = this.#told;
    const own = 2 * this.#labelBytes * (previous ? 2 : 1) + (weights ? 4 : 0) +
      (this.#view.padding ? this.#view.size : 0);
    return keys.reduce((sum, key) => sum + windowBytes(key), own);
  }

  /** Device bytes of a batch. */
  deviceBytes(batchSize: number): number {
    return this.#told.keys.reduce((sum, key) => sum + deviceBytes(key, batchSize), 0);
  }

  /** @throws {TypeError} If a key cannot be where it is asked for. */
  check(gpu: Gpu | undefined): void {
    for (const key of this.#told.keys) checkPlace(key, gpu);
  }

  /** Reads what is kept in memory. */
  async open(making: KeyMaking): Promise<OpenCompanions> {
    const { labels, keys } = this.#told;
    const { signal } = making;
    const values = labels && (labels.values ?? await readAll(labels, { signal }));
    const readers: [string, KeyRowReader][] = [];
    try {
      for (const key of keys) readers.push([key.name, await KeyRowReader.open(key, making)]);
    } catch (error) {
      for (const [, reader] of readers) reader.close();
      throw error;
    }
    return new OpenCompanions(this.#view, this.#told, values, readers);
  }

  get #labelBytes(): number {
    const { labels } = this.#told;
    return labels
      ? elementCount(labels.shape.slice(1)) * elementBytes(labels.dtype as NumericType)
      : 0;
  }
}

/** The same while batches are made. */
export class OpenCompanions {
  readonly #view: LabelledView;
  readonly #told: Told;
  readonly #labels: NumericArray | undefined;
  readonly #keys: readonly [name: string, reader: KeyRowReader][];

  constructor(
    view: LabelledView,
    told: Told,
    labels: NumericArray | undefined,
    keys: readonly [name: string, reader: KeyRowReader][],
  ) {
    this.#view = view;
    this.#told = told;
    this.#labels = labels;
    this.#keys = keys;
  }

  async of(windows: Uint32Array, slot: number): Promise<Company> {
    const { labels, weights, previous } = this.#told;
    const view = this.#view;
    return {
      ...(view.padding && { mask: view.maskOf(windows) }),
      ...(this.#keys.length > 0 && { keys: await this.#keysOf(windows, slot) }),
      ...(labels && { labels: this.#pick(windows, 0) }),
      ...(labels && previous && { previous: this.#pick(windows, -1) }),
      ...(weights && {
        weights: Float32Array.from(
          windows,
          (window) => weightOf(weights, view.labelledFrame(window)),
        ),
      }),
    };
  }

  close(): void {
    for (const [, reader] of this.#keys) reader.close();
  }

  async #keysOf(windows: Uint32Array, slot: number) {
    const view = this.#view;
    const anchors = Array.from(windows, (window): Anchor => {
      const segment = view.segments[view.segmentOf(window)]!;
      const last = view.startOf(window) + view.size - 1;
      return { last, lastReal: Math.min(last, segment.end - 1), segment };
    });
    const found: Record<string, Awaited<ReturnType<KeyRowReader["of"]>>> = {};
    for (const [name, reader] of this.#keys) found[name] = await reader.of(anchors, slot);
    return found;
  }

  #pick(windows: Uint32Array, shift: number): NumericArray {
    const width = elementCount(this.#told.labels!.shape.slice(1));
    const all = this.#labels!;
    checkLength(all, this.#view.base.shape[0]! * width, "labels");
    const picked = new (all.constructor as new (length: number) => NumericArray)(
      windows.length * width,
    );
    windows.forEach((window, i) => {
      const from = this.#view.labelledFrame(window, shift) * width;
      (picked as Float32Array).set(all.subarray(from, from + width) as Float32Array, i * width);
    });
    return picked;
  }
}

function weightOf(weights: ArrayLike<number>, frame: number): number {
  const weight = weights[frame]!;
  if (Number.isFinite(Math.fround(weight))) return weight;
  throw new RangeError(
    `Cannot weigh windows: the weight of frame ${frame} is ${weight}, wanted a number of at most 3.4e38`,
  );
}
