/** Recordings to decode: a small seeded one of our own, and the shared ones where they are. */

import { openArray, readAll } from "../../src/array/array.ts";
import { seeded } from "./random.ts";

export interface TestRecording {
  position: { times: Float64Array; values: Float64Array };
  spikes: { times: Float64Array; units: Uint32Array };
}

/** An animal that walks to and fro (1-D) or around (2-D) in 20 bins, sampled every 20 ms. */
export function smallRecording(
  { seconds = 8, dimensions = 1 as 1 | 2, units = 6, seed = 5 } = {},
): TestRecording {
  const random = seeded(seed);
  const samples = Math.round(seconds / 0.02) + 1;
  const times = Float64Array.from({ length: samples }, (_, i) => i * 0.02);
  const values = new Float64Array(samples * dimensions);
  // a triangle wave: the same in every runtime, unlike sin()
  const triangle = (phase: number) => 4 * Math.abs(phase - Math.floor(phase + 0.5)) - 1;
  for (let i = 0; i < samples; i++) {
    for (let d = 0; d < dimensions; d++) {
      values[i * dimensions + d] = 20 + 19 * triangle(times[i]! / (3 + d) + 0.25 * d) + random();
    }
  }
  const spikes: { time: number; unit: number }[] = [];
  for (let unit = 0; unit < units; unit++) {
    const center = Array.from({ length: dimensions }, () => 2 + 36 * random());
    for (let i = 0; i + 1 < samples; i++) {
      const squared = center.reduce(
        (sum, c, d) => sum + (values[i * dimensions + d]! - c) ** 2,
        0,
      );
      const rate = 0.4 / (1 + squared / 20);
      if (random() < rate) spikes.push({ time: times[i]! + 0.02 * random(), unit });
    }
  }
  spikes.sort((a, b) => a.time - b.time);
  return {
    position: { times, values },
    spikes: {
      times: Float64Array.from(spikes, ({ time }) => time),
      units: Uint32Array.from(spikes, ({ unit }) => unit),
    },
  };
}

async function readNumbers(file: string): Promise<Float64Array> {
  // the small recording is used outside of tests too, where Vitest cannot be loaded
  const { sharedFile } = await import("./shared_data.ts");
  const array = await openArray(await sharedFile(file));
  return Float64Array.from(await readAll(array) as ArrayLike<number>, Number);
}

/** Rat on a linear track, 1,982 s at 60 Hz, pixels; 31 units. */
export async function linearTrack(): Promise<TestRecording> {
  const folder = "data/linear-track";
  const [times, values, spikeTimes, units] = await Promise.all(
    ["position_times", "position_xy", "spike_times", "spike_units"].map((name) =>
      readNumbers(`${folder}/${name}.npy`)
    ),
  );
  return {
    position: { times: times!, values: values! },
    spikes: { times: spikeTimes!, units: Uint32Array.from(units!) },
  };
}

/** Inputs and smoothed posterior of the reference implementation. */
export async function golden() {
  const folder = "golden/decoder-sorted-spikes";
  const [time, position, isEvent, spikeTimes, spikeUnits, posterior] = await Promise.all(
    ["time", "position", "is_event", "spike_times", "spike_units", "acausal_posterior"].map((
      name,
    ) => readNumbers(`${folder}/${name}.npy`)),
  );
  const train: [number, number][] = [];
  let first: number | undefined;
  isEvent!.forEach((event, i) => {
    if (!event) first ??= time![i]!;
    else if (first !== undefined) {
      train.push([first, time![i - 1]!]);
      first = undefined;
    }
  });
  if (first !== undefined) train.push([first, time!.at(-1)!]);
  const unitCount = 1 + spikeUnits!.reduce((most, unit) => Math.max(most, unit), 0);
  return {
    time: time!,
    position: { times: time!, values: position! },
    // one list per unit, as the reference has them
    spikes: Array.from(
      { length: unitCount },
      (_, unit) => spikeTimes!.filter((_, i) => spikeUnits![i] === unit),
    ),
    train,
    posterior: posterior!,
  };
}

/** What the reference says of small cases: see the README beside them. Times in seconds. */
export interface DecoderVectors {
  exposure: {
    name: string;
    position_time: number[];
    position: (number | null)[];
    encoding_time_range: [number, number] | null;
    valid_position_intervals: [number, number][] | null;
    exposure_seconds: number[];
    segments: [start: number, stop: number, samples: number[]][];
    events?: number[];
    contained?: boolean[];
  }[];
  event_counts: {
    name: string;
    position_time: number[];
    valid_position_intervals?: [number, number][];
    weights: number[];
    spikes: number[];
    counts: number[];
    total?: number;
  }[];
  time_grid: {
    name: string;
    edges?: number[];
    timestamps?: number[];
    centers?: number[];
    spikes?: number[];
    counts?: number[];
  }[];
  missing_bins: {
    name: string;
    position_time: number[];
    nan_samples: number[];
    edges: number[];
    missing: boolean[];
  }[];
  no_spike: { edges: number[]; rate_hz: number; spikes: number[][]; log_likelihood: number[] };
}

async function sharedText(file: string): Promise<string> {
  const { sharedFile } = await import("./shared_data.ts");
  const place = await sharedFile(file);
  if (typeof place !== "string") return await place.text();
  const { readFile } = await import("node:fs/promises");
  return await readFile(place, "utf8");
}

export async function decoderVectors(): Promise<DecoderVectors> {
  return JSON.parse(await sharedText("golden/decoder-vectors/vectors.json"));
}

/** Intermediates of {@link golden} in f64, worked out elsewhere. */
export async function goldenIntermediates(): Promise<Record<string, Float64Array>> {
  const names = ["place_fields_hz", "occupancy_density", "log_likelihood", "time_edges"];
  const values = await Promise.all(
    names.map((name) => readNumbers(`golden/decoder-sorted-spikes-f64/${name}.npy`)),
  );
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]));
}
