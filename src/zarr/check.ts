/**
 * Tells of a zarr store what is whole, what is missing and what is damaged, and how to go on.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, signal } from "../options.ts";
import { ChunkError } from "../errors.ts";
import { openJournal } from "../store/journal.ts";
import { partialKey } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/open_store.ts";
import type { ZarrFormat } from "./metadata.ts";
import { readGroupAttributes } from "./metadata.ts";
import { arrayNames } from "./group.ts";
import type { ZarrLayout } from "./zarr_array.ts";
import { chunkPositions, openZarrArray, readZarrLayout } from "./zarr_array.ts";

/** The files of one array of a store. */
export interface ArrayCheck {
  name: string;
  /** Files it has when it is whole: shards, or chunks where each has its own. */
  files: number;
  wholeFiles: number;
  /** Files that are being written, or were when a run was interrupted. */
  unfinished: string[];
  missing: string[];
  damaged: { path: string; reason: string }[];
}

/** What {@link checkStore} found. */
export interface StoreCheck {
  place: string;
  /** `whole`, `unfinished` but sound, or `damaged`. */
  state: "whole" | "unfinished" | "damaged";
  zarrFormat: ZarrFormat;
  arrays: ArrayCheck[];
  /**
   * What is stored for good of a run that has not finished, `steps` being checkpoints;
   * `undefined` if there is no journal.
   */
  journal: { steps: number; pass: string; row: number; damagedBytes: number } | undefined;
  /** What to do, in a sentence. */
  advice: string;
}

export const checkOptions = declare("check a store", { signal });

export type CheckOptions = OptionsOf<typeof checkOptions>;

/**
 * Reads every chunk of a store, one at a time, and compares checksums where the format has them.
 *
 * @throws {ChunkError} If there is no zarr group, or its metadata cannot be read.
 */
export async function checkStore(
  place: string,
  options: CheckOptions = {},
): Promise<StoreCheck> {
  const { signal } = checkOptions.check(options);
  const store = await openStore(place);
  try {
    const group = await readGroupAttributes(store);
    if (!group) {
      // a run that was killed in its first moments
      const journal = await checkJournal(place);
      if (journal) {
        const advice = advise("unfinished", journal);
        return { place, state: "unfinished", zarrFormat: 3, arrays: [], journal, advice };
      }
      throw new ChunkError(`Cannot check ${place}: there is no zarr group, wanted one`, place);
    }
    const { zarrFormat, attributes } = group;
    const arrays: ArrayCheck[] = [];
    for (const name of await arrayNames(store, zarrFormat)) {
      signal?.throwIfAborted();
      arrays.push(await checkArray(store, name, signal));
    }
    const journal = await checkJournal(place);
    const complete = attributes.complete !== false;
    const damaged = arrays.some((array) =>
      array.damaged.length > 0 || (complete && array.wholeFiles < array.files)
    );
    const state = damaged ? "damaged" : complete ? "whole" : "unfinished";
    return { place, state, zarrFormat, arrays, journal, advice: advise(state, journal) };
  } finally {
    await store.close();
  }
}

function advise(state: StoreCheck["state"], journal: StoreCheck["journal"]): string {
  switch (state) {
    case "whole":
      return "whole: every chunk is there and readable";
    case "damaged":
      return "damaged: run the same plan with overwriting allowed to compute it again";
    case "unfinished":
      return journal
        ? `unfinished: run the same plan again, it goes on in pass "${journal.pass}" at row ` +
          `${journal.row}`
        : "unfinished, and nothing is stored for good: run the same plan again, it starts over";
  }
}

async function checkArray(
  store: Store,
  name: string,
  signal: AbortSignal | undefined,
): Promise<ArrayCheck> {
  const layout = await readZarrLayout(store, `/${name}`);
  const found: ArrayCheck = {
    name,
    files: 0,
    wholeFiles: 0,
    unfinished: [],
    missing: [],
    damaged: [],
  };
  const zeros = layout.shape.map(() => 0);
  for (const position of chunkPositions(zeros, layout.shape, layout.fileShape)) {
    signal?.throwIfAborted();
    const key = `/${name}/${layout.fileName(position)}`;
    const path = store.place + key;
    found.files++;
    if (await store.size(key) === undefined) {
      const unfinished = await store.size(partialKey(key)) !== undefined;
      (unfinished ? found.unfinished : found.missing).push(path);
      continue;
    }
    const reason = layout.isText ? undefined : await problemOf(store, name, layout, position);
    if (reason === undefined) found.wholeFiles++;
    else found.damaged.push({ path, reason });
  }
  return found;
}

/** Why the rows of a file cannot be read; `undefined` if they can. */
async function problemOf(
  store: Store,
  name: string,
  { shape, fileShape }: ZarrLayout,
  position: readonly number[],
): Promise<string | undefined> {
  // opened anew, since an index that was read once is kept
  const array = await openZarrArray(store, `/${name}`);
  const start = position[0]! * fileShape[0]!;
  const end = Math.min(shape[0]!, start + fileShape[0]!);
  try {
    for (let row = start; row < end; row += array.chunkRows!) {
      await array.read(row, Math.min(end, row + array.chunkRows!));
    }
    return undefined;
  } catch (error) {
    if (error instanceof ChunkError) return error.message;
    throw error;
  } finally {
    await array.close();
  }
}

async function checkJournal(place: string): Promise<StoreCheck["journal"]> {
  const journal = await openJournal(place);
  try {
    if (await journal.claim() === undefined) return undefined;
    const log = await journal.readLog();
    const last = log.at(-1)?.entry as { pass: string; storedTo: number } | undefined;
    if (!last) return undefined;
    const whole = log.reduce((sum, { bytes }) => sum + bytes, 0);
    return {
      steps: log.length,
      pass: last.pass,
      row: last.storedTo,
      damagedBytes: await journal.logBytes() - whole,
    };
  } finally {
    await journal.close();
  }
}
