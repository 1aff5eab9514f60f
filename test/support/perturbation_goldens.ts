/** What the original computed of small cases in f64: see the README beside them. */

import { openArray, readAll } from "../../src/array/array.ts";
import { sharedFile, sharedJson } from "./shared_data.ts";

interface Entry {
  name: string;
  shape: number[];
  offset: number;
}

/** Reads a case; every group once. */
export async function goldenCase(name: string) {
  const folder = `golden/perturbation/${name}`;
  const manifest = await sharedJson(`${folder}/manifest.json`) as Record<string, Entry[]>;
  const groups = ["params", "inputs", "forward"];
  const values = await Promise.all(
    groups.map(async (group) =>
      await readAll(await openArray(await sharedFile(`${folder}/${group}.npy`))) as Float64Array
    ),
  );
  return {
    scalars: manifest.scalars as unknown as Record<string, number>,
    has: (group: string, wanted: string) => manifest[group]!.some(({ name }) => name === wanted),
    get(group: string, wanted: string) {
      const entry = manifest[group]!.find(({ name }) => name === wanted);
      if (!entry) {
        throw new RangeError(`no ${wanted} among ${manifest[group]!.map(({ name }) => name)}`);
      }
      const { shape, offset } = entry;
      const length = shape.reduce((count, size) => count * size, 1);
      return { shape, values: values[groups.indexOf(group)]!.subarray(offset, offset + length) };
    },
  };
}
