/**
 * Recordings in NWB files (Neurodata Without Borders): spike times of units, and time series in their own
 * units. By the NWB format specification 2.7: `TimeSeries`, `SpatialSeries`, `Units`.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows, toNumbers } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import type { H5Object } from "./h5wasm.ts";
import type { Hdf5File } from "./hdf5_array.ts";

/** What samples and their times are. */
export interface NwbSeries {
  /** [samples, ...] in `unit`, as the file's conversion and offset have it. */
  values: ChunkedArray;
  /** [samples] seconds. */
  times: ChunkedArray;
  /** As the file writes it. */
  unit: string | undefined;
}

/** Spikes of all units, unit after unit. */
export interface NwbUnits {
  /** [spikes] seconds. */
  times: Float64Array;
  /** [spikes] id of the unit of each. */
  units: Float64Array;
  /** [units] ids, those without spikes too. */
  ids: number[];
}

/** Whether a file says that it is of this kind. */
export function isNwb(file: Hdf5File): boolean {
  return attribute(file.access.file, "nwb_version") !== undefined;
}

/** Paths of the positions of animals in a file. */
export function spatialSeries(file: Hdf5File): string[] {
  return file.groups().filter((path) => typeOf(file, path) === "SpatialSeries");
}

/**
 * Opens the array that a path of an NWB file means: the samples of a time series in its own unit, and
 * `timestamps` of one that only says when it began. `undefined` of any other path.
 */
export function nwbArray(file: Hdf5File, path: string): ChunkedArray | undefined {
  if (!isNwb(file)) return undefined;
  if (isSeries(file, path)) return openSeries(file, path).values;
  const [, group] = /^(.+)\/timestamps\/?$/.exec(path) ?? [];
  const isRegular = group !== undefined && isSeries(file, group) && !file.access.dataset(path);
  return isRegular ? openSeries(file, group).times : undefined;
}

function isSeries(file: Hdf5File, path: string): boolean {
  return file.access.group(path) !== undefined &&
    file.access.dataset(`${path}/data`) !== undefined &&
    (file.access.dataset(`${path}/timestamps`) ?? file.access.dataset(`${path}/starting_time`)) !==
      undefined;
}

/** @throws {ChunkError} If there is no time series, or its times or numbers cannot be understood. */
export function openSeries(file: Hdf5File, path: string): NwbSeries {
  const full = `${file.place}/${path}`;
  const refuse = (reason: string) => new ChunkError(`Cannot open "${full}": ${reason}`, full);
  if (!isSeries(file, path)) {
    throw refuse("it is no time series, with data and timestamps or a starting_time");
  }
  if (file.access.dataset(`${path}/channel_conversion`)) {
    throw refuse(`its channels have conversions of their own; ${full}/data has its raw numbers`);
  }
  const data = file.access.dataset(`${path}/data`)!;
  const number = (object: H5Object, name: string, otherwise?: number) => {
    const value = attribute(object, name);
    if (value === undefined && otherwise !== undefined) return otherwise;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw refuse(`its ${name} is ${JSON.stringify(value) ?? "missing"}, wanted a finite number`);
  };
  const conversion = number(data, "conversion", 1);
  const offset = number(data, "offset", 0);
  if (conversion === 0) throw refuse("its conversion is 0, which leaves nothing of its numbers");
  const stored = file.array(`${path}/data`);
  const [samples] = stored.shape as [number];
  const unit = attribute(data, "unit");
  return {
    values: conversion === 1 && offset === 0 ? stored : convert(stored, conversion, offset),
    times: timesOf(),
    unit: typeof unit === "string" && unit !== "" ? unit : undefined,
  };

  function timesOf(): ChunkedArray {
    const stamps = file.access.dataset(`${path}/timestamps`);
    if (stamps) {
      checkSeconds(stamps, "timestamps are");
      const times = file.array(`${path}/timestamps`);
      if (times.shape.length === 1 && times.shape[0] === samples) return times;
      throw refuse(`it has ${samples} samples and timestamps of shape [${times.shape.join(", ")}]`);
    }
    const begin = file.access.dataset(`${path}/starting_time`)!;
    const [start, rate] = [
      begin.metadata.shape?.length === 0 ? begin.value : undefined,
      number(begin, "rate"),
    ];
    if (typeof start !== "number" || !Number.isFinite(start) || !(rate > 0)) {
      throw refuse(`it starts at ${String(start)} s with ${rate} Hz, wanted finite numbers`);
    }
    checkSeconds(begin, "starting_time is");
    return regularTimes(samples, start, rate);
  }

  function checkSeconds(times: H5Object, what: string): void {
    const unit = attribute(times, "unit") ?? "seconds";
    if (unit !== "seconds") throw refuse(`its ${what} in ${unit}, wanted seconds`);
  }
}

