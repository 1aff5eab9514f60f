/**
 * Whether an input is the one that results were taken of: a digest of all that is read of it, and, where it
 * lies in files, what tells without reading that they are as they were.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { ChunkError, OutputConflictError } from "../errors.ts";
import { digestOf } from "../math/digest.ts";
import { filePlace } from "../files/file_place.ts";
import { siblingPlace, splitPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/open_store.ts";
import type { Corpus, InputRecord } from "./inputs.ts";

/** The files of an input at a moment. */
export interface InputStamp {
  text: string;
  /** When one of them last changed, milliseconds. */
  changedMs: number;
}

const RECORD = "/input.json";
/** A file may be written to twice at one time of its clock. */
const SETTLED_MS = 2000;
/** Files that are asked for at a time. */
const AT_ONCE = 32;

/** Of values and of what is said of them. */
export function digestCorpus(
  { frames, energy, utterances, kinds }: Corpus,
  contents: string,
): Promise<string> {
  const facts = [utterances, kinds, frames.shape, frames.dtype, energy?.dtype];
  return digestOf([JSON.stringify(facts), contents]);
}

/** What is thrown where results are there of what an input was. */
export function changedInput(place: string): OutputConflictError {
  return new OutputConflictError(
    `Cannot go on with "${place}": results are there of other frames, energies or names than it has ` +
      "now; allow overwriting, or name another place for results",
    place,
  );
}

/** Stamp of files of a store; `undefined` where it does not tell. */
export async function stampFiles(
  store: Store,
  keys: readonly string[],
): Promise<InputStamp | undefined> {
  if (!store.stamp || keys.length === 0) return undefined;
  const texts: string[] = [];
  let changedMs = 0;
  const left = keys.entries();
  let isTold = true;
  const work = async () => {
    for (const [i, key] of left) {
      const stamp = await store.stamp!(key);
      if (!stamp) isTold = false;
      texts[i] = `${key} ${stamp?.text}`;
      changedMs = Math.max(changedMs, stamp?.changedMs ?? 0);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return isTold ? { text: await digestOf([store.place, ...texts]), changedMs } : undefined;
}

/** Stamp of the files that arrays lie in; `undefined` unless all are places of files. */
export async function stampArrays(
  sources: readonly (string | ChunkedArray)[],
): Promise<InputStamp | undefined> {
  const stamps: InputStamp[] = [];
  for (const source of sources) {
    if (typeof source !== "string") return undefined;
    const file = filePlace(source)?.file;
    const { folder, key } = file === undefined ? { folder: source, key: "/" } : splitPlace(file);
    const store = await openStore(folder);
    try {
      // servers tell neither stamps nor what they have
      const keys = !store.stamp ? [] : file !== undefined ? [key] : await store.list("/");
      const stamp = await stampFiles(store, keys);
      if (!stamp) return undefined;
      stamps.push(stamp);
    } finally {
      await store.close();
    }
  }
  return {
    text: await digestOf(stamps.map(({ text }) => text)),
    changedMs: Math.max(...stamps.map(({ changedMs }) => changedMs)),
  };
}

/**
 * Takes the digest of an input's values, unless its files are those that a record tells of.
 *
 * @throws {ChunkError} If files changed while they were read.
 */
export async function identify(
  what: string,
  stamp: () => Promise<InputStamp | undefined>,
  record: InputRecord | undefined,
  digest: () => Promise<string>,
): Promise<{ contents: string; record: InputRecord | undefined }> {
  const before = await stamp();
  if (before && record?.stamp === before.text) return { contents: record.contents, record };
  const contents = await digest();
  await checkUnchanged(what, before, stamp);
  const isSettled = before && Date.now() - before.changedMs > SETTLED_MS;
  return { contents, record: isSettled ? { stamp: before.text, contents } : undefined };
}

/** @throws {ChunkError} If files are not as they were. */
export async function checkUnchanged(
  what: string,
  before: InputStamp | undefined,
  stamp: () => Promise<InputStamp | undefined>,
): Promise<void> {
  if (!before || (await stamp())?.text === before.text) return;
  throw new ChunkError(
    `Cannot go on with "${what}": its files changed while they were read, run again once they stay`,
    what,
  );
}

/** What is kept beside the results in `out`. */
export async function readRecord(out: string): Promise<InputRecord | undefined> {
  const store = await openStore(recordPlace(out));
  try {
    const bytes = await store.get(RECORD);
    const { stamp, contents } = bytes ? JSON.parse(new TextDecoder().decode(bytes)) : {};
    const isText = typeof stamp === "string" && typeof contents === "string";
    return isText ? { stamp, contents } : undefined;
  } catch (error) {
    // what cannot be read tells nothing: values are read instead
    if (error instanceof SyntaxError) return undefined;
    throw error;
  } finally {
    await store.close();
  }
}

/** Keeps a record, or none where files do not tell. */
export async function keepRecord(out: string, record: InputRecord | undefined): Promise<void> {
  const store = await openStore(recordPlace(out), { mode: "write" });
  try {
    if (record) await store.set(RECORD, new TextEncoder().encode(JSON.stringify(record)));
    else await store.delete(RECORD);
  } finally {
    await store.close();
  }
}

function recordPlace(out: string): string {
  return siblingPlace(out, ".journal");
}
