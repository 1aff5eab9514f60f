/**
 * What a file or folder holds, and what can be done with it: `sluice info FILE`.
 *
 * @module
 */

import type { OpenArrayOptions } from "../array/array.ts";
import type { ListedArray } from "../array/list_arrays.ts";
import { listArrays } from "../array/list_arrays.ts";
import type { FilePlace } from "../files/file_place.ts";
import { filePlace } from "../files/file_place.ts";
import { Hdf5File } from "../files/hdf5_array.ts";
import { isNwb, spatialSeries } from "../files/nwb.ts";
import { isPhyFolder, readPhy } from "../io/phy.ts";
import { formatCount, formatTable } from "../math/format.ts";

export interface Contents {
  place: string;
  /** In words. */
  kind: string;
  arrays: ListedArray[];
  /** Arrays that are not listed. */
  more: number;
  /** What may be typed next. */
  next: string[];
}

const OUTPUT = "--bin-size S --out PLACE";

/** @throws {ChunkError} If there is nothing that can be read. */
export async function contentsOf(place: string, reading: OpenArrayOptions): Promise<Contents> {
  const file = filePlace(place);
  if (file) return await fileContents(place, file, reading);
  if (await isPhyFolder(place)) return await sortingContents(place);
  const { kind, arrays, more } = await listArrays(place, reading);
  return { place, kind: KINDS[kind], arrays, more, next: nextOf(arrays) };
}

async function fileContents(
  place: string,
  file: FilePlace,
  reading: OpenArrayOptions,
): Promise<Contents> {
  const { kind, arrays, more } = await listArrays(place, reading);
  const recording = kind === "hdf5" ? await recordingOf(file.file) : undefined;
  return {
    ...{ place, arrays, more, kind: recording?.kind ?? KINDS[kind] },
    next: [...recording?.next ?? [], ...nextOf(arrays)],
  };
}

const KINDS: Record<FilePlace["kind"], string> = {
  npy: "an array of numpy",
  npz: "arrays of numpy",
  hdf5: "an HDF5 file",
  safetensors: "tensors",
  parquet: "a table in parquet",
  csv: "a table of text",
  tsv: "a table of text",
  raw: "numbers alone",
  zarr: "a zarr store",
};

/** What an NWB file has of a recording. */
async function recordingOf(place: string): Promise<{ kind: string; next: string[] } | undefined> {
  const file = await Hdf5File.open(place);
  try {
    if (!isNwb(file)) return undefined;
    const positions = spatialSeries(file);
    const spikes = file.access.dataset("units/spike_times") !== undefined;
    const kind = `a recording in NWB, ${spikes ? "with" : "without"} units, ${positions.length} ` +
      `position${positions.length === 1 ? "" : "s"}`;
    if (!spikes) return { kind, next: [] };
    if (positions.length === 1) return { kind, next: [`sluice decode ${place} ${OUTPUT}`] };
    const choices = positions.length > 0
      ? positions.map((path) => `--position ${place}/${path}`)
      : ["--position P --position-times PT"];
    return { kind, next: choices.map((choice) => `sluice decode ${place} ${choice} ${OUTPUT}`) };
  } finally {
    file.close();
  }
}

async function sortingContents(place: string): Promise<Contents> {
  const { times, clusters, sampleRate, labels } = await readPhy(place);
  const ids = new Set(clusters);
  const good = [...ids].filter((id) => labels?.byCluster.get(id) === "good").length;
  return {
    place,
    kind:
      `sorted spikes of Kilosort or phy: ${
        formatCount(times.length)
      } spikes of ${ids.size} units, ` +
      `${
        labels ? `${good} of them good by ${labels.file}` : "without labels"
      }, ${sampleRate} samples ` +
      "a second",
    arrays: [],
    more: 0,
    next: [`sluice decode ${place} --position-times PT --position P ${OUTPUT}`],
  };
}

/** What can be typed of the first array of rows. */
function nextOf(arrays: readonly ListedArray[]): string[] {
  const rows = arrays.find(({ shape }) => shape?.length === 2 && shape[0]! > 1 && shape[1]! > 1);
  if (!rows) return [];
  return [
    `sluice kmeans --input ${rows.place} --k 16 --out PLACE`,
    `sluice windows info ${rows.place} --size 30`,
  ];
}

/** For people. */
export function describeContents({ place, kind, arrays, more, next }: Contents): string {
  const rows = arrays.map(({ place, shape, dtype, refused }) => [
    place,
    refused === undefined ? `[${shape!.join(", ")}]` : "",
    dtype ?? "",
    ...refused === undefined ? [] : [refused],
  ]);
  const readable = rows.filter(({ length }) => length === 3);
  const others = rows.filter(({ length }) => length > 3);
  return [
    `${place}: ${kind}`,
    ...readable.length > 0 ? [formatTable([["array", "shape", "type"], ...readable])] : [],
    ...others.length > 0
      ? ["not read as arrays:", ...others.map(([name, , , why]) => `  ${name}: ${why}`)]
      : [],
    ...more > 0 ? [`and ${formatCount(more)} more`] : [],
    ...next.length > 0 ? ["what may be typed next:", ...next.map((line) => `  ${line}`)] : [],
  ].join("\n");
}
