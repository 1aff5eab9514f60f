/**
 * A recording, checked before anything is worked out: one clock in seconds, stamps that are fine enough,
 * arrays that mean what they seem to.
 *
 * @module
 */

import { FRACTION_BITS, ulpOf } from "../math/ulp.ts";
import type { Clock } from "./clocks.ts";
import { checkClocks, readable } from "./clocks.ts";
import { ROW_SHARE } from "./time_grid.ts";

/** The animal's position as it comes in. */
export interface PositionInput {
  /** [samples] ascending, equal times allowed. */
  times: ArrayLike<number>;
  /** [samples] or [samples, 2] in C order, any unit of length; NaN where unknown. */
  values: ArrayLike<number>;
  /** Shape of the array that `values` come from, so that one that lies on its side is noticed. */
  shape?: readonly number[];
}

/** Spikes as one flat pair of arrays, or as one list of times per unit; in any order. */
export type SpikeInput =
  | { times: ArrayLike<number>; units: ArrayLike<number> }
  | readonly ArrayLike<number>[];

/** Spikes with features, whose cells are not known; in any order. */
export interface MarkInput {
  times: ArrayLike<number>;
  /** [spikes] electrode of each. */
  electrodes: ArrayLike<number>;
  /** [spikes, features] in C order: heights on the wires of a tetrode, say. */
  features: ArrayLike<number>;
}

/** A recording whose arrays have been checked. Times in seconds. */
export interface Recording extends RecordedSpikes {
  /** `times` [samples] f64 ascending; `values` [samples, dimensions] f64, NaN where unknown. */
  position: { times: Float64Array; values: Float64Array };
  dimensions: 1 | 2;
}

/** What was recorded of spikes. Times in seconds. */
export interface RecordedSpikes {
  /** [spikes], ascending; units from 0 to `unitCount`. */
  spikes: {
    times: Float64Array;
    units: Uint32Array;
    /** [spikes] entry of each in the input, where they were not ascending. */
    order?: Uint32Array;
  };
  unitCount: number;
  /** [units] What each unit is called in the input. */
  unitIds: readonly number[];
  /** Distance between spike times that can be told apart, as they were stored, seconds. */
  spikePrecision: number;
  /** What is odd, and what was done about it: sentences for people. */
  warnings: string[];
}

/** Place fields of more units fit no memory. */
const MAX_UNITS = 2 ** 16;
/** Roundings that may add up in a difference of times. */
const ROUNDINGS = 4;

/**
 * Checks a recording and brings it into flat f64 arrays, in seconds. Inputs are copied, never kept.
 *
 * Spikes that are not ascending are sorted. Units that have spikes are numbered from 0 in the order of
 * their ids; of a list per unit, all are.
 *
 * @throws {RangeError} If shapes disagree, times are not finite or position times not ascending, a
 * position is infinite, units are no whole numbers from 0, stamps are too coarse, or spikes and position
 * are on different clocks, as far as can be told; the message names the entry, or both ranges and a remedy.
 */
export function validateRecording(
  position: PositionInput,
  spikes: SpikeInput,
  clock: Clock = {},
): Recording {
  const tracked = validatePosition(position, clock);
  const { times } = tracked.position;
  const { stored, ...own } = readSpikes(spikes, clock);
  own.warnings.push(
    ...checkClocks({ position: times, spikes: own.spikes.times, stored }, clock),
  );
  return { ...tracked, ...own };
}

/**
 * Checks where an animal was, and brings it into flat f64 arrays, in seconds.
 *
 * @throws {RangeError} As {@link validateRecording} does.
 */
export function validatePosition(
  position: PositionInput,
  clock: Clock = {},
): Pick<Recording, "position" | "dimensions"> {
  const { timeRate = 1 } = checkedClock(clock);
  const dimensions = dimensionsOf(position);
  const times = Float64Array.from(position.times, (time) => time / timeRate);
  checkFinite(times, "position times");
  checkAscending(times);
  checkPositions(position.values, dimensions);
  checkStamps(position.times, times, timeRate);
  return { position: { times, values: Float64Array.from(position.values) }, dimensions };
}

/**
 * Checks spikes of which nothing but their times and units is known, as {@link validateRecording} does.
 *
 * @throws {RangeError} As that does.
 */
export function validateSpikes(spikes: SpikeInput, clock: Clock = {}): RecordedSpikes {
  checkedClock(clock);
  const { stored: _, ...own } = readSpikes(spikes, clock);
  return own;
}

/** Spikes as they are numbered elsewhere, as by the units of an encoding. */
export function numberedAs<Spikes extends RecordedSpikes>(
  recorded: Spikes,
  unitIds: readonly number[],
): Spikes {
  const numbers = new Map(unitIds.map((id, unit) => [id, unit]));
  const units = recorded.unitIds.map((id) => {
    const unit = numbers.get(id);
    if (unit !== undefined) return unit;
    const [first, last] = [Math.min(...unitIds), Math.max(...unitIds)];
    throw new RangeError(
      `Cannot use the spikes: unit ${id} is not among the ${unitIds.length} that were encoded, wanted ` +
        `some of those from ${first} to ${last}`,
    );
  });
  return {
    ...recorded,
    ...{ unitIds, unitCount: unitIds.length },
    spikes: {
      ...recorded.spikes,
      units: recorded.spikes.units.map((unit) => units[unit]!),
    },
  };
}

