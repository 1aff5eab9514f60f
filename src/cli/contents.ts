/**
 * What a file or folder holds, and what can be done with it: `sluice info FILE`.
 *
 * @module
 */

import type { OpenFile } from "../array/file_arrays.ts";
import type { OpenArrayOptions } from "../array/array.ts";
import { namesInGroup, openArrayFile } from "../array/file_arrays.ts";
import { ChunkError } from "../errors.ts";
import type { FilePlace } from "../files/file_place.ts";
import { filePlace } from "../files/file_place.ts";
import { Hdf5File } from "../files/hdf5_array.ts";
import { isNwb, spatialSeries } from "../files/nwb.ts";
import { isPhyFolder, readPhy } from "../io/phy.ts";
import { formatCount, formatTable } from "../math/format.ts";
import { openStore } from "../store/open_store.ts";
import { openZarrArray } from "../zarr/zarr_array.ts";

/** An array, or why it is none that can be read. */
interface Entry {
  place: string;
  shape?: readonly number[];
  dtype?: string;
  refused?: string;
}

export interface Contents {
  place: string;
  /** In words. */
  kind: string;
  arrays: Entry[];
  /** Arrays that are not listed. */
  more: number;
  /** What may be typed next. */
  next: string[];
}

/** Arrays that are listed. */
const MOST_ENTRIES = 500;
const OUTPUT = "--bin-size S --out PLACE";

/** @throws {ChunkError} If there is nothing that can be read. */
export async function contentsOf(place: string, reading: OpenArrayOptions): Promise<Contents> {
  const file = filePlace(place);
  if (file) return await fileContents(place, file, reading);
  if (await isPhyFolder(place)) return await sortingContents(place);
  return await zarrContents(place, reading);
}

async function fileContents(
  place: string,
  file: FilePlace,
  reading: OpenArrayOptions,
): Promise<Contents> {
  const opened = await openArrayFile(file, reading);
  try {
    const all = file.kind === "raw" ? [file.inside] : await opened.names();
    const names = all.filter((name) =>
      file.inside === "" || name === file.inside || name.startsWith(`${file.inside}/`)
    );
    if (names.length === 0) {
      throw new ChunkError(`Cannot list "${place}": there is no array of that name`, place);
    }
    const arrays: Entry[] = [];
    for (const name of names.slice(0, MOST_ENTRIES)) arrays.push(await entryOf(opened, file, name));
    const [only] = arrays;
    if (arrays.length === 1 && only!.refused !== undefined) {
      throw new ChunkError(`Cannot list "${only!.place}": ${only!.refused}`, only!.place);
    }
    const recording = file.kind === "hdf5" ? await recordingOf(file.file) : undefined;
    return {
      place,
      kind: recording?.kind ?? KINDS[file.kind],
      arrays,
      more: names.length - arrays.length,
      next: [...recording?.next ?? [], ...nextOf(arrays)],
    };
  } finally {
    await opened.close();
  }
}

const KINDS: Record<FilePlace["kind"], string> = {
  npy: "an array of numpy",
  npz: "arrays of numpy",
  hdf5: "an HDF5 file",
  safetensors: "tensors",
  parquet: "a table in parquet",
  raw: "numbers alone",
  zarr: "a zarr store",
};

async function entryOf(opened: OpenFile, { file }: FilePlace, name: string): Promise<Entry> {
  const place = name === "" ? file : `${file}/${name}`;
  try {
    const { shape, dtype } = await opened.look(name);
    return { place, shape, dtype };
  } catch (error) {
    if (!(error instanceof ChunkError)) throw error;
    // the place is told already
    return { place, refused: error.message.replace(/^Cannot open .*?": /s, "") };
  }
}

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

async function zarrContents(place: string, reading: OpenArrayOptions): Promise<Contents> {
  const store = await openStore(place, reading);
  try {
    const files = ["/zarr.json", "/.zgroup", "/.zarray", "/.zmetadata"];
    const sizes = await Promise.all(files.map((file) => store.size(file)));
    if (sizes.every((size) => size === undefined)) {
      throw new ChunkError(
        `Cannot list "${place}": wanted a file in .npy, .npz, .h5, .nwb, .mat, .nc, .safetensors or ` +
          ".parquet, a zarr store, or a folder of Kilosort or phy",
        place,
      );
    }
    const names = await namesInGroup(store);
    const arrays: Entry[] = [];
    for (const name of names.slice(0, MOST_ENTRIES)) {
      const full = name === "" ? place : `${place}/${name}`;
      try {
        const array = await openZarrArray(store, name === "" ? "/" : `/${name}`);
        arrays.push({ place: full, shape: array.shape, dtype: array.dtype });
        await array.close();
      } catch (error) {
        if (!(error instanceof ChunkError)) throw error;
        arrays.push({ place: full, refused: error.message.replace(/^Cannot open .*?: /s, "") });
      }
    }
    const more = Math.max(0, names.length - arrays.length);
    return { place, kind: "a zarr store", arrays, more, next: nextOf(arrays) };
  } finally {
    await store.close();
  }
}

/** What can be typed of the first array of rows. */
function nextOf(arrays: readonly Entry[]): string[] {
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
