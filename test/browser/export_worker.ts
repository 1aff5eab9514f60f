/** Exports in a worker, the one place where browsers write files synchronously, and reads it back. */

import { openArray, readAll } from "../../src/array/array.ts";
import { openNetcdf } from "../../src/files/hdf5_array.ts";
import type { ExportOptions } from "../../src/io/netcdf_export.ts";
import { exportNetcdf } from "../../src/io/netcdf_export.ts";

export interface ExportRequest {
  place: string;
  file: string;
  options: ExportOptions;
  /** Variables to compare. */
  names: readonly string[];
}

export type ExportAnswer = { fileBytes: number; unequal: string[] } | { error: string };

async function exportAndCompare(
  { place, file, options, names }: ExportRequest,
): Promise<ExportAnswer> {
  try {
    const { fileBytes } = await exportNetcdf(place, file, options);
    const unequal: string[] = [];
    for (const name of names) {
      const [stored, found] = [await openArray(`${place}/${name}`), await openNetcdf(file, name)];
      const [wanted, values] = [await readAll(stored), await readAll(found)];
      const equal = stored.shape.join() === found.shape.join() &&
        wanted.every((value, i) => Object.is(value, values[i]));
      if (!equal) unequal.push(name);
      await stored.close();
      await found.close();
    }
    return { fileBytes, unequal };
  } catch (error) {
    return { error: `${(error as Error).name}: ${(error as Error).message}` };
  }
}

globalThis.onmessage = async ({ data }: MessageEvent<ExportRequest>) => {
  globalThis.postMessage(await exportAndCompare(data));
};
