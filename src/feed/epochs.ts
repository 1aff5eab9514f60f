/**
 * Epochs: which windows come, in which order, and a checksum by which an order is known again.
 *
 * @module
 */

import type { WindowView } from "../array/window_view.ts";
import { crc32c } from "../math/crc32c.ts";
import type { Order, Shuffle } from "./order.ts";
import { orderOf } from "./order.ts";
import type { Sampler } from "./samplers.ts";

/** One epoch. */
export interface Epoch {
  number: number;
  /** How windows are shuffled; where a sampler drew them, their places among those drawn. */
  order: Order;
  /** Windows it has, those that come more than once counted as often. */
  length: number;
  windowAt(position: number): number;
  /** Of all that decides which windows come when. */
  checksum: number;
}

/** Host bytes of two epochs: one may be read for while the one before is not over. */
export function epochBytes(windows: number, sampler: Sampler | undefined): number {
  return sampler ? 2 * 4 * sampler.most(windows) : 0;
}

/**
 * Makes an epoch.
 *
 * @throws {RangeError} If the sampler draws nothing, or a window that is not there.
 */
export function createEpoch(
  view: WindowView,
  shuffle: Shuffle,
  sampler: Sampler | undefined,
  number: number,
): Epoch {
  const windows = view.shape[0]!;
  const drawn = sampler?.draw(windows, number);
  if (drawn) checkDrawn(drawn, windows, sampler!, number);
  const length = drawn ? drawn.length : windows;
  const order = orderOf(shuffle, length, number);
  const { size, stride, segments } = view;
  const bounds = new Float64Array(segments.flatMap(({ start, end }) => [start, end]));
  const settings = JSON.stringify([
    ...[windows, size, stride, shuffle, sampler?.name],
    crc32c(new Uint8Array(bounds.buffer)),
    drawn && crc32c(new Uint8Array(drawn.buffer, drawn.byteOffset, drawn.byteLength)),
  ]);
  return {
    number,
    order,
    length,
    windowAt: drawn ? (position) => drawn[order.at(position)]! : order.at,
    checksum: crc32c(new TextEncoder().encode(settings)),
  };
}

function checkDrawn(drawn: Uint32Array, windows: number, { name }: Sampler, epoch: number): void {
  if (drawn.length === 0) {
    throw new RangeError(`Cannot make batches: the sampler (${name}) drew none in epoch ${epoch}`);
  }
  const bad = drawn.find((window) => window >= windows);
  if (bad !== undefined) {
    throw new RangeError(
      `Cannot make batches: the sampler (${name}) drew window ${bad}, there are ${windows}, ` +
        "numbered from 0",
    );
  }
}
