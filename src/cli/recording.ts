/**
 * What `sluice decode` reads: arrays by their flags, or a recording that has them all.
 *
 * @module
 */

import type { OpenArrayOptions } from "../array/array.ts";
import { openArray } from "../array/array.ts";
import { ChunkError } from "../errors.ts";
import { filePlace } from "../files/file_place.ts";
import { Hdf5File } from "../files/hdf5_array.ts";
import { isNwb, spatialSeries } from "../files/nwb.ts";
import type { PositionInput } from "../hmm/recording.ts";
import type { ArrayNumbers } from "../io/nwb_recording.ts";
import { arrayNumbers, nwbPosition, nwbSpikes } from "../io/nwb_recording.ts";
import { isPhyFolder, readPhy } from "../io/phy.ts";
import { formatCount } from "../math/format.ts";
import { UsageError } from "./usage.ts";

/** Places of arrays, as far as they were given. */
export interface RecordingPlaces {
  spikeTimes?: string;
  spikeUnits?: string;
  positionTimes?: string;
  position?: string;
}

export interface RecordingInput {
  /** Not given where it is not asked for, and not there. */
  position?: PositionInput;
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

const UNITS_WITHOUT_FOLDER = "Cannot run: --units is for folders of Kilosort or phy";

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
  { needsPosition }: { needsPosition: boolean },
): Promise<RecordingInput> {
  if (source === undefined) {
    if (units !== undefined) throw new UsageError(UNITS_WITHOUT_FOLDER);
    for (
      const [name, flag] of [["spikeTimes", "spike-times"], ["spikeUnits", "spike-units"], [
        "position",
        "position",
      ]] as const
    ) {
      if (name === "position" && !needsPosition) continue;
      if (places[name] === undefined) throw new UsageError(`Cannot run: --${flag} is missing`);
    }
  }
  const found = source === undefined
    ? { notes: [] }
    : await readSource(source, places, units, reading, needsPosition);
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
  if (!needsPosition && positionTimes === undefined && position === undefined) {
    return { ...found, spikes, notes };
  }
  if (source !== undefined && positionTimes === undefined && position === undefined) {
    throw new UsageError(
      `Cannot run: "${source}" has no position, wanted --position-times and --position beside it`,
    );
  }
  const times = await wanted("position-times", positionTimes);
  const { values, shape } = await wanted("position", position);
  return { ...found, spikes, position: { times: times.values, values, shape }, notes };
}

async function readSource(
  source: string,
  places: RecordingPlaces,
  units: UnitChoice | undefined,
  reading: OpenArrayOptions,
  needsPosition: boolean,
): Promise<Found> {
  const place = filePlace(source);
  if (place?.kind === "hdf5" && place.inside === "") {
    if (units !== undefined) {
      throw new UsageError(UNITS_WITHOUT_FOLDER);
    }
    return await readNwb(source, places, reading, needsPosition);
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
  needsPosition: boolean,
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
    const found: Found = { notes: [] };
    const take = ({ notes, spikes, position }: Found) => {
      Object.assign(found, spikes && { spikes }, position && { position });
      found.notes.push(...notes);
    };
    if (places.spikeTimes === undefined && places.spikeUnits === undefined) {
      take(await nwbSpikes(file));
    }
    if (places.position === undefined && places.positionTimes === undefined) {
      const paths = spatialSeries(file);
      if (!needsPosition && paths.length === 0) return found;
      if (paths.length !== 1) {
        const choices = paths.map((path) => `--position ${source}/${path}`).join(" or ");
        throw new UsageError(
          `Cannot decode "${source}": it has ${paths.length} positions (SpatialSeries), wanted one; ` +
            (choices || "give --position and --position-times"),
        );
      }
      take(await nwbPosition(file, paths[0]!, reading));
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
    const { position, notes } = await nwbPosition(file, parts.inside, reading);
    return { position, notes };
  } finally {
    file.close();
  }
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
): Promise<ArrayNumbers> {
  const array = await openArray(place, reading);
  try {
    return await arrayNumbers(array, place, reading);
  } finally {
    await array.close();
  }
}
