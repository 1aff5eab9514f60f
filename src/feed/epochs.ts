/**
 * Epochs: which windows come, in which order, and a checksum by which an order is known again.
 *
 * @module
 */

import type { WindowView } from "../array/window_view.ts";
import { crc32c } from "../math/crc32c.ts";
import { atOnce, inTurns } from "../turns.ts";
import type { Order, Shuffle } from "./order.ts";
import { fullShuffle, orderOf } from "./order.ts";
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

/** What a sampler drew for an epoch. */
export interface Draw {
  name: string;
  length: number;
  /** What stands at a place among those drawn. */
  windowAt(place: number): number;
  checksum: number;
  /** Whether it stands for what is not drawn beforehand: as many windows, spread evenly over all. */
  isEstimate: boolean;
}

/** Host bytes of an epoch's windows and those of the one before, and of drawing them. */
export function epochBytes(windows: number, sampler: Sampler | undefined): number {
  return sampler ? 2 * 4 * sampler.most(windows) + 8 * windows : 0;
}

/** @throws {RangeError} If a sampler promises no number of windows. */
export function checkSampler(sampler: Sampler, windows: number): void {
  const { name } = sampler;
  const promised = sampler.most(windows);
  if (Number.isSafeInteger(promised) && promised >= 0) return;
  throw new RangeError(
    `Cannot make batches: the sampler (${name}) draws at most ${promised} windows, wanted a whole number`,
  );
}

/**
 * Draws the windows of an epoch, and gives others their turns meanwhile.
 *
 * @throws {TypeError} If the sampler draws no windows.
 * @throws {RangeError} If it draws none, one that is not there, or more than it said.
 */
export async function drawEpoch(
  sampler: Sampler | undefined,
  windows: number,
  epoch: number,
  signal: AbortSignal,
): Promise<Draw | undefined> {
  if (!sampler) return undefined;
  const drawn = sampler.steps
    ? await inTurns(sampler.steps(windows, epoch), signal)
    : await sampler.draw(windows, epoch);
  return await inTurns(checkDraw(drawn, windows, sampler, epoch), signal);
}

/** Windows that are looked at and drawn at once: some tens of milliseconds. */
const MOST_AT_ONCE = 2 ** 20;

/**
 * An epoch for those who want to know beforehand: as it is drawn where that does not take long, otherwise
 * as many windows as it has in the mean, or at most, spread evenly over all.
 */
export function foresee(
  sampler: Sampler | undefined,
  windows: number,
  epoch: number,
): Draw | undefined {
  if (!sampler) return undefined;
  const most = sampler.most(windows);
  if (windows + most <= MOST_AT_ONCE) return drawAtOnce(sampler, windows, epoch);
  const { name } = sampler;
  const length = Math.max(1, Math.round(sampler.mean?.(windows) ?? most));
  const windowAt = (place: number) => Math.floor(place * windows / length);
  return { name, length, windowAt, checksum: 0, isEstimate: true };
}

/** How many windows an epoch has. It is drawn to know that, unless all of them have as many. */
export function countDrawn(sampler: Sampler, windows: number, epoch: number): number {
  const most = sampler.most(windows);
  return sampler.mean?.(windows) === most ? most : drawAtOnce(sampler, windows, epoch).length;
}

function drawAtOnce(sampler: Sampler, windows: number, epoch: number): Draw {
  const drawn = sampler.draw(windows, epoch);
  if (drawn instanceof Promise) {
    // whoever makes batches of it sees the failure
    drawn.catch(() => {});
    throw new TypeError(
      `Cannot look ahead: the sampler (${sampler.name}) draws by a promise, wanted one that draws ` +
        "at once",
    );
  }
  return atOnce(checkDraw(drawn, windows, sampler, epoch));
}

/** Windows that are checked at once. */
const STEP = 2 ** 16;

function* checkDraw(
  drawn: unknown,
  windows: number,
  sampler: Sampler,
  epoch: number,
): Generator<undefined, Draw> {
  const { name } = sampler;
  const refuse = (reason: string) => `Cannot make batches: the sampler (${name}) drew ${reason}`;
  if (!(drawn instanceof Uint32Array)) {
    throw new TypeError(refuse(`${describeKind(drawn)} in epoch ${epoch}, wanted a Uint32Array`));
  }
  if (drawn.length === 0) throw new RangeError(refuse(`none in epoch ${epoch}`));
  const most = sampler.most(windows);
  if (drawn.length > most) {
    throw new RangeError(
      refuse(`${drawn.length} windows in epoch ${epoch}, it said at most ${most}`),
    );
  }
  let checksum = 0;
  for (let from = 0; from < drawn.length; from += STEP) {
    yield;
    const some = drawn.subarray(from, from + STEP);
    for (const window of some) {
      if (window < windows) continue;
      throw new RangeError(
        refuse(`window ${window}, there are ${windows}, numbered from 0`),
      );
    }
    checksum = crc32c(new Uint8Array(some.buffer, some.byteOffset, some.byteLength), checksum);
  }
  const windowAt = (place: number) => drawn[place]!;
  return { name, length: drawn.length, windowAt, checksum, isEstimate: false };
}

function describeKind(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return `a value of the kind ${value.constructor?.name ?? "object"}`;
}

/** Makes an epoch. Its checksum is that of all that decides it, however it was written down. */
export function createEpoch(
  view: WindowView,
  shuffle: Shuffle,
  number: number,
  draw: Draw | undefined,
): Epoch {
  const length = draw ? draw.length : view.shape[0]!;
  const order = orderOf(shuffle, length, number);
  const settings = JSON.stringify([
    view.gridChecksum,
    fullShuffle(shuffle),
    draw?.name,
    draw?.checksum,
  ]);
  return {
    number,
    order,
    length,
    windowAt: draw ? (position) => draw.windowAt(order.at(position)) : order.at,
    checksum: crc32c(new TextEncoder().encode(settings)),
  };
}
