/**
 * The rows of a decode and the spikes of each.
 *
 * @module
 */

import { ulpOf } from "../math/ulp.ts";

/**
 * What a row is. `edges`: a bin between two edges, left-closed, the last one closed at both ends, whose
 * time is its centre. `timestamps`: a point in time that owns what follows it up to the next; the last
 * row then owns nothing, as in non_local_detector until September 2026.
 */
export type TimeGridKind = "edges" | "timestamps";

/** Rows at an even rate. Edge i, or stamp i, lies at `start + i / rate` seconds. */
export interface TimeGrid {
  kind: TimeGridKind;
  start: number;
  /** Rows a second. */
  rate: number;
  rows: number;
}

/** What a time grid is made from. Seconds, and rows a second. */
export interface TimeGridOptions {
  kind?: TimeGridKind;
  start: number;
  stop: number;
  rate?: number;
  /** Seconds a row: another way to say `rate`. */
  step?: number;
}

/** Spikes sorted by row. */
export interface SpikeBins {
  /** [rows + 1] first spike of each row in `units`. */
  rowStarts: Uint32Array;
  /** [spikes] unit of each kept spike, in order of time. */
  units: Uint32Array;
  /** Spikes outside the grid. */
  dropped: number;
  /**
   * [rows] 1 where a row carries no evidence: neither its spikes, which `units` leaves out, nor their
   * absence says anything. Not given where every row does.
   */
  missing?: Uint8Array;
}

/** A stretch of time, seconds; one that ends in an infinity has no bound there. */
export type Interval = readonly [start: number, stop: number];

/** More rows than a u32 can count, and than anyone has recorded. */
const MAX_ROWS = 2 ** 31;
export const DEFAULT_RATE = 500;
/** Roundings that are forgiven where a number should be whole, or two should be equal. */
const ROUNDINGS = 4;
/** Share of a row that roundings of times may reach: beyond, rows would have different lengths. */
export const ROW_SHARE = 0.01;

/** Rows a second of a step in seconds: whole where it is meant to be, as 500 for 0.002. */
export function rateOfStep(step: number): number {
  const rate = 1 / step;
  const whole = Math.round(rate);
  return Math.abs(rate - whole) <= ROUNDINGS * ulpOf(rate) ? whole : rate;
}

/**
 * Lays rows over [start, stop]: as many whole ones as there is room for, and never a part of one. Of the
 * kind `timestamps`, one more: both ends have a stamp.
 *
 * @throws {RangeError} If an argument is not finite, rate or step not positive, both are given, no row has
 * room, there are more than 2^31, or f64 cannot tell times of that size apart well enough.
 */
export function timeGrid({ kind = "edges", start, stop, rate, step }: TimeGridOptions): TimeGrid {
  if (!(Number.isFinite(start) && Number.isFinite(stop) && stop >= start)) {
    throw new RangeError(
      `Cannot lay a time grid: start is ${start} s and stop ${stop} s, wanted start <= stop`,
    );
  }
  if (kind !== "edges" && kind !== "timestamps") {
    throw new RangeError(
      `Cannot lay a time grid: it is "${kind}", wanted "edges" or "timestamps"`,
    );
  }
  if (rate !== undefined && step !== undefined) {
    throw new RangeError(
      `Cannot lay a time grid: rate is ${rate} Hz and step ${step} s, wanted one of them`,
    );
  }
  if (step !== undefined && !(step > 0 && Number.isFinite(step))) {
    throw new RangeError(`Cannot lay a time grid: step is ${step} s, wanted a positive number`);
  }
  const perSecond = rate ?? (step === undefined ? DEFAULT_RATE : rateOfStep(step));
  if (!(perSecond > 0 && Number.isFinite(perSecond))) {
    throw new RangeError(
      `Cannot lay a time grid: rate is ${perSecond} Hz, wanted a positive number`,
    );
  }
  const ulp = ulpOf(Math.max(Math.abs(start), Math.abs(stop)));
  if (ROUNDINGS * ulp > ROW_SHARE / perSecond) {
    throw new RangeError(
      `Cannot lay a time grid: times near ${stop} s are ${ulp} s apart, which is too coarse for rows ` +
        `of ${1 / perSecond} s, wanted at most ${
          ROW_SHARE / ROUNDINGS / perSecond
        } s; count time ` +
        "from a nearer origin",
    );
  }
  const length = (stop - start) * perSecond;
  const tolerance = ROUNDINGS * (ulp * perSecond + Number.EPSILON * length);
  const rows = Math.floor(length + tolerance) + (kind === "timestamps" ? 1 : 0);
  if (rows > MAX_ROWS) {
    throw new RangeError(
      `Cannot lay a time grid: ${rows} rows, at most ${MAX_ROWS} are supported; use a larger step`,
    );
  }
  if (rows < 1) {
    throw new RangeError(
      `Cannot lay a time grid: ${start} to ${stop} s has no room for a row of ${
        1 / perSecond
      } s, ` +
        "wanted at least one",
    );
  }
  return { kind, start, rate: perSecond, rows };
}

