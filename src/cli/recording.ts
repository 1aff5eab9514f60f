/**
 * What `sluice decode` reads: arrays by their flags, or a recording that has them all.
 *
 * @module
 */

import type { OpenArrayOptions } from "../array/array.ts";
import { openArray, readAll } from "../array/array.ts";
import { toNumbers } from "../chunked_array.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import { filePlace } from "../files/file_place.ts";
import { Hdf5File } from "../files/hdf5_array.ts";
import { isNwb, openSeries, readUnits, spatialSeries } from "../files/nwb.ts";
import type { PositionInput } from "../hmm/recording.ts";
import { isPhyFolder, readPhy } from "../io/phy.ts";
import { formatBytes, formatCount } from "../math/format.ts";
import { elementBytes, elementCount } from "../zarr/data_types.ts";
import { UsageError } from "./usage.ts";

/** Places of arrays, as far as they were given. */
export interface RecordingPlaces {
  spikeTimes?: string;
  spikeUnits?: string;
  positionTimes?: string;
  position?: string;
}

export interface RecordingInput {
  position: PositionInput;
  spikes: { times: ArrayLike<number>; units: ArrayLike<number> };
  /** Counts a second, where spike times are counts. */
  spikeRate?: number;
  /** What was taken from where: sentences for people. */
  notes: string[];
}

/** Which units of a folder of phy are decoded. */
export type UnitChoice = "good" | "all";

/** What every recording gives; flags go before it. */
interface Found {
  spikes?: RecordingInput["spikes"];
  spikeRate?: number;
  position?: PositionInput;
  notes: string[];
}

/** More numbers than a decode could hold. */
const MOST_BYTES = 2 * 2 ** 30;

const UNITS_WITHOUT_FOLDER = "Cannot run: --units is for folders of Kilosort or phy";

type Numbers = Float32Array | Float64Array;

/**
 * Reads a recording: from arrays alone, from an NWB file, or spikes from a folder of Kilosort or phy.
 *
 * @throws {UsageError} If an array is missing; names the flag.
 */
export async function readRecording(
  source: string | undefined,
  places: RecordingPlaces,
  units: UnitChoice | undefined,
  reading: OpenArrayOptions,
): Promise<RecordingInput> {
  if (source === undefined) {
    if (units !== undefined) throw new UsageError(UNITS_WITHOUT_FOLDER);
    for (
      const [name, flag] of [["spikeTimes", "spike-times"], ["spikeUnits", "spike-units"], [
        "position",
        "position",
      ]] as const
    ) {
      if (places[name] === undefined) throw new UsageError(`Cannot run: --${flag} is missing`);
    }
  }
  const found = source === undefined
    ? { notes: [] }
    : await readSource(source, places, units, reading);
  const isSeries = places.position !== undefined && places.positionTimes === undefined;
  const series = isSeries ? await readSeries(places.position!, reading) : undefined;
  const notes = [...found.notes, ...series?.notes ?? []];
  const wanted = async (name: string, place: string | undefined) => {
    if (place === undefined) throw new UsageError(`Cannot run: --${name} is missing`);
    return await readNumbers(place, reading);
  };
  const { spikeTimes, spikeUnits, positionTimes, position } = places;
  const isWhole = spikeTimes === undefined && spikeUnits === undefined && found.spikes;
  const spikes = isWhole || {
    times: (await wanted("spike-times", spikeTimes)).values,
    units: (await wanted("spike-units", spikeUnits)).values,
  };
  const known = positionTimes === undefined && position === undefined
    ? found.position
    : series?.position;
  if (known) return { ...found, spikes, position: known, notes };
  const times = await wanted("position-times", positionTimes);
  const { values, shape } = await wanted("position", position);
  return { ...found, spikes, position: { times: times.values, values, shape }, notes };
}

async function readSource(
  source: string,
  places: RecordingPlaces,
  units: UnitChoice | undefined,
  reading: OpenArrayOptions,
): Promise<Found> {
  const place = filePlace(source);
  if (place?.kind === "hdf5" && place.inside === "") {
    if (units !== undefined) {
      throw new UsageError(UNITS_WITHOUT_FOLDER);
    }
    return await readNwb(source, places, reading);
  }
  if (place || !await isPhyFolder(source)) {
    throw new UsageError(
      `Cannot decode "${source}": wanted an NWB file (.nwb, .h5), or a folder of Kilosort or phy ` +
        "(spike_times.npy and params.py)",
    );
  }
  return await readSorting(source, units ?? "good");
}

