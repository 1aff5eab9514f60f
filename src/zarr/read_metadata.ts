/**
 * Reads what is said of an array. Every key, codec, option and type is known, or the array is refused by its
 * name: what is passed over here would be numbers that are wrong and say nothing.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { ArrayMetadata } from "./array_metadata.ts";
import { MOST_JSON_BYTES, parseJson, show } from "./json.ts";
import type { ZarrFormat } from "./metadata.ts";
import { parseV2 } from "./metadata_v2.ts";
import { parseV3 } from "./metadata_v3.ts";
import type { Json } from "./metadata_values.ts";
import { isObject } from "./metadata_values.ts";

/**
 * Reads the file that describes an array.
 *
 * @param folder Of the array in the store: `/name`, or nothing.
 * @throws {ChunkError} If there is none, or it says anything that is not known.
 */
export async function readMetadata(store: Store, folder: string): Promise<ArrayMetadata> {
  const full = store.place + folder;
  for (const [zarrFormat, name] of [[3, "zarr.json"], [2, ".zarray"]] as const) {
    const key = `${folder}/${name}`;
    const bytes = await store.get(key, { mostBytes: MOST_JSON_BYTES });
    if (!bytes) continue;
    try {
      if (zarrFormat === 3 && isGroup(bytes)) break;
      return parseArrayMetadata(bytes, zarrFormat);
    } catch (error) {
      const isJson = !(error instanceof SyntaxError);
      const path = isJson ? full : store.place + key;
      const reason = isJson ? (error as Error).message : "it is not JSON of an array";
      throw new ChunkError(`Cannot open "${path}": ${reason}`, path, error);
    }
  }
  throw new ChunkError(
    `Cannot open "${full}": there is no zarr array, wanted the place of one, as in ` +
      `file:x.zarr/name`,
    full,
  );
}

function isGroup(bytes: Uint8Array): boolean {
  return (parseJson(bytes) as { node_type?: unknown } | null)?.node_type !== "array";
}

/** Attributes of an array; those of version 2 lie beside it. */
export async function readAttributes(
  store: Store,
  folder: string,
  { zarrFormat, attributes }: Pick<ArrayMetadata, "zarrFormat" | "attributes">,
): Promise<Record<string, unknown>> {
  if (zarrFormat === 3) return attributes;
  const key = `${folder}/.zattrs`;
  const bytes = await store.get(key, { mostBytes: MOST_JSON_BYTES });
  if (!bytes) return {};
  try {
    return Object(parseJson(bytes));
  } catch (error) {
    const full = store.place + key;
    throw new ChunkError(`Cannot open "${full}": it is not JSON`, full, error);
  }
}

/**
 * Understands the file of an array.
 *
 * @throws {SyntaxError} If it is not JSON.
 * @throws {RangeError} If there is anything in it that is not known; the message begins with "its".
 */
function parseArrayMetadata(bytes: Uint8Array, zarrFormat: ZarrFormat): ArrayMetadata {
  const metadata = parseJson(bytes, BigInt);
  if (!isObject(metadata)) throw new SyntaxError("it is not an object");
  if (metadata.zarr_format !== zarrFormat) {
    throw new RangeError(
      `its zarr_format is ${show(metadata.zarr_format)}, wanted ${zarrFormat}`,
    );
  }
  if (zarrFormat === 2) return parseV2(metadata);
  const { attributes = {} } = parseJson(bytes) as Json;
  return parseV3(metadata, attributes);
}