/** Edge `index` of a grid, 0 to its rows; or its stamp. Divided: a product of steps drifts off 1 / 500. */
export function edgeOf({ start, rate }: TimeGrid, index: number): number {
  return start + index / rate;
}

/** Seconds a row lasts. */
export function rowSeconds({ rate }: TimeGrid): number {
  return 1 / rate;
}

/** The time a row stands for: the centre of its bin, or its stamp. */
export function rowTime(grid: TimeGrid, row: number): number {
  const start = edgeOf(grid, row);
  return grid.kind === "timestamps" ? start : start + (edgeOf(grid, row + 1) - start) / 2;
}

/** First and last time of a grid. */
export function gridRange(grid: TimeGrid): [start: number, stop: number] {
  return [grid.start, edgeOf(grid, grid.kind === "timestamps" ? grid.rows - 1 : grid.rows)];
}

/**
 * Puts every spike into a row, once for the whole grid, so that no chunk can lose any. A bin has
 * `edge(i) <= time < edge(i + 1)`, the last one its right edge too; spikes outside are dropped and counted.
 *
 * Of the kind `timestamps` a spike belongs to the last stamp at or before it, and the last stamp never
 * receives one, but where it is the only one (`digitize(spikes, time[1:-1])`).
 *
 * @param spikes `times` ascending, seconds; `units` of the same length.
 * @param missing [rows] 1 for rows that carry no evidence; their spikes are left out, and not counted as
 * dropped.
 */
export function binSpikes(
  spikes: { times: ArrayLike<number>; units: ArrayLike<number> },
  grid: TimeGrid,
  missing?: Uint8Array,
): SpikeBins {
  const { rows } = grid;
  const [start, stop] = gridRange(grid);
  // the last row that can receive a spike
  const last = grid.kind === "timestamps" ? Math.max(0, rows - 2) : rows - 1;
  const count = spikes.times.length;
  const rowStarts = new Uint32Array(rows + 1);
  const units = new Uint32Array(count);
  let kept = 0;
  let dropped = 0;
  let row = 0;
  for (let spike = 0; spike < count; spike++) {
    const time = spikes.times[spike]!;
    if (time < start || time > stop) {
      dropped++;
      continue;
    }
    while (row < last && edgeOf(grid, row + 1) <= time) row++;
    if (missing?.[row]) continue;
    rowStarts[row + 1]!++;
    units[kept++] = spikes.units[spike]!;
  }
  for (let i = 0; i < rows; i++) rowStarts[i + 1]! += rowStarts[i]!;
  return { rowStarts, units: units.slice(0, kept), dropped, ...(missing && { missing }) };
}

/**
 * Rows that carry no evidence: those that own any time of a span, and those that are named.
 *
 * @param spans [start, stop) in seconds, in any order.
 * @param named [rows] true or not 0 where a row is missing.
 * @returns [rows], 1 where a row is missing; `undefined` where none is.
 * @throws {RangeError} If `named` has another length than the grid has rows.
 */
export function missingRows(
  grid: TimeGrid,
  spans: readonly Interval[],
  named?: ArrayLike<number | boolean>,
): Uint8Array | undefined {
  const { rows, rate, start } = grid;
  if (named && named.length !== rows) {
    throw new RangeError(
      `Cannot plan a decode: isMissing has ${named.length} entries, wanted one for each of ` +
        `${rows} rows`,
    );
  }
  const missing = Uint8Array.from({ length: rows }, (_, row) => named?.[row] ? 1 : 0);
  const [first, stop] = gridRange(grid);
  const rounding = ROUNDINGS * ulpOf(Math.max(Math.abs(first), Math.abs(stop)));
  const within = (row: number) => Math.min(rows - 1, Math.max(0, row));
  for (const [from, to] of spans) {
    const end = within(Math.ceil((to - start) * rate) + 1);
    for (let row = within(Math.floor((from - start) * rate) - 1); row <= end; row++) {
      // an end that only rounding tells apart from an edge touches nothing
      const begins = edgeOf(grid, row) < to - rounding;
      const ends = row === rows - 1 ? stop >= from : edgeOf(grid, row + 1) > from + rounding;
      if (begins && ends) missing[row] = 1;
    }
  }
  return missing.includes(1) ? missing : undefined;
}