async function readNwb(
  source: string,
  places: RecordingPlaces,
  reading: OpenArrayOptions,
): Promise<Found> {
  const file = await Hdf5File.open(source);
  try {
    if (!isNwb(file)) {
      throw new ChunkError(
        `Cannot decode "${source}": it is no NWB file; name its arrays, as in --spike-times ` +
          `${source}/spikes/times (sluice info ${source} lists them)`,
        source,
      );
    }
    const notes: string[] = [];
    const found: Found = { notes };
    if (places.spikeTimes === undefined && places.spikeUnits === undefined) {
      const { times, units, ids } = await readUnits(file);
      // the file has them unit after unit, which is nothing to be warned of
      const order = Uint32Array.from(times.keys()).sort((a, b) => times[a]! - times[b]! || a - b);
      found.spikes = {
        times: Float64Array.from(order, (spike) => times[spike]!),
        units: Float64Array.from(order, (spike) => units[spike]!),
      };
      notes.push(`${formatCount(times.length)} spikes of ${ids.length} units from ${source}/units`);
    }
    if (places.position === undefined && places.positionTimes === undefined) {
      const paths = spatialSeries(file);
      if (paths.length !== 1) {
        const choices = paths.map((path) => `--position ${source}/${path}`).join(" or ");
        throw new UsageError(
          `Cannot decode "${source}": it has ${paths.length} positions (SpatialSeries), wanted one; ` +
            (choices || "give --position and --position-times"),
        );
      }
      Object.assign(found, await seriesOf(file, paths[0]!, notes, reading));
    }
    return found;
  } finally {
    file.close();
  }
}

/** A time series of an NWB file, which has its times with it; `undefined` of any other place. */
async function readSeries(
  place: string,
  reading: OpenArrayOptions,
): Promise<Found | undefined> {
  const parts = filePlace(place);
  if (parts?.kind !== "hdf5" || parts.inside === "") return undefined;
  const file = await Hdf5File.open(parts.file);
  try {
    if (!isNwb(file) || !file.access.group(parts.inside)) return undefined;
    const notes: string[] = [];
    return { ...await seriesOf(file, parts.inside, notes, reading), notes };
  } finally {
    file.close();
  }
}

async function seriesOf(
  file: Hdf5File,
  path: string,
  notes: string[],
  reading: OpenArrayOptions,
): Promise<{ position: PositionInput }> {
  const { values, times, unit } = openSeries(file, path);
  const full = `${file.place}/${path}`;
  const position = await numbersOf(values, full, reading);
  notes.push(
    `position in ${
      unit ?? "units that it does not tell"
    } from ${full} (bin size and spreads are, too)`,
  );
  const { values: stamps } = await numbersOf(times, `${full}/timestamps`, reading);
  return { position: { times: stamps, ...position } };
}

async function readSorting(source: string, choice: UnitChoice): Promise<Found> {
  const { times, clusters, sampleRate, labels } = await readPhy(source);
  const all = new Set(clusters);
  const origin = `from ${source}, at ${sampleRate} samples a second`;
  if (choice === "all" || !labels) {
    const why = choice === "all" ? "" : ", for want of labels";
    return {
      spikes: { times, units: clusters },
      spikeRate: sampleRate,
      notes: [`${formatCount(times.length)} spikes of all ${all.size} units${why}, ${origin}`],
    };
  }
  const { file, byCluster } = labels;
  const good = [...all].filter((cluster) => byCluster.get(cluster) === "good");
  if (good.length === 0) {
    throw new UsageError(
      `Cannot decode "${source}": none of its ${all.size} units is good by ${file}, wanted at least ` +
        "one (--units all takes all)",
    );
  }
  const isGood = new Set(good);
  const kept = Array.from(clusters.keys()).filter((spike) => isGood.has(clusters[spike]!));
  return {
    spikes: {
      times: Float64Array.from(kept, (spike) => times[spike]!),
      units: Float64Array.from(kept, (spike) => clusters[spike]!),
    },
    spikeRate: sampleRate,
    notes: [
      `${
        formatCount(kept.length)
      } spikes of the ${good.length} units of ${all.size} that are good ` +
      `by ${file}, ${origin}`,
    ],
  };
}

/** All numbers of an array. */
export async function readNumbers(
  place: string,
  reading: OpenArrayOptions,
): Promise<{ values: Numbers; shape: readonly number[] }> {
  const array = await openArray(place, reading);
  try {
    return await numbersOf(array, place, reading);
  } finally {
    await array.close();
  }
}

/** An array as numbers. Those in 32 bits stay so: how finely times were stored can still be told. */
async function numbersOf(
  array: ChunkedArray,
  place: string,
  reading: OpenArrayOptions,
): Promise<{ values: Numbers; shape: readonly number[] }> {
  const { dtype, shape } = array;
  if (dtype === "float16" || dtype === "string") {
    const is = dtype === "string" ? "it holds texts" : "its numbers have 16 bits";
    throw new UsageError(`Cannot use ${place}: ${is}, wanted 32 or 64, or whole numbers`);
  }
  const bytes = elementCount(shape) * elementBytes(dtype);
  if (bytes > MOST_BYTES) {
    throw new UsageError(
      `Cannot use ${place}: its shape [${shape.join(", ")}] takes ${
        formatBytes(bytes)
      }, wanted at ` +
        `most ${formatBytes(MOST_BYTES)}`,
    );
  }
  const values = await readAll(array, reading);
  return {
    values: values instanceof Float32Array ? values : Float64Array.from(toNumbers(values)),
    shape,
  };
}