function checkedClock(clock: Clock): Clock {
  const { timeRate, spikeRate, timeOffset = 0 } = clock;
  for (const [name, rate] of Object.entries({ timeRate, spikeRate })) {
    if (rate !== undefined && !(rate > 0 && Number.isFinite(rate))) {
      throw new RangeError(
        `Cannot use the recording: ${name} is ${rate} Hz, wanted a positive number`,
      );
    }
  }
  if (!Number.isFinite(timeOffset)) {
    throw new RangeError(
      `Cannot use the recording: timeOffset is ${timeOffset} s, wanted a finite number`,
    );
  }
  return clock;
}

/** Spikes, checked, and their times as they came in. */
function readSpikes(
  spikes: SpikeInput,
  { timeRate = 1, spikeRate = timeRate, timeOffset = 0 }: Clock,
): RecordedSpikes & { stored: ArrayLike<number> } {
  const flat = "times" in spikes ? flatSpikes(spikes) : mergeUnits(spikes);
  const seconds = Float64Array.from(flat.times, (time) => time / spikeRate + timeOffset);
  checkFinite(seconds, "spike times");
  const { units, unitIds } = numberUnits(flat.units, "times" in spikes ? undefined : spikes.length);
  const sorted = sortSpikes(seconds, units);
  return {
    stored: flat.times,
    spikes: sorted,
    unitCount: unitIds.length,
    unitIds,
    spikePrecision: Math.max(
      stampPrecision("times" in spikes ? [spikes.times] : spikes) / spikeRate,
      ulpOf(largest(sorted.times)),
    ),
    warnings: flat.ascending ? [] : ["spike times were not ascending, and were sorted"],
  };
}

/**
 * Refuses spikes whose times cannot be told apart as finely as rows of so many seconds ask for.
 *
 * @throws {RangeError} If four roundings are more than 1 % of a row.
 */
export function checkSpikePrecision(
  { spikes, spikePrecision }: RecordedSpikes,
  seconds: number,
): void {
  if (ROUNDINGS * spikePrecision <= ROW_SHARE * seconds) return;
  throw new RangeError(
    `Cannot plan a decode: spike times near ${
      largest(spikes.times)
    } s are stored ${spikePrecision} s ` +
      `apart, which is too coarse for rows of ${seconds} s, wanted at most ` +
      `${
        ROW_SHARE * seconds / ROUNDINGS
      } s; take times in 64 bits from where they were recorded, or ` +
      `rows of at least ${ROUNDINGS * spikePrecision / ROW_SHARE} s`,
  );
}

function dimensionsOf({ times, values, shape }: PositionInput): 1 | 2 {
  const samples = times.length;
  if (samples < 2) {
    throw new RangeError(`Cannot use the position: it has ${samples} samples, wanted at least 2`);
  }
  const dimensions = values.length / samples;
  if (dimensions !== 1 && dimensions !== 2) {
    throw new RangeError(
      `Cannot use the position: ${samples} times and ${values.length} values, wanted ` +
        `${samples} values (one dimension) or ${2 * samples} (two)`,
    );
  }
  if (shape) {
    const [rows, columns = 1, ...more] = shape;
    if (rows !== samples || columns !== dimensions || more.length > 0) {
      const remedy = rows === dimensions && columns === samples
        ? "; transpose it (position.T)"
        : "";
      throw new RangeError(
        `Cannot use the position: its shape is [${
          shape.join(", ")
        }] for ${samples} times, wanted ` +
          `[${samples}] or [${samples}, 2]${remedy}`,
      );
    }
  }
  return dimensions;
}

function checkFinite(times: Float64Array, what: string): void {
  const entry = times.findIndex((time) => !Number.isFinite(time));
  if (entry < 0) return;
  throw new RangeError(
    `Cannot use the ${what}: entry ${entry} is ${times[entry]}, wanted finite seconds`,
  );
}

function checkAscending(times: Float64Array): void {
  const entry = times.findIndex((time, i) => i > 0 && time < times[i - 1]!);
  if (entry < 0) return;
  throw new RangeError(
    `Cannot use the position times: entry ${entry} is ${times[entry]} s after ${
      times[entry - 1]
    } s, ` +
      "wanted ascending times",
  );
}

function checkPositions(values: ArrayLike<number>, dimensions: number): void {
  for (let i = 0; i < values.length; i++) {
    if (Math.abs(values[i]!) !== Infinity) continue;
    throw new RangeError(
      `Cannot use the position: sample ${Math.floor(i / dimensions)} is ${
        values[i]
      }, wanted numbers, ` +
        "or NaN where it is unknown",
    );
  }
}

