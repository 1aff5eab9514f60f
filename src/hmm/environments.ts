/**
 * Decodes position in several environments, or by several groups of samples: which of them is represented is a discrete
 * state, and where in it a bin.
 *
 * @module
 */

import { checkedFeatures } from "./clusterless_decoder.ts";
import { encodeMarks, meansOf } from "./clusterless_encoding.ts";
import type { EnvironmentsOptions } from "./decoder_options.ts";
import { environmentOptions, environmentsOptions, groupOptions } from "./decoder_options.ts";
import type { EncodedPart } from "./encoded_parts.ts";
import { together } from "./encoded_parts.ts";
import { checkStates, EnvironmentsDecoder } from "./environments_decoder.ts";
import type { Environment, Grid } from "./grid.ts";
import { encodePlaceFields } from "./place_fields.ts";
import type { Recording } from "./recording.ts";
import { validateRecording } from "./recording.ts";
import { gridOf } from "./recording_grid.ts";
import { mergeStamps } from "./sorted_spikes.ts";
import type { StateModel } from "./states.ts";
import { looksAtAnimal } from "./states.ts";
import type { Interval } from "./time_grid.ts";

/** An environment and a group that a state expects, and when samples are of both. */
interface TrainedPart {
  environment: Environment;
  group?: string;
  /** When the animal was in the environment, and when of that it is trained on. */
  within: readonly Interval[];
  train: readonly Interval[];
}

/**
 * Builds a decoder for spikes in several environments: each has bins and place fields of its own, from the
 * samples in its intervals. Encoding groups are intervals, too: states of different groups in one environment expect
 * what the samples of theirs leave. Spikes are sorted, or have features; place fields are kernel densities or fitted.
 *
 * States that are local, or lose something where the animal is, take all positions for places of their own
 * environment, whenever they were, as in the original.
 *
 * Source: the multi-environment classifiers of non_local_detector.
 *
 * @throws {TypeError | RangeError} As `sortedSpikes()` and `clusterless()` do, and if states are in environments or of
 * groups that there are not, or none has bins, or a sample is in two environments.
 */
export function environments(given: EnvironmentsOptions): EnvironmentsDecoder {
  const options = environmentsOptions.check(given);
  const { states, spikes: told } = options;
  checkStates(states);
  checkKind(options);
  const marks = "features" in told ? told : undefined;
  const spikes = "features" in told ? { times: told.times, units: told.electrodes } : told;
  const recording = validateRecording(options.position, spikes, options);
  const places = named("environments", options.environments, environmentOptions);
  checkApart(recording.position.times, places);
  const laid = places.map(({ intervals, name, ...choices }): Environment => {
    const values = placesWithin(recording, intervals);
    return {
      name,
      grid: gridOf({ ...recording, position: { ...recording.position, values } }, choices),
    };
  });
  const grid: Grid = { ...laid[0]!.grid, environments: laid };
  const trained = trainedParts(states, { ...options, places, laid });
  const trainingOf = ({ environment, within, train }: TrainedPart) => ({
    ...recording,
    ...{ grid: environment.grid, positionStd: options.positionStd, within, train },
    ...(options.intervals && { intervals: options.intervals }),
    ...(options.minSpeed !== undefined && { minSpeed: options.minSpeed }),
  });
  const calledAs = <Own>({ environment, group }: TrainedPart, encoding: Own): EncodedPart<Own> => ({
    ...{ environment: environment.name, encoding },
    ...(group !== undefined && { group }),
  });
  const warnings = [...recording.warnings, ...animalWarnings(recording, states, places)];
  const decoded = { ...recording, warnings };
  if (marks) {
    const { waveformStd = 24 } = options;
    const own = checkedFeatures(marks, recording);
    const featureMeans = meansOf(own.features, own.featureCount);
    const parts = trained.map((part) =>
      calledAs(part, encodeMarks({ ...trainingOf(part), ...own, waveformStd, featureMeans }))
    );
    const encoding = together({ model: "clusterless", parts });
    return new EnvironmentsDecoder(decoded, grid, encoding, options, own.features);
  }
  const parts = trained.map((part) => {
    const found = encodePlaceFields(trainingOf(part), options);
    warnings.push(...found.warnings.map((own) => `in ${part.environment.name}, ${own}`));
    return calledAs(part, found.encoding);
  });
  const encoding = together({ model: "sortedSpikes", parts });
  return new EnvironmentsDecoder(decoded, grid, encoding, options, undefined);
}

