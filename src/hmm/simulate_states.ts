/**
 * Made-up recordings whose states are known: an animal that runs on a track, and then rests while its cells tell of where it
 * is, of nothing, or of other places. And marks, which make any simulated spikes clusterless.
 *
 * @module
 */

import { Random } from "../math/random.ts";
import type { OptionsOf } from "../options.ts";
import { declare, list, number, oneOf, whole } from "../options.ts";

/** What cells tell of in a stretch, and the number that the states of `nonLocal()` give it. */
const KINDS = { local: 0, noSpike: 1, continuous: 2, hover: 2, fragmented: 3 } as const;

/**
 * `local`: of where the animal is. `noSpike`: of nothing. `continuous`: of a place that moves in small steps, `hover`: of one
 * that stays, `fragmented`: of a place that is another one in every row.
 */
export type ReplayKind = keyof typeof KINDS;

const seed = whole({ required: true, from: 0, to: 2 ** 32 - 1, says: "seed of all that is drawn" });

const markOptions = {
  /** Electrodes, of which unit u is seen by number u modulo so many. Default 4. */
  electrodes: whole({ default: 4, from: 1, says: "electrodes that units are seen by, in turns" }),
  /** Numbers that every spike has. Default 2. */
  features: whole({ default: 2, from: 1, says: "numbers that every spike has" }),
  /** How far the marks of two units of an electrode lie apart in a feature, at least where they differ. Default 100. */
  markSpacing: number({ default: 100, above: 0, says: "distance of the marks of two units" }),
  /** Standard deviation of a unit's marks. Default 20. */
  markStd: number({ default: 20, from: 0, says: "standard deviation of a unit's marks" }),
};

export const replayOptions = declare("simulate replay", {
  seed,
  /** How long the animal runs to and fro, seconds: what is to be encoded. Default 300. */
  encodedSeconds: number({ default: 300, above: 0, says: "how long the animal runs, seconds" }),
  /** What follows, stretch by stretch. Default: local, noSpike, continuous, fragmented, fifteen times. */
  stretches: list(oneOf(Object.keys(KINDS) as ReplayKind[], {}), {
    otherwise: "local, noSpike, continuous and fragmented, fifteen times",
    says: "what cells tell of afterwards, stretch by stretch",
  }),
  /** Rows of a stretch. Default 50. */
  stretchRows: whole({ default: 50, from: 1, says: "rows of a stretch" }),
  /** Seconds of a row. Default 0.01. */
  rowSeconds: number({ default: 0.01, above: 0, says: "seconds of a row" }),
  /** Length of the track, cm. Default 200. */
  trackLength: number({ default: 200, above: 0, says: "length of the track, cm" }),
  /** Speed of the animal, cm/s. Default 25. */
  speed: number({ default: 25, above: 0, says: "speed of the animal, cm/s" }),
  /** Cells, whose fields lie one after the other along the track. Default 40. */
  units: whole({ default: 40, from: 1, says: "cells, whose fields lie along the track" }),
  /** Rate at a field's centre, and everywhere, spikes per second. Default 20 and 0.1. */
  peakRate: number({ default: 20, from: 0, says: "rate at a field's centre, spikes per second" }),
  backgroundRate: number({ default: 0.1, from: 0, says: "rate everywhere, spikes per second" }),
  /** Standard deviation of a field, cm. Default 10. */
  fieldStd: number({ default: 10, above: 0, says: "standard deviation of a field, cm" }),
  /** Standard deviation of a step of `continuous`, cm. Default 2. */
  stepStd: number({ default: 2, from: 0, says: "standard deviation of a continuous step, cm" }),
  ...markOptions,
});

/** Options of {@link simulateReplay}; lengths in cm, times in seconds. */
export type ReplayOptions = OptionsOf<typeof replayOptions>;

/** A recording for {@link sortedSpikes}, or with `marks` for {@link clusterless}, and what is true of it. */
export interface SimulatedReplay {
  /** `times` [samples] seconds, 50 a second; `values` [samples] cm. */
  position: { times: Float64Array; values: Float64Array };
  /** Ascending. */
  spikes: { times: Float64Array; units: Uint32Array };
  /** The same spikes without sorting; `features` [spikes, features]. */
  marks: SimulatedMarks & { times: Float64Array };
  /** When the animal stops to run, and what there is to decode begins, seconds. */
  start: number;
  stop: number;
  rowSeconds: number;
  /** [rows] from `start` on: the state of each, by the numbers of `nonLocal()`. */
  states: Uint8Array;
  /** [rows] What is told of, cm; NaN where nothing is. */
  represented: Float64Array;
}

const SAMPLE_RATE = 50;

