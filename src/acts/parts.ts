/**
 * Activations that came in parts, by one writer or several: a folder of zarr groups, each complete or not
 * there.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import type { OpenStoreOptions } from "../store/open_store.ts";
import { childPlace } from "../store/place.ts";
import type { ActsSource } from "./source.ts";
import { joinSources } from "./source.ts";
import { openActsSource } from "./stored.ts";

/** What a part is called. */
export function partName(writer: string, index: number): string {
  return `part-${writer}-${String(index).padStart(5, "0")}.zarr`;
}

/** Key of the file that a writer leaves when it is done. */
export function doneKey(writer: string): string {
  return `/done-${writer}`;
}

const PART = /^\/(part-(.+)-(\d{5})\.zarr)\/zarr\.json$/;

/** Parts that have begun, in order. */
export function partsOf(
  keys: readonly string[],
): { name: string; writer: string; index: number }[] {
  return keys.map((key) => PART.exec(key)).filter((match) => match !== null)
    .map(([, name, writer, index]) => ({ name: name!, writer: writer!, index: Number(index) }))
    .sort((a, b) => a.writer < b.writer ? -1 : a.writer > b.writer ? 1 : a.index - b.index);
}

/**
 * Opens all parts, merged by sample ids.
 *
 * @throws {ChunkError} If a writer has not finished, unless that is allowed.
 * @throws {RangeError} If a sample id comes twice; names it, and both parts.
 */
export async function openParts(
  place: string,
  keys: readonly string[],
  { unfinished, ...reading }: OpenStoreOptions & { unfinished: boolean },
): Promise<ActsSource> {
  const parts = partsOf(keys);
  const open = parts.find(({ writer }) => !keys.includes(doneKey(writer)));
  if (open && !unfinished) {
    throw new ChunkError(
      `Cannot load activations from ${place}: the writer "${open.writer}" has not finished, wanted it to ` +
        "run again, or unfinished: true for what is there",
      place,
    );
  }
  const sources: ActsSource[] = [];
  try {
    for (const { name, writer } of parts) {
      try {
        sources.push(await openActsSource(childPlace(place, name), reading));
      } catch (error) {
        // the last one of a writer may be half-written
        const isLast = name === parts.findLast((own) => own.writer === writer)!.name;
        if (!unfinished || !isLast || keys.includes(doneKey(writer))) throw error;
      }
    }
    if (sources.length === 0) {
      throw new ChunkError(`Cannot load activations from ${place}: no part is complete`, place);
    }
    return { ...joinSources(sources), name: place };
  } catch (error) {
    for (const source of sources) await source.close();
    throw error;
  }
}