/** What states expect, every part once. */
function trainedParts(
  states: StateModel,
  { places, laid, groups: given, train: limits }:
    & Pick<EnvironmentsOptions, "groups" | "train">
    & { places: readonly NamedIntervals[]; laid: readonly Environment[] },
): TrainedPart[] {
  const groups = named("groups", given ?? [], groupOptions);
  const parts: TrainedPart[] = [];
  states.names.forEach((state, i) => {
    const place = entry(places, "environment", states.environments?.[i], state);
    const group = states.encodingGroups &&
      entry(groups, "encoding group", states.encodingGroups[i], state);
    // a silent state expects nothing of either
    if (states.noSpike?.[i]) return;
    const isKnown = parts.some((part) =>
      part.environment.name === place.name && part.group === group?.name
    );
    if (isKnown) return;
    const lists = [place.intervals, ...group ? [group.intervals] : []];
    const train = [...lists, ...limits ? [limits] : []].reduce(common);
    if (train.length === 0) {
      throw new RangeError(
        `Cannot encode: intervals of environment "${place.name}"${
          group ? `, of group "${group.name}"` : ""
        } and of training have nothing in common, wanted some time`,
      );
    }
    const environment = laid.find(({ name }) => name === place.name)!;
    parts.push({
      ...{ environment, within: place.intervals, train },
      ...(group && { group: group.name }),
    });
  });
  return parts;
}

function refuse(is: string, wanted: string): never {
  throw new RangeError(`Cannot make a decoder: ${is}, wanted ${wanted}`);
}

/** @throws {RangeError} If a choice is for spikes of the other kind. */
function checkKind({ spikes, waveformStd, ...fields }: EnvironmentsOptions): void {
  if (!("features" in spikes)) {
    if (waveformStd !== undefined) {
      refuse("waveformStd is for features, and spikes have none", "none");
    }
    return;
  }
  const { placeFields, knotSpacing, fieldPenalty } = fields;
  const stray = knotSpacing !== undefined
    ? "knotSpacing"
    : fieldPenalty !== undefined
    ? "fieldPenalty"
    : placeFields === "glm" && "placeFields";
  if (stray) refuse(`${stray} is for sorted spikes, and these have features`, "none of it");
}

/** Local states know nothing of intervals. */
function animalWarnings(
  { position: { times } }: Recording,
  states: StateModel,
  places: readonly NamedIntervals[],
): string[] {
  if (!looksAtAnimal(states)) return [];
  return [...new Set(states.environments)].flatMap((name) => {
    const { intervals } = places.find((own) => own.name === name)!;
    const outside = times.reduce((sum, time) => sum + (isWithin(intervals, time) ? 0 : 1), 0);
    return outside === 0 ? [] : [
      `${outside} of ${times.length} samples of position were not in environment "${name}", and states that look at ` +
      "the animal take them for places in it",
    ];
  });
}

interface NamedIntervals {
  name: string;
  intervals: readonly Interval[];
}

/** What has a name, checked. */
function named<Entry extends NamedIntervals>(
  what: string,
  list: ArrayLike<unknown>,
  declared: { check(given: unknown): Entry },
): Entry[] {
  const entries = Array.from(list, (own) => declared.check(own));
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
  const names = list.map(({ name }) => `"${name}"`).join(", ");
  return refuse(
    `state "${state}" has ${what} "${wanted}"`,
    list.length > 0 ? `one of ${names}` : "one that is told",
  );
}

/** A place in one would be a bin of the other: neither would say so. */
function checkApart(
  times: Float64Array,
  environments: readonly NamedIntervals[],
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