/**
 * Simulates an animal that runs to and fro, and cells that tell of other places while it rests.
 *
 * Draws are equal in every runtime; `Math.cos` and `Math.exp` may differ in their last bit.
 *
 * @example Which states are found again?
 * ```ts
 * const session = decoder.simulateReplay({ seed: 1 });
 * const { position, marks, start, stop, rowSeconds, states } = session;
 * const model = decoder.clusterless({
 *   ...{ position, spikes: marks, binSize: 5, train: [[0, start]] },
 *   states: decoder.nonLocal({ movementVar: 9 }),
 * });
 * const time = { start, stop, step: rowSeconds };
 * ```
 */
export function simulateReplay(options: ReplayOptions): SimulatedReplay {
  const given = replayOptions.check(options);
  const { encodedSeconds: start, rowSeconds, stretchRows, trackLength: length } = given;
  const kinds = given.stretches ?? Array.from(
    { length: 60 },
    (_, i) => (["local", "noSpike", "continuous", "fragmented"] as const)[i % 4]!,
  );
  const random = new Random(given.seed, 0);
  const rows = kinds.length * stretchRows;
  const stop = start + rows * rowSeconds;
  const times = Float64Array.from(
    { length: Math.ceil(stop * SAMPLE_RATE) + 1 },
    (_, i) => i / SAMPLE_RATE,
  );
  const placeAt = (time: number) => {
    const way = (Math.min(time, start) * given.speed) % (2 * length);
    return way < length ? way : 2 * length - way;
  };
  const fired: { time: number; unit: number }[] = [];
  const fire = (from: number, seconds: number, place: number) => {
    for (let unit = 0; unit < given.units; unit++) {
      const away = (place - length * (unit + 0.5) / given.units) / given.fieldStd;
      const rate = given.peakRate * Math.exp(-0.5 * away * away) + given.backgroundRate;
      const count = random.poisson(rate * seconds);
      for (let i = 0; i < count; i++) fired.push({ time: from + seconds * random.uniform(), unit });
    }
  };
  const encodedRows = Math.ceil(start / rowSeconds);
  for (let row = 0; row < encodedRows; row++) {
    const time = row * rowSeconds;
    fire(time, Math.min(rowSeconds, start - time), placeAt(time));
  }
  const states = new Uint8Array(rows);
  const represented = new Float64Array(rows);
  kinds.forEach((kind, stretch) => {
    let place = length * random.uniform();
    for (let row = stretch * stretchRows; row < (stretch + 1) * stretchRows; row++) {
      const time = start + row * rowSeconds;
      if (kind === "local") place = placeAt(time);
      if (kind === "continuous") place += given.stepStd * random.normal();
      if (kind === "fragmented") place = length * random.uniform();
      place = Math.min(length, Math.max(0, place));
      states[row] = KINDS[kind];
      represented[row] = kind === "noSpike" ? NaN : place;
      if (kind !== "noSpike") fire(time, rowSeconds, place);
    }
  });
  fired.sort((a, b) => a.time - b.time);
  const spikes = {
    times: Float64Array.from(fired, ({ time }) => time),
    units: Uint32Array.from(fired, ({ unit }) => unit),
  };
  const { seed, electrodes, features, markSpacing, markStd } = given;
  return {
    position: { times, values: Float64Array.from(times, placeAt) },
    spikes,
    marks: {
      times: spikes.times,
      ...simulateMarks(spikes.units, { seed, electrodes, features, markSpacing, markStd }),
    },
    ...{ start, stop, rowSeconds, states, represented },
  };
}

export const marksOptions = declare("simulate marks", { seed, ...markOptions });

/** Options of {@link simulateMarks}. */
export type MarksOptions = OptionsOf<typeof marksOptions>;

/** Spikes by electrode, with features that tell units apart. */
export interface SimulatedMarks {
  /** [spikes] */
  electrodes: Uint32Array;
  /** [spikes, features] */
  features: Float64Array;
}

/**
 * Takes the sorting from spikes: each has the electrode of its unit, and features that are normal around the unit's own. Units
 * of an electrode lie on a lattice, `markSpacing` apart.
 *
 * @param units [spikes] unit of each, as `simulateSession()` gives them.
 */
export function simulateMarks(units: ArrayLike<number>, options: MarksOptions): SimulatedMarks {
  const { seed, electrodes, features, markSpacing, markStd } = marksOptions.check(options);
  const random = new Random(seed, 3);
  let most = 0;
  for (let spike = 0; spike < units.length; spike++) most = Math.max(most, units[spike]!);
  const perElectrode = Math.floor(most / electrodes) + 1;
  // sides of the lattice, on which there is room for all
  const side = Math.ceil(perElectrode ** (1 / features) - 1e-9);
  const marks = new Float64Array(units.length * features);
  for (let spike = 0; spike < units.length; spike++) {
    let place = Math.floor(units[spike]! / electrodes);
    for (let feature = 0; feature < features; feature++) {
      marks[spike * features + feature] = markSpacing * (place % side) + markStd * random.normal();
      place = Math.floor(place / side);
    }
  }
  return { electrodes: Uint32Array.from(units, (unit) => unit % electrodes), features: marks };
}
