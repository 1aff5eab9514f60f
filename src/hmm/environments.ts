/**
 * Decodes position from sorted spikes in several environments, or by several groups of samples: which of them is
 * represented is a discrete state, and where in it a bin.
 *
 * @module
 */

import type { EnvironmentsOptions } from "./decode_options.ts";
import { environmentOptions, environmentsOptions, groupOptions } from "./decode_options.ts";
import type { Environment, Grid } from "./grid.ts";
import type { LogRows } from "./observation/log_likelihoods.ts";
import { poissonObservation, poissonRows } from "./observation/poisson.ts";
import type { Recording } from "./recording.ts";
import { validateRecording } from "./recording.ts";
import { gridOf } from "./recording_grid.ts";
import type { RowSpikes } from "./recording_decoder.ts";
import { RecordingDecoder } from "./recording_decoder.ts";
import type { Encoding } from "./sorted_spikes.ts";
import { encodeSortedSpikes, mergeStamps, rateTable } from "./sorted_spikes.ts";
import { StateBins } from "./state_bins.ts";
import type { StateModel } from "./states.ts";
import type { Interval, TimeGrid } from "./time_grid.ts";
import { binSpikes, rowSeconds } from "./time_grid.ts";

/** What spikes tell of one environment, by the samples of one group. */
export interface EncodedPart {
  environment: string;
  /** Missing where all samples count. */
  group?: string;
  encoding: Encoding;
}

/** What spikes tell of each, and what all of that is made of. */
export interface EncodedParts {
  parts: readonly EncodedPart[];
  /** Sums over parts. */
  exposureSeconds: number;
  encodingSpikes: number;
  intervals: readonly Interval[];
  mergedStamps: number;
}

/**
 * Builds a decoder for sorted spikes in several environments: each has bins and place fields of its own, from the
 * samples in its intervals. Encoding groups are intervals, too: states of different groups in one environment expect
 * the place fields that the samples of theirs leave.
 *
 * Source: `MultiEnvironmentSortedSpikesClassifier` of non_local_detector.
 *
 * @throws {TypeError | RangeError} As `sortedSpikes()` does, and if states are in environments or of groups that there are
 * not, look at where the animal is, or have one bin, or a sample is in two environments.
 */
export function environments(given: EnvironmentsOptions): EnvironmentsDecoder {
  const options = environmentsOptions.check(given);
  const { states } = options;
  checkStates(states);
  const recording = validateRecording(options.position, options.spikes, options);
  const told = named("environments", options.environments, environmentOptions);
  checkApart(recording.position.times, told);
  const groups = named("groups", options.groups ?? [], groupOptions);
  const laid = told.map(({ intervals, name, ...choices }): Environment => {
    const values = placesWithin(recording, intervals);
    return {
      name,
      grid: gridOf({ ...recording, position: { ...recording.position, values } }, choices),
    };
  });
  const grid: Grid = { ...laid[0]!.grid, environments: laid };
  const parts: EncodedPart[] = [];
  states.names.forEach((state, i) => {
    const environment = entry(told, "environment", states.environments?.[i], state);
    const group = states.encodingGroups &&
      entry(groups, "encoding group", states.encodingGroups[i], state);
    if (partOf(parts, environment.name, group?.name) >= 0) return;
    const lists = [environment.intervals, ...group ? [group.intervals] : []];
    const train = [...lists, ...options.train ? [options.train] : []].reduce(common);
    if (train.length === 0) {
      throw new RangeError(
        `Cannot encode: intervals of environment "${environment.name}"${
          group ? `, of group "${group.name}"` : ""
        } and of training have nothing in common, wanted some time`,
      );
    }
    parts.push({
      environment: environment.name,
      ...(group && { group: group.name }),
      encoding: encodeSortedSpikes({
        ...recording,
        grid: laid.find(({ name }) => name === environment.name)!.grid,
        positionStd: options.positionStd,
        train,
        ...(options.intervals && { intervals: options.intervals }),
        ...(options.minSpeed !== undefined && { minSpeed: options.minSpeed }),
      }),
    });
  });
  const encodings = parts.map(({ encoding }) => encoding);
  const sum = (of: (encoding: Encoding) => number) =>
    encodings.reduce((total, encoding) => total + of(encoding), 0);
  return new EnvironmentsDecoder(recording, grid, {
    parts,
    exposureSeconds: sum((own) => own.exposureSeconds),
    encodingSpikes: sum((own) => own.encodingSpikes),
    intervals: encodings[0]!.intervals,
    mergedStamps: encodings[0]!.mergedStamps,
  }, options);
}

/** A decoder of sorted spikes in several environments, ready to plan. Made by {@link environments}. */
export class EnvironmentsDecoder extends RecordingDecoder<EncodedParts> {
  protected spikesOf(time: TimeGrid, missing: Uint8Array | undefined): RowSpikes {
    const { parts } = this.encoding;
    const { states } = this;
    const spikes = binSpikes(this.recording.spikes, time, missing);
    const tables = parts.map(({ encoding }) => rateTable(encoding, rowSeconds(time)));
    const units = this.unitIds.length;
    const widths = tables.map(({ length }) => length / units);
    const bins = Math.max(...widths);
    const kindOf = states.names.map((_, state) =>
      partOf(parts, states.environments![state]!, states.encodingGroups?.[state])
    );
    return {
      ...{ spikes, kindOf },
      observationOf: (lanes, recursion) =>
        poissonObservation(besideEachOther(tables, units, bins), {
          ...{ spikes, time, lanes, recursion, bins },
          kinds: parts.length,
        }),
      logRows: () =>
        rowsByState(
          tables.map((rates, kind) => poissonRows(rates, spikes, widths[kind]!)),
          kindOf,
          new StateBins(this.grid, states),
        ),
      localRows: () => {
        throw new RangeError(
          "Cannot plan a decode: a state is local, wanted none in environments()",
        );
      },
    };
  }
}

