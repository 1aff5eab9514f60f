/**
 * Files of JSON, an object on each line.
 *
 * @module
 */

import { ChunkError } from "../../errors.ts";
import type { Store } from "../../store/store.ts";
import { parseJson } from "../../zarr/json.ts";

type Line = Readonly<Record<string, unknown>>;

/** @throws {ChunkError} If it is missing, or no JSON object. */
export async function readJsonObject(
  store: Store,
  key: string,
): Promise<{ value: Line; path: string }> {
  const { bytes, path } = await readBytes(store, key);
  return { value: parse(bytes, path, "it"), path };
}

/** @throws {ChunkError} If it is missing, or a line is no JSON object. */
export async function readJsonLines(
  store: Store,
  key: string,
): Promise<{ lines: Line[]; path: string }> {
  const { bytes, path } = await readBytes(store, key);
  const lines: Line[] = [];
  for (let from = 0; from < bytes.length;) {
    const next = bytes.indexOf(10, from);
    const end = next < 0 ? bytes.length : next;
    const line = bytes.subarray(from, end);
    if (line.some((byte) => byte > 32)) lines.push(parse(line, path, `line ${lines.length + 1}`));
    from = end + 1;
  }
  return { lines, path };
}

async function readBytes(store: Store, key: string): Promise<{ bytes: Uint8Array; path: string }> {
  const path = store.place.replace(/\/$/, "") + key;
  const bytes = await store.get(key);
  if (!bytes) throw new ChunkError(`Cannot open "${path}": there is no such file`, path);
  return { bytes, path };
}

function parse(bytes: Uint8Array, path: string, what: string): Line {
  let value: unknown;
  try {
    value = parseJson(bytes);
  } catch (error) {
    throw new ChunkError(
      `Cannot open "${path}": ${what} is no JSON, ${(error as Error).message}`,
      path,
      error,
    );
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Line;
  throw new ChunkError(`Cannot open "${path}": ${what} is no object`, path);
}
