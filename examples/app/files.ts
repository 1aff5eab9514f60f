/** Files of this page: those that were dropped, and what is downloaded, in private files or in memory. */

import { exportNetcdf, exportZip, listArrays, openArray, readAll } from "sluice";
import type { ChunkedArray } from "sluice";
import type { Source, Storage } from "./settings.ts";

/** Folder of this page among the files of its site. */
const HOME = "sluice-app";
const NPY = /\.npy$/i;

let kind: Storage["kind"] = "memory";
/** Files that are read where they lie, by the places they go by: where nothing may be kept. */
const held = new Map<string, File>();

const root = () => navigator.storage.getDirectory();
const home = async () => await (await root()).getDirectoryHandle(HOME, { create: true });

/** Finds out where files can be kept. */
export async function findStorage(): Promise<Storage> {
  try {
    // refused in sandboxed frames, and in private windows of some browsers
    const folder = await home();
    await folder.getFileHandle("try", { create: true });
    await folder.removeEntry("try");
    kind = navigator.locks === undefined ? "memory" : "opfs";
  } catch {
    kind = "memory";
  }
  const { quota = Infinity, usage = 0 } = kind === "opfs" ? await navigator.storage.estimate() : {};
  return { kind, availableBytes: kind === "opfs" ? quota - usage : MEMORY_BYTES };
}

/** What a result may take where it lies in memory alone. */
const MEMORY_BYTES = 512 * 2 ** 20;

export const resultPlace = (name: string) => `${kind}:${HOME}/${name}.zarr`;

/** Copies files in, since a page that is loaded again has lost hold of what was dropped. */
export async function takeFiles(files: { path: string; file: File }[]): Promise<Source> {
  held.clear();
  const places: string[] = [];
  if (kind === "opfs") await remove("inputs");
  for (const { path, file } of files) {
    // as openArray() takes it: a store is its folder
    const [, store] = /^(.*?\.zarr)\//i.exec(path) ?? [];
    const place = kind === "opfs" ? `opfs:${HOME}/inputs/${store ?? path}` : path;
    if (kind === "opfs") await copyIn(path, file);
    else if (NPY.test(path)) held.set(path, file);
    else {
      throw new TypeError(
        `Cannot take "${path}": this page may keep no files, wanted .npy, or a page in a tab of its own`,
      );
    }
    if (!places.includes(place)) places.push(place);
  }
  const arrays = [];
  for (const place of places) {
    const file = held.get(place);
    if (!file) arrays.push(...(await listArrays(place)).arrays);
    else {
      const { shape, dtype } = await openArray(file);
      arrays.push({ place, shape, dtype });
    }
  }
  const nwb = places.find((place) => /\.nwb$/i.test(place));
  return { kind: "files", arrays, ...nwb !== undefined && { nwb } };
}

async function copyIn(path: string, file: File): Promise<void> {
  const parts = path.split("/");
  let folder = await (await home()).getDirectoryHandle("inputs", { create: true });
  for (const name of parts.slice(0, -1)) {
    folder = await folder.getDirectoryHandle(name, { create: true });
  }
  const handle = await folder.getFileHandle(parts.at(-1)!, { create: true });
  await file.stream().pipeTo(await handle.createWritable());
}

export async function openInput(place: string): Promise<ChunkedArray> {
  return await openArray(held.get(place) ?? place);
}

/** Removes a result, and what a run of it has left. */
export async function discardResult(name: string): Promise<void> {
  if (kind === "opfs") {
    for (const suffix of ["", ".journal"]) await remove(`${name}.zarr${suffix}`);
  }
}

export async function clearFiles(): Promise<void> {
  if (kind === "opfs") await (await root()).removeEntry(HOME, { recursive: true });
}

async function remove(name: string): Promise<void> {
  await (await home()).removeEntry(name, { recursive: true }).catch((error: Error) => {
    if (error.name !== "NotFoundError") throw error;
  });
}

/** A result as one file. */
export async function packResult(name: string, format: "zip" | "netcdf"): Promise<Blob> {
  // a file of plain numbers can be read back from anywhere
  const file = "download.bin";
  const [from, to] = [resultPlace(name), `${kind}:${HOME}/${file}`];
  if (format === "zip") await exportZip(from, to, { overwrite: true });
  else await exportNetcdf(from, to, { overwrite: true });
  if (kind === "opfs") return await (await (await home()).getFileHandle(file)).getFile();
  const array = await openArray(`${to}/uint8`);
  return new Blob([await readAll(array) as Uint8Array<ArrayBuffer>]);
}