/** Rates [units, parts, widest]: those of smaller parts are filled up with one of their own, which no bin reads. */
function besideEachOther(
  tables: readonly Float64Array[],
  units: number,
  widest: number,
): Float64Array {
  const rates = new Float64Array(units * tables.length * widest);
  tables.forEach((own, part) => {
    const width = own.length / units;
    for (let unit = 0; unit < units; unit++) {
      const first = (unit * tables.length + part) * widest;
      rates.fill(own[unit * width]!, first, first + widest);
      rates.set(own.subarray(unit * width, (unit + 1) * width), first);
    }
  });
  return rates;
}

/** Rows of all states' bins, of those of each part. */
function rowsByState(
  parts: readonly LogRows[],
  kindOf: readonly number[],
  bins: StateBins,
): LogRows {
  const columns = bins.count;
  return {
    columns,
    inputs: [...parts.flatMap(({ inputs }) => inputs), Int32Array.from(kindOf)],
    feeds: parts.flatMap(({ feeds }) => feeds),
    hostBytes: parts.reduce((sum, { hostBytes }) => sum + hostBytes, 0),
    readBytes: (rows) =>
      parts.reduce(
        (sum, part) => sum + part.readBytes(rows) + 8 * part.columns * rows,
        8 * columns,
      ),
    async read(start, end, signal, onRow) {
      const found: Float64Array[][] = [];
      for (const part of parts) {
        const own: Float64Array[] = [];
        await part.read(start, end, signal, (values, row, at) => {
          own[row - start] = Float64Array.from(
            { length: part.columns },
            (_, bin) => values[at + bin]!,
          );
        });
        found.push(own);
      }
      for (let row = start; row < end; row++) {
        const logs = new Float64Array(columns);
        kindOf.forEach((kind, state) => logs.set(found[kind]![row - start]!, bins.starts[state]!));
        onRow(logs, row, 0, logs.reduce((most, log) => Math.max(most, log), -Infinity));
      }
    },
  };
}

function partOf(parts: readonly EncodedPart[], environment: string, group: string | undefined) {
  return parts.findIndex((part) => part.environment === environment && part.group === group);
}

function checkStates(states: StateModel): void {
  const refuse = (is: string, wanted: string): never => {
    throw new RangeError(`Cannot make a decoder: ${is}, wanted ${wanted}`);
  };
  if (!states.environments) {
    refuse("states do not say in which environment they are", "environments of them");
  }
  states.names.forEach((name, state) => {
    if (states.oneBin?.[state] || states.local?.[state] || states.noSpike?.[state]) {
      refuse(
        `state "${name}" is local or has one bin`,
        "states over the bins of environments: others are for a single one, without a name",
      );
    }
  });
  if ((states.nonLocalPenalty ?? 0) > 0) {
    refuse("states have a nonLocalPenalty, which is for a single environment", "none");
  }
}

/** What has a name, checked. */
function named<Entry extends { name: string; intervals: readonly Interval[] }>(
  what: string,
  list: ArrayLike<unknown>,
  declared: { check(given: unknown): Entry },
): Entry[] {
  const entries = Array.from(list, (own) => declared.check(own));
  const refuse = (is: string, wanted: string): never => {
    throw new RangeError(`Cannot make a decoder: ${is}, wanted ${wanted}`);
  };
  if (what === "environments" && entries.length === 0) {
    refuse("environments is empty", "at least one");
  }
  const names = entries.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) refuse(`two of ${what} are called "${twice}"`, "names that differ");
  return entries;
}

function entry<Entry extends { name: string }>(
  list: readonly Entry[],
  what: string,
  wanted: string | undefined,
  state: string,
): Entry {
  const found = list.find(({ name }) => name === wanted);
  if (found) return found;
  throw new RangeError(
    `Cannot make a decoder: state "${state}" has ${what} "${wanted}", wanted ${
      list.length > 0
        ? `one of ${list.map(({ name }) => `"${name}"`).join(", ")}`
        : "one that is told"
    }`,
  );
}

/** A place in one would be a bin of the other: neither would say so. */
function checkApart(
  times: Float64Array,
  environments: readonly { name: string; intervals: readonly Interval[] }[],
): void {
  for (const time of times) {
    const [one, other] = environments.filter(({ intervals }) => isWithin(intervals, time));
    if (!other) continue;
    throw new RangeError(
      `Cannot make a decoder: the position at ${time} s is in environments "${
        one!.name
      }" and "${other.name}", wanted ` +
        "it in one; both ends belong to an interval",
    );
  }
}

function isWithin(intervals: readonly Interval[], time: number): boolean {
  return intervals.some(([from, to]) => time >= from && time <= to);
}

/** Positions in these intervals; others are unknown. */
function placesWithin(
  { position, dimensions }: Recording,
  intervals: readonly Interval[],
): Float64Array {
  const { times, values } = mergeStamps(position, dimensions);
  return values.map((value, i) =>
    isWithin(intervals, times[Math.floor(i / dimensions)]!) ? value : NaN
  );
}

/** What two lists of intervals have in common. */
function common(some: readonly Interval[], others: readonly Interval[]): Interval[] {
  return some.flatMap(([from, to]) =>
    others.flatMap(([start, stop]): Interval[] => {
      const both: Interval = [Math.max(from, start), Math.min(to, stop)];
      return both[0] < both[1] ? [both] : [];
    })
  );
}
