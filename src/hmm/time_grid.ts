/**
 * The rows of a decode and the spikes of each.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { FRACTION_BITS, ulpOf } from "../math/ulp.ts";

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
  /** Rows a second; of given edges on average. */
  rate: number;
  rows: number;
  /** [rows + 1] Edges as they were given, seconds; a little uneven perhaps. */
  edges?: Float64Array;
}

/** A grid as identities and attributes tell of it: its edges, where they are given, are an array beside. */
export function timeFacts({ edges, ...time }: TimeGrid): Record<string, unknown> {
  return { ...time, ...(edges && { edges: "given" }) };
}

export function timeArrays({ edges }: TimeGrid): Float64Array[] {
  return edges ? [edges] : [];
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

/** Share of a row by which rows between given edges may be longer or shorter than the mean. */
const UNEVEN_SHARE = 1e-3;
/** Share beyond which that is worth a word: likelihoods take all rows to last as long as the mean. */
const WORTH_A_WORD = 1e-6;

/**
 * The grid of given edges.
 *
 * @param given [rows + 1], seconds.
 * @throws {RangeError} If they are not finite and ascending, too coarsely stored, or not even within 0.1 % of a row.
 */
function gridFromTimeEdges(given: ArrayLike<number>): TimeGrid {
  const refuse = (is: string, wanted: string): never => {
    throw new RangeError(`Cannot lay a time grid: ${is}, wanted ${wanted}`);
  };
  const edges = Float64Array.from(given);
  const rows = edges.length - 1;
  if (rows < 1) refuse(`timeEdges has ${edges.length} entries`, "at least 2, the ends of a row");
  const wrong = edges.findIndex((edge) => !Number.isFinite(edge));
  if (wrong >= 0) refuse(`timeEdges[${wrong}] is ${edges[wrong]}`, "finite seconds");
  const [first, last] = [edges[0]!, edges[rows]!];
  const mean = (last - first) / rows;
  let [shortest, longest, at] = [Infinity, -Infinity, 0];
  for (let row = 0; row < rows; row++) {
    const seconds = edges[row + 1]! - edges[row]!;
    if (!(seconds > 0)) {
      refuse(
        `timeEdges[${row + 1}] is ${edges[row + 1]} s after ${edges[row]} s`,
        "ascending times",
      );
    }
    if (Math.abs(seconds - mean) > Math.abs(edges[at + 1]! - edges[at]! - mean)) at = row;
    [shortest, longest] = [Math.min(shortest, seconds), Math.max(longest, seconds)];
  }
  const largest = Math.max(Math.abs(first), Math.abs(last));
  const bits = given instanceof Float32Array ? FRACTION_BITS.float32 : FRACTION_BITS.float64;
  const ulp = ulpOf(largest, bits);
  if (ROUNDINGS * ulp > ROW_SHARE * shortest) {
    refuse(
      `timeEdges near ${last} s are stored ${ulp} s apart, which is too coarse for rows of ${shortest} s`,
      `at most ${
        ROW_SHARE * shortest / ROUNDINGS
      } s; take them in 64 bits, or count from a nearer origin`,
    );
  }
  const uneven = Math.max(longest - mean, mean - shortest);
  if (uneven > Math.max(ROUNDINGS * ulp, UNEVEN_SHARE * mean)) {
    refuse(
      `rows between timeEdges last from ${shortest} to ${longest} s, as row ${at} does`,
      `rows of one length, within ${UNEVEN_SHARE * mean} s of ${mean} s`,
    );
  }
  return { kind: "edges", start: first, rate: 1 / mean, rows, edges };
}

/** The grid of given edges, beside which nothing else may say which rows there are. */
export function givenGrid(edges: ArrayLike<number>, time?: object, kind?: TimeGridKind): TimeGrid {
  if (time || kind === "timestamps") {
    throw new RangeError(
      `Cannot lay a time grid: timeEdges say which rows there are, and ${
        time ? "time" : "timeGrid"
      } does, too; wanted one of them`,
    );
  }
  return gridFromTimeEdges(edges);
}

/** What is odd about given edges: sentences for people. */
export function unevenWarnings({ edges, rate }: TimeGrid): string[] {
  if (!edges) return [];
  const rounding = ROUNDINGS * ulpOf(Math.max(Math.abs(edges[0]!), Math.abs(edges.at(-1)!))) * rate;
  let most = 0;
  for (let row = 0; row + 1 < edges.length; row++) {
    most = Math.max(most, Math.abs((edges[row + 1]! - edges[row]!) * rate - 1));
  }
  return most <= Math.max(WORTH_A_WORD, rounding) ? [] : [
    `rows are uneven by up to ${
      Number((100 * most).toPrecision(2))
    } %: likelihoods take each to last ` +
    `${Number((1 / rate).toPrecision(9))} s`,
  ];
}

/**
 * Edge `index` of a grid, 0 to its rows; or its stamp. Divided where it is not given: a product of steps drifts off
 * 1 / 500.
 */
export function edgeOf({ start, rate, edges }: TimeGrid, index: number): number {
  return edges ? edges[index]! : start + index / rate;
}

/** The last row that begins at or before a time, 0 at least; of even edges off by one perhaps. */
function rowAt({ start, rate, rows, edges }: TimeGrid, time: number): number {
  const within = (row: number) => Math.min(rows - 1, Math.max(0, row));
  if (!edges) return within(Math.floor((time - start) * rate));
  let [low, high] = [0, rows];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (edges[middle]! <= time) low = middle + 1;
    else high = middle;
  }
  return within(low - 1);
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

/**
 * A value for each row at any time: on a straight line between the times of rows, the outermost held to the ends of the
 * grid, and 0 outside.
 */
export function betweenRows(grid: TimeGrid, values: ArrayLike<number>, time: number): number {
  const [first, last] = gridRange(grid);
  if (!(time >= first && time <= last)) return 0;
  let [low, high] = [0, grid.rows - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rowTime(grid, middle) <= time) low = middle;
    else high = middle - 1;
  }
  if (low === grid.rows - 1) return values[low]!;
  const [from, to] = [rowTime(grid, low), rowTime(grid, low + 1)];
  const share = Math.max(0, (time - from) / (to - from));
  return values[low]! + share * (values[low + 1]! - values[low]!);
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
  const { rows } = grid;
  if (named && named.length !== rows) {
    throw new RangeError(
      `Cannot plan a decode: isMissing has ${named.length} entries, wanted one for each of ` +
        `${rows} rows`,
    );
  }
  const missing = Uint8Array.from({ length: rows }, (_, row) => named?.[row] ? 1 : 0);
  const [first, stop] = gridRange(grid);
  const rounding = ROUNDINGS * ulpOf(Math.max(Math.abs(first), Math.abs(stop)));
  for (const [from, to] of spans) {
    // one more at each side: rounding may have it
    const end = Math.min(rows - 1, rowAt(grid, to) + 2);
    for (let row = Math.max(0, rowAt(grid, from) - 1); row <= end; row++) {
      // an end that only rounding tells apart from an edge touches nothing
      const begins = edgeOf(grid, row) < to - rounding;
      const ends = row === rows - 1 ? stop >= from : edgeOf(grid, row + 1) > from + rounding;
      if (begins && ends) missing[row] = 1;
    }
  }
  return missing.includes(1) ? missing : undefined;
}

/** When points in time that own what follows end: at the next one, and the last, which owns nothing, at once. */
export function following(time: ChunkedArray<Float64Array>): ChunkedArray<Float64Array> {
  const [rows] = time.shape as [number];
  return {
    ...{ shape: [rows], dtype: "float64", dims: time.dims, chunkRows: time.chunkRows },
    async read(start, end, options) {
      const times = await time.read(start, Math.min(rows, end + 1), options);
      return Float64Array.from({ length: end - start }, (_, i) => times[i + 1] ?? times[i]!);
    },
    close: () => Promise.resolve(),
  };
}
