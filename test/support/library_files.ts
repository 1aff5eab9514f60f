/** Files as other libraries write them, and what those read: test/fixtures/make_files.py wrote them. */

import fixture from "../fixtures/files.json" with { type: "json" };
import { openStore } from "../../src/store/open_store.ts";
import type { NumericType } from "../../src/zarr/data_types.ts";
import { createElements } from "../../src/zarr/data_types.ts";
import type { NumericArray } from "../../src/types.ts";

export interface LibraryArray {
  dtype: NumericType;
  shape: number[];
  values: NumericArray;
}

interface StoredArray {
  dtype: string;
  shape: number[];
  values: (number | string | boolean)[];
}

const { files, arrays } = fixture as unknown as {
  files: Record<string, string>;
  arrays: Record<string, Record<string, StoredArray>>;
};

export async function libraryFile(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = Uint8Array.from(atob(files[name]!), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Arrays of a file, as its own library reads them. */
export function libraryArrays(file: string): Record<string, LibraryArray> {
  return Object.fromEntries(
    Object.entries(arrays[file]!).map(([name, { dtype, shape, values }]) => {
      const type = dtype as NumericType;
      const isLong = type === "int64" || type === "uint64";
      // half floats come as f32
      const numbers = createElements(type === "float16" ? "float32" : type, values.length);
      values.forEach((value, i) => {
        numbers[i] = (isLong ? BigInt(value) : readNumber(value)) as number;
      });
      return [name, { dtype: type, shape, values: numbers }];
    }),
  );
}

/** JSON has neither infinities nor NaN: they are texts, as Python writes them. */
function readNumber(value: number | string | boolean): number {
  if (typeof value !== "string") return Number(value);
  return { inf: Infinity, "-inf": -Infinity, nan: NaN }[value] ?? Number(value);
}

/** Puts files into a memory store, and gives its place. */
export async function putFiles(
  name: string,
  contents: Readonly<Record<string, Uint8Array>>,
): Promise<string> {
  const place = `memory:${name}`;
  const store = await openStore(place, { mode: "write" });
  for (const [key, bytes] of Object.entries(contents)) await store.set(`/${key}`, bytes);
  await store.close();
  return place;
}
