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
import type { Checksums, FileSum } from "./checksums.ts";
import { CHECKSUMS_KEY, problemOfFile, readChecksums } from "./checksums.ts";
import { knownArrays } from "./group_writer.ts";
import type { ZarrFormat } from "./metadata.ts";
import { isGroupFile, readGroupAttributes, ROOT_KEYS } from "./metadata.ts";
import { arrayNames } from "./group.ts";
import type { ZarrLayout } from "./zarr_array.ts";
import { chunkPositions, openZarrArray, readZarrLayout, readZarrText } from "./zarr_array.ts";

/** The files of one array of a store. */
export interface ArrayCheck {
  name: string;
  /** Files it has when it is whole: shards, or chunks where each has its own. */
  files: number;
  wholeFiles: number;
  /** Files that are being written, or were when a run was interrupted. */
  unfinished: string[];
  missing: string[];
  damaged: FileDamage[];
}

/** What is wrong with a file. */
export interface FileDamage {
  path: string;
  reason: string;
}

/** What {@link checkStore} found. */
export interface StoreCheck {
  place: string;
  /** `whole`, `unfinished` but sound, or `damaged`. */
  state: "whole" | "unfinished" | "damaged";
  zarrFormat: ZarrFormat;
  arrays: ArrayCheck[];
  /** Files of the group itself that are missing or not as they were stored. */
  damaged: FileDamage[];
  /**
   * Whether there is a list of checksums. Without one, what is swapped or changed is found where chunks have
   * checksums of their own, and nowhere else.
   */
  hasChecksums: boolean;
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
 * Reads every chunk of a store, one at a time, and compares checksums: those of the list that results have, and
 * of chunks where the format has them. What has to be there is told by the list and the metadata of the group.
 *
 * @throws {ChunkError} If there is no zarr group.
 */
export async function checkStore(
  place: string,
  options: CheckOptions = {},
): Promise<StoreCheck> {
  const { signal } = checkOptions.check(options);
  const store = await openStore(place);
  try {
    const damaged: FileDamage[] = [];
    const note = (error: unknown) => {
      if (!(error instanceof ChunkError)) throw error;
      damaged.push({ path: error.path, reason: error.message });
      return undefined;
    };
    const list = await readChecksums(store).catch(note);
    const group = await readGroupAttributes(store).catch(note);
    const journal = await checkJournal(place);
    const isShown = list && Object.values(ROOT_KEYS).some((key) => list.files.has(key));
    if (!group && !isShown && damaged.length === 0) {
      // a run that was killed in its first moments
      if (journal || list) {
        const advice = advise("unfinished", journal, false);
        const found = { arrays: [], damaged, hasChecksums: false, journal, advice };
        return { place, state: "unfinished", zarrFormat: 3, ...found };
      }
      throw new ChunkError(`Cannot check ${place}: there is no zarr group, wanted one`, place);
    }
    const zarrFormat = group?.zarrFormat ?? (list?.files.has(ROOT_KEYS[2]) ? 2 : 3);
    const isBegun = await checkGroupFiles(store, list, damaged);
    const complete = !isBegun && group?.attributes.complete !== false;
    const arrays: ArrayCheck[] = [];
    // other writers have no such attribute, and chunks that are missing there are the fill value
    const isOurs = list !== undefined || group?.attributes.complete !== undefined;
    const known = isOurs ? await knownArrays(store) : [];
    // what else lies in the folder of a result is not a part of it
    const names = known.length > 0 ? known : await arrayNames(store, zarrFormat);
    for (const name of names) {
      signal?.throwIfAborted();
      arrays.push(await checkArray(store, { name, zarrFormat, list }, signal));
    }
    // coordinates are there as long as a run is
    const isListed = (path: string) => list?.files.has(path.slice(store.place.length)) ?? false;
    const isDamaged = damaged.length > 0 ||
      arrays.some((array) =>
        array.damaged.length > 0 || array.missing.some(isListed) ||
        (complete && isOurs && array.wholeFiles < array.files)
      );
    const state = isDamaged ? "damaged" : complete ? "whole" : "unfinished";
    const hasChecksums = list !== undefined;
    const advice = advise(state, journal, isOurs && !hasChecksums);
    return { place, state, zarrFormat, arrays, damaged, hasChecksums, journal, advice };
  } finally {
    await store.close();
  }
}

function advise(
  state: StoreCheck["state"],
  journal: StoreCheck["journal"],
  lacksChecksums: boolean,
): string {
  switch (state) {
    case "whole":
      return lacksChecksums
        ? `whole: every chunk is there and readable; there is no ${
          CHECKSUMS_KEY.slice(1)
        }, so what ` +
          "has no checksum of its own may have changed"
        : "whole: every chunk is there and readable";
    case "damaged":
      return "damaged: run the same plan with overwriting allowed to compute it again";
    case "unfinished":
      return journal
        ? `unfinished: run the same plan again, it goes on in pass "${journal.pass}" at row ` +
          `${journal.row}`
        : "unfinished, and nothing is stored for good: run the same plan again, it starts over";
  }
}

/**
 * Compares the group's own files with the list.
 *
 * @returns Whether some are as they are while a run has not finished.
 */
async function checkGroupFiles(
  store: Store,
  list: Checksums | undefined,
  damaged: FileDamage[],
): Promise<boolean> {
  if (!list) return false;
  const { files, begun } = list;
  let isBegun = false;
  // of groups within it
  const isInner = (key: string) =>
    /\/\.z(group|attrs)$/.test(key) && files.has(key.replace(/[a-z]+$/, "zgroup"));
  const own = new Set(
    [...files.keys(), ...begun.keys()].filter((key) => isGroupFile(key) || isInner(key)),
  );
  for (const key of own) {
    const problem = async (sum: FileSum | undefined) =>
      sum ? await problemOfFile(store, key, sum) : "it is of a run that has not finished";
    const reason = await problem(files.get(key));
    if (reason === undefined) continue;
    const path = store.place + key;
    if (await problem(begun.get(key)) === undefined) isBegun = true;
    else if (!damaged.some((other) => other.path === path)) damaged.push({ path, reason });
  }
  return isBegun;
}

interface ArrayPlace {
  name: string;
  zarrFormat: ZarrFormat;
  list: Checksums | undefined;
}

async function checkArray(
  store: Store,
  { name, zarrFormat, list }: ArrayPlace,
  signal: AbortSignal | undefined,
): Promise<ArrayCheck> {
  const found: ArrayCheck = {
    name,
    files: 0,
    wholeFiles: 0,
    unfinished: [],
    missing: [],
    damaged: [],
  };
  const folder = `/${name}/`;
  const listed = new Map([...list?.files ?? []].filter(([key]) => key.startsWith(folder)));
  const metadata = zarrFormat === 3 ? ["zarr.json"] : [".zarray", ".zattrs"];
  for (const file of metadata) {
    const key = folder + file;
    const sum = listed.get(key);
    const reason = sum && await problemOfFile(store, key, sum);
    if (reason) found.damaged.push({ path: store.place + key, reason });
    listed.delete(key);
  }
  let layout: ZarrLayout | undefined;
  if (found.damaged.length === 0) {
    try {
      layout = await readZarrLayout(store, `/${name}`);
    } catch (error) {
      if (!(error instanceof ChunkError)) throw error;
      found.damaged.push({ path: error.path, reason: error.message });
    }
  }
  const positions = new Map(layout ? filesOf(name, layout) : []);
  for (const key of new Set([...positions.keys(), ...listed.keys()])) {
    signal?.throwIfAborted();
    const path = store.place + key;
    found.files++;
    if (await store.size(key) === undefined) {
      const unfinished = await store.size(partialKey(key)) !== undefined;
      (unfinished ? found.unfinished : found.missing).push(path);
      continue;
    }
    const sum = listed.get(key);
    const reason = sum
      ? await problemOfFile(store, key, sum)
      : layout && await problemOf(store, name, layout, positions.get(key)!);
    if (reason === undefined) found.wholeFiles++;
    else found.damaged.push({ path, reason });
  }
  return found;
}

/** Keys of all files of an array, with their positions in the grid of files. */
function* filesOf(name: string, layout: ZarrLayout): Generator<[string, number[]]> {
  const zeros = layout.shape.map(() => 0);
  for (const position of chunkPositions(zeros, layout.shape, layout.fileShape)) {
    yield [`/${name}/${layout.fileName(position)}`, position];
  }
}

/** Why the rows of a file cannot be read; `undefined` if they can. */
async function problemOf(
  store: Store,
  name: string,
  { shape, fileShape, isText }: ZarrLayout,
  position: readonly number[],
): Promise<string | undefined> {
  try {
    if (isText) {
      await readZarrText(store, `/${name}`);
      return undefined;
    }
    // opened anew, since an index that was read once is kept
    const array = await openZarrArray(store, `/${name}`);
    try {
      const start = position[0]! * fileShape[0]!;
      const end = Math.min(shape[0]!, start + fileShape[0]!);
      for (let row = start; row < end; row += array.chunkRows!) {
        await array.read(row, Math.min(end, row + array.chunkRows!));
      }
      return undefined;
    } finally {
      await array.close();
    }
  } catch (error) {
    if (error instanceof ChunkError) return error.message;
    throw error;
  }
}

/**
 * What is not there of a result that says it is complete, in words: a file, of which nothing is read but its
 * size. `undefined` if all is there.
 */
export async function firstHole(store: Store): Promise<string | undefined> {
  const list = await readChecksums(store);
  const missing = (key: string) => `"${store.place}${key}" is missing`;
  if (list) {
    for (const [key, { bytes }] of list.files) {
      const size = await store.size(key);
      if (size === undefined) return missing(key);
      if (size !== bytes) return `"${store.place}${key}" holds ${size} bytes, wanted ${bytes}`;
    }
    return undefined;
  }
  const zarrFormat = (await readGroupAttributes(store))?.zarrFormat;
  for (const name of await knownArrays(store)) {
    const metadata = `/${name}/${zarrFormat === 3 ? "zarr.json" : ".zarray"}`;
    if (await store.size(metadata) === undefined) return missing(metadata);
    for (const [key] of filesOf(name, await readZarrLayout(store, `/${name}`))) {
      if (await store.size(key) === undefined) return missing(key);
    }
  }
  return undefined;
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
