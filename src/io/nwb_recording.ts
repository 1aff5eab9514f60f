/**
 * Recordings in NWB files: spikes of their units, and positions of an animal.
 *
 * @module
 */

import { readAll } from "../array/array.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { toNumbers } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import { Hdf5File } from "../files/hdf5_array.ts";
import { isNwb, openSeries, readUnits, spatialSeries } from "../files/nwb.ts";
import { formatBytes, formatCount } from "../math/format.ts";
import type { OptionsOf } from "../options.ts";
import { declare, signal, text } from "../options.ts";
import { elementBytes, elementCount } from "../zarr/data_types.ts";

/** All numbers of an array. */
export interface ArrayNumbers {
  values: Float32Array | Float64Array;
  shape: readonly number[];
}

/** What a decoder takes of an NWB file. */
export interface NwbRecording {
  /** Ascending, seconds; units by their ids. */
  spikes: { times: Float64Array; units: Float64Array };
  position: ArrayNumbers & { times: ArrayLike<number> };
  /** Of the position; `undefined` where the file does not tell. */
  unit: string | undefined;
  /** What was taken from where: sentences for people. */
  notes: string[];
}

export const nwbOptions = declare("read an NWB file", {
  /** Path of the position in the file. It may be left out where there is one `SpatialSeries`. */
  position: text({ otherwise: "the only one", says: "path of the position in the file" }),
  signal,
});

/** More numbers than a decode could hold. */
const MOST_BYTES = 2 * 2 ** 30;

/**
 * Reads spikes and position of an NWB file, as a decoder takes them. Needs the optional package `h5wasm`; of a file in
 * `opfs:`, a dedicated worker.
 *
 * @throws {ChunkError} If it is no NWB file, has no units, or not one position.
 */
export async function readNwb(
  place: string,
  options: OptionsOf<typeof nwbOptions> = {},
): Promise<NwbRecording> {
  const { position, ...reading } = nwbOptions.check(options);
  const file = await Hdf5File.open(place);
  const refuse = (reason: string) => new ChunkError(`Cannot read "${place}": ${reason}`, place);
  try {
    if (!isNwb(file)) throw refuse("it is no NWB file; its arrays can be opened by their names");
    const paths = spatialSeries(file);
    const path = position ?? paths[0];
    if (path === undefined || (position === undefined && paths.length > 1)) {
      throw refuse(
        `it has ${paths.length} positions (SpatialSeries), wanted one` +
          (paths.length > 1 ? `: name one of ${paths.join(", ")}` : ""),
      );
    }
    const { spikes, notes } = await nwbSpikes(file);
    const found = await nwbPosition(file, path, reading);
    return { spikes, ...found, notes: [...notes, ...found.notes] };
  } finally {
    file.close();
  }
}

/** Spikes of all units, in the order of their times. */
export async function nwbSpikes(
  file: Hdf5File,
): Promise<Pick<NwbRecording, "spikes" | "notes">> {
  const { times, units, ids } = await readUnits(file);
  // the file has them unit after unit, which is nothing to be warned of
  const order = Uint32Array.from(times.keys()).sort((a, b) => times[a]! - times[b]! || a - b);
  return {
    spikes: {
      times: Float64Array.from(order, (spike) => times[spike]!),
      units: Float64Array.from(order, (spike) => units[spike]!),
    },
    notes: [`${formatCount(times.length)} spikes of ${ids.length} units from ${file.place}/units`],
  };
}

/** A time series as a position. */
export async function nwbPosition(
  file: Hdf5File,
  path: string,
  reading: ReadOptions,
): Promise<Omit<NwbRecording, "spikes">> {
  const { values, times, unit } = openSeries(file, path);
  const full = `${file.place}/${path}`;
  const position = await arrayNumbers(values, full, reading);
  const { values: stamps } = await arrayNumbers(times, `${full}/timestamps`, reading);
  const from = `from ${full} (bin size and spreads are, too)`;
  return {
    position: { times: stamps, ...position },
    unit,
    notes: [`position in ${unit ?? "units that it does not tell"} ${from}`],
  };
}

/**
 * An array as numbers. Those in 32 bits stay so: how finely times were stored can still be told.
 *
 * @throws {ChunkError} If it holds texts or numbers of 16 bits, or takes more than 2 GiB.
 */
export async function arrayNumbers(
  array: ChunkedArray,
  place: string,
  reading: ReadOptions,
): Promise<ArrayNumbers> {
  const { dtype, shape } = array;
  const refuse = (reason: string) => new ChunkError(`Cannot use ${place}: ${reason}`, place);
  if (dtype === "float16" || dtype === "string") {
    const is = dtype === "string" ? "it holds texts" : "its numbers have 16 bits";
    throw refuse(`${is}, wanted 32 or 64, or whole numbers`);
  }
  const bytes = elementCount(shape) * elementBytes(dtype);
  if (bytes > MOST_BYTES) {
    const [is, most] = [formatBytes(bytes), formatBytes(MOST_BYTES)];
    throw refuse(`its shape [${shape.join(", ")}] takes ${is}, wanted at most ${most}`);
  }
  const values = await readAll(array, reading);
  return {
    values: values instanceof Float32Array ? values : Float64Array.from(toNumbers(values)),
    shape,
  };
}
