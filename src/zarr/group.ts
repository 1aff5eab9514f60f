/**
 * The arrays of a zarr group, version 3 or 2.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { ZarrFormat } from "./metadata.ts";
import { readGroupAttributes } from "./metadata.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import type { ZarrLayout } from "./zarr_array.ts";
import { openZarrArray, readZarrLayout, readZarrText } from "./zarr_array.ts";

/** One array of a group, of numbers or of strings. */
export interface ZarrVariable extends Pick<ZarrLayout, "shape" | "attributes"> {
  name: string;
  dims: readonly string[];
  /** Its rows; `undefined` for strings. It needs no closing. */
  array: ChunkedArray | undefined;
  /** Reads all of an array of strings, in C order. */
  readText(): Promise<string[]>;
}

export interface ZarrGroup {
  attributes: Record<string, unknown>;
  /** Sorted by name. */
  variables: ZarrVariable[];
}

/**
 * Opens a group. Its arrays are read from `store`, which stays the caller's.
 *
 * @throws {ChunkError} If there is no group, it holds other groups, or an axis has no name.
 */
export async function openZarrGroup(store: Store): Promise<ZarrGroup> {
  const { place } = store;
  const group = await readGroupAttributes(store);
  if (!group) throw new ChunkError(`Cannot open ${place}: there is no zarr group`, place);
  const variables: ZarrVariable[] = [];
  for (const name of await arrayNames(store, group.zarrFormat)) {
    const path = `/${name}`;
    const { shape, isText, attributes, dims } = await readZarrLayout(store, path);
    if (name.includes("/")) {
      throw new ChunkError(`Cannot open ${place}: "${name}" is in a group of its own`, place);
    }
    if (dims?.length !== shape.length) {
      throw new ChunkError(
        `Cannot open ${place + path}: it has ${shape.length} axes and ${dims?.length ?? 0} names ` +
          "for them",
        place + path,
      );
    }
    variables.push({
      name,
      shape,
      dims,
      attributes,
      array: isText ? undefined : await openZarrArray(store, path),
      readText: () => readZarrText(store, path),
    });
  }
  return { attributes: group.attributes, variables };
}

/** Names of the arrays below a group, sorted. */
export async function arrayNames(store: Store, format: ZarrFormat): Promise<string[]> {
  const file = format === 3 ? "zarr.json" : ".zarray";
  const keys = await store.list("/");
  return keys.filter((key) => key.endsWith(`/${file}`) && key !== `/${file}`)
    .map((key) => key.slice(1, -file.length - 1)).sort();
}