/** Position is interpolated between stamps: they must be fine enough for their own intervals. */
function checkStamps(stored: ArrayLike<number>, times: Float64Array, rate: number): void {
  const [first, last] = [times[0]!, times.at(-1)!];
  const interval = (last - first) / (times.length - 1);
  const coarse = stampPrecision([stored]) / rate;
  const precision = Math.max(coarse, ulpOf(largest(times)));
  if (interval > 0 && ROUNDINGS * precision <= ROW_SHARE * interval) return;
  const stamps = `stored ${precision} s apart`;
  const [is, wanted] = interval > 0
    ? [
      `are ${readable(interval)} s apart on average, and ${stamps}`,
      `them stored at most ${readable(ROW_SHARE * interval / ROUNDINGS)} s apart`,
    ]
    : [`are all ${first} s${coarse > 0 ? `, and ${stamps}` : ""}`, "ascending times"];
  throw new RangeError(
    `Cannot use the position times: they ${is}, wanted ${wanted}; take times in 64 bits from where ` +
      "they were recorded, or count them from a nearer origin",
  );
}

/** Distance of neighbours among stored numbers of such size; whole numbers are exact. */
function stampPrecision(lists: readonly ArrayLike<number>[]): number {
  let precision = 0;
  for (const list of lists) {
    const bits = FRACTION_BITS[floatTypeOf(list)];
    if (bits === FRACTION_BITS.float64) continue;
    precision = Math.max(precision, ulpOf(largest(list), bits));
  }
  return precision;
}

function floatTypeOf(list: ArrayLike<number>): keyof typeof FRACTION_BITS {
  if (list instanceof Float32Array) return "float32";
  // not in every runtime
  return Object.prototype.toString.call(list) === "[object Float16Array]" ? "float16" : "float64";
}

function largest(times: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < times.length; i++) most = Math.max(most, Math.abs(times[i]!));
  return most;
}

/** Spikes of all units, and whether they were ascending: those of each unit, if they came in lists. */
interface FlatSpikes {
  times: ArrayLike<number>;
  units: ArrayLike<number>;
  ascending: boolean;
}

function flatSpikes(spikes: { times: ArrayLike<number>; units: ArrayLike<number> }): FlatSpikes {
  if (spikes.times.length !== spikes.units.length) {
    throw new RangeError(
      `Cannot use the spikes: ${spikes.times.length} times and ${spikes.units.length} units, wanted ` +
        "one unit per time",
    );
  }
  return { ...spikes, ascending: isAscending(spikes.times) };
}

function mergeUnits(lists: readonly ArrayLike<number>[]): FlatSpikes {
  const count = lists.reduce((sum, list) => sum + list.length, 0);
  const times = new Float64Array(count);
  const units = new Float64Array(count);
  let next = 0;
  lists.forEach((list, unit) => {
    times.set(list, next);
    units.fill(unit, next, next + list.length);
    next += list.length;
  });
  return { times, units, ascending: lists.every(isAscending) };
}

/** Numbers units from 0: ids may be anything from 0, and leave out what they like. */
function numberUnits(
  ids: ArrayLike<number>,
  lists: number | undefined,
): { units: Uint32Array; unitIds: number[] } {
  const seen = new Set<number>();
  for (let spike = 0; spike < ids.length; spike++) {
    const id = ids[spike]!;
    if (!(Number.isSafeInteger(id) && id >= 0)) {
      throw new RangeError(
        `Cannot use the spikes: spike ${spike} has unit ${id}, wanted a whole number from 0`,
      );
    }
    seen.add(id);
  }
  const unitIds = lists === undefined
    ? [...seen].sort((a, b) => a - b)
    : Array.from({ length: lists }, (_, unit) => unit);
  if (unitIds.length === 0) {
    throw new RangeError("Cannot use the spikes: there are no units, wanted at least one");
  }
  if (unitIds.length > MAX_UNITS) {
    throw new RangeError(
      `Cannot use the spikes: they have ${unitIds.length} units, at most ${MAX_UNITS} are supported; ` +
        "are units and times swapped?",
    );
  }
  const numbers = new Map(unitIds.map((id, unit) => [id, unit]));
  return { units: Uint32Array.from(ids, (id) => numbers.get(id)!), unitIds };
}

function sortSpikes(times: Float64Array, units: Uint32Array): Recording["spikes"] {
  if (isAscending(times)) return { times, units };
  const order = Uint32Array.from(times.keys()).sort((a, b) => times[a]! - times[b]! || a - b);
  return {
    times: Float64Array.from(order, (spike) => times[spike]!),
    units: Uint32Array.from(order, (spike) => units[spike]!),
    order,
  };
}

function isAscending(times: ArrayLike<number>): boolean {
  for (let i = 1; i < times.length; i++) if (times[i]! < times[i - 1]!) return false;
  return true;
}