/** Times of samples at a steady rate. */
function regularTimes(samples: number, start: number, rate: number): ChunkedArray {
  const shape = [samples];
  return {
    shape,
    dtype: "float64",
    dims: undefined,
    chunkRows: Math.max(1, samples),
    async read(from, to, { signal }: ReadOptions = {}) {
      signal?.throwIfAborted();
      checkRows(shape, from, to);
      return Float64Array.from({ length: to - from }, (_, i) => start + (from + i) / rate);
    },
    close: () => Promise.resolve(),
  };
}

/** An array as f64 in the unit that its file means. */
function convert(stored: ChunkedArray, conversion: number, offset: number): ChunkedArray {
  const { shape, dims, chunkRows } = stored;
  return {
    shape,
    dims,
    chunkRows,
    dtype: "float64",
    async read(start, end, options) {
      const values = toNumbers(await stored.read(start, end, options));
      return Float64Array.from(values, (value) => value * conversion + offset);
    },
    close: () => stored.close(),
  };
}

/**
 * Reads the spike times of all units.
 *
 * @throws {ChunkError} If there are none, or the index does not fit them.
 */
export async function readUnits(file: Hdf5File): Promise<NwbUnits> {
  const path = `${file.place}/units`;
  const refuse = (reason: string) => new ChunkError(`Cannot read "${path}": ${reason}`, path);
  if (
    !file.access.dataset("units/spike_times") || !file.access.dataset("units/spike_times_index")
  ) {
    throw refuse("it has no spike_times and spike_times_index");
  }
  if (file.access.dataset("units/spike_times_index_index")) {
    throw refuse("its spike_times are lists of lists, wanted a list for each unit");
  }
  const unit = attribute(file.access.dataset("units/spike_times")!, "unit") ?? "seconds";
  if (unit !== "seconds") throw refuse(`its spike_times are in ${unit}, wanted seconds`);
  const [times, ends] = await Promise.all(
    ["spike_times", "spike_times_index"].map((name) => readColumn(`units/${name}`)),
  );
  const ids = file.access.dataset("units/id")
    ? [...await readColumn("units/id")]
    : Array.from(ends!, (_, unit) => unit);
  if (ids.length !== ends!.length) {
    throw refuse(`it has ${ids.length} ids and ${ends!.length} lists of spikes`);
  }
  const units = new Float64Array(times!.length);
  let from = 0;
  ends!.forEach((end, unit) => {
    if (!(end >= from && end <= units.length)) {
      throw refuse(`list ${unit} of its spikes ends at ${end}, after ${from} of ${units.length}`);
    }
    units.fill(ids[unit]!, from, end);
    from = end;
  });
  if (from !== units.length) throw refuse(`${units.length - from} of its spikes belong to no unit`);
  if (new Set(ids).size !== ids.length) throw refuse("two of its units have the same id");
  return { times: times!, units, ids };

  async function readColumn(name: string): Promise<Float64Array> {
    const array = file.array(name);
    if (array.shape.length !== 1) throw refuse(`${name} has ${array.shape.length} axes, wanted 1`);
    return Float64Array.from(toNumbers(await array.read(0, array.shape[0]!)));
  }
}

function typeOf(file: Hdf5File, path: string): unknown {
  const group = file.access.group(path);
  return group && attribute(group, "neurodata_type");
}

/** A text or a number that an object has; the only one of a list. */
function attribute(object: H5Object, name: string): string | number | undefined {
  let value: unknown;
  try {
    value = object.attrs[name]?.value;
  } catch (error) {
    throw new ChunkError(`Cannot read the attribute "${name}": it is damaged`, name, error);
  }
  const one = Array.isArray(value) || ArrayBuffer.isView(value)
    ? ((value as ArrayLike<unknown>).length === 1 ? (value as ArrayLike<unknown>)[0] : undefined)
    : value;
  if (typeof one === "bigint") return Number(one);
  return typeof one === "string" || typeof one === "number" ? one : undefined;
}
