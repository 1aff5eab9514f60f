/**
 * The arrays of a zarr group, version 3 or 2.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { checkedStore } from "./checksums.ts";
import { knownArrays } from "./group_writer.ts";
import type { Store } from "../store/store.ts";
import { parseJson } from "./json.ts";
import type { GroupDescription, ZarrFormat } from "./metadata.ts";
import { readGroupAttributes } from "./metadata.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import type { ZarrLayout } from "./zarr_array.ts";
import { openZarrArray, readZarrLayout, readZarrText } from "./zarr_array.ts";

/** One array of a group, of numbers or of strings. */
export interface ZarrVariable extends Pick<ZarrLayout, "shape" | "attributes"> {
  name: string;
  dims: readonly string[];
  /** Its rows; one for a single value, `undefined` for strings. It needs no closing. */
  array: ChunkedArray | undefined;
  /** What the metadata of version 2 call missing; attributes may say it, too. */
  fillValue: unknown;
  /** Reads all of an array of strings, in C order. */
  readText(): Promise<string[]>;
}

export interface ZarrGroup {
  attributes: Record<string, unknown>;
  /** Sorted by name. */
  variables: ZarrVariable[];
}

/**
 * Opens a group. Its arrays are read from `stored`, which stays the caller's.
 *
 * @throws {ChunkError} If there is no group, it holds other groups, or an axis has no name.
 */
export async function openZarrGroup(stored: Store): Promise<ZarrGroup> {
  const store = await checkedStore(stored);
  const { place } = store;
  const group = await readGroupAttributes(store) ?? await readPlainGroup(store);
  if (!group) throw new ChunkError(`Cannot open ${place}: there is no zarr group`, place);
  const variables: ZarrVariable[] = [];
  // of a result, arrays that it names and that are not there are missing
  const named = group.attributes.complete === undefined ? [] : await knownArrays(store);
  const found = await arrayNames(store, group.zarrFormat);
  for (const name of [...new Set([...named, ...found])].sort()) {
    const path = `/${name}`;
    const { shape, isText, fillValue, attributes, dims } = await readZarrLayout(store, path);
    if (name.includes("/")) {
      throw new ChunkError(`Cannot open ${place}: "${name}" is in a group of its own`, place);
    }
    if (shape.length > 0 && dims?.length !== shape.length) {
      throw new ChunkError(
        `Cannot open ${place + path}: it has ${shape.length} axes and ${dims?.length ?? 0} names ` +
          "for them",
        place + path,
      );
    }
    variables.push({
      name,
      shape,
      dims: dims ?? [],
      attributes,
      fillValue,
      array: isText ? undefined : await openZarrArray(store, path, "row"),
      readText: () => readZarrText(store, path),
    });
  }
  return { attributes: group.attributes, variables };
}

/** A group of version 2 whose metadata are not consolidated. */
async function readPlainGroup(store: Store): Promise<GroupDescription | undefined> {
  if (!await store.get("/.zgroup")) return undefined;
  const key = "/.zattrs";
  const bytes = await store.get(key);
  try {
    const attributes = bytes ? parseJson(bytes) as Record<string, unknown> : {};
    // of ours that file comes last: a run was killed before
    if (String(attributes.format).startsWith("sluice.")) return undefined;
    return { zarrFormat: 2, attributes, arrays: [] };
  } catch (cause) {
    const path = store.place + key;
    throw new ChunkError(`Cannot read "${path}": it is not JSON`, path, cause);
  }
}

/** Names of the arrays below a group, sorted. */
export async function arrayNames(store: Store, format: ZarrFormat): Promise<string[]> {
  const file = format === 3 ? "zarr.json" : ".zarray";
  const keys = await store.list("/");
  return keys.filter((key) => key.endsWith(`/${file}`) && key !== `/${file}`)
    .map((key) => key.slice(1, -file.length - 1)).sort();
}
