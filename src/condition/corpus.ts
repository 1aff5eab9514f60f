/**
 * Frames of many utterances: one array with the frames at which utterances begin, or a zarr store with a
 * group for each utterance, which is copied into one array first.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../array/array.ts";
import { openArray, readAll } from "../array/array.ts";
import { openZarrArray, readZarrText } from "../array/zarr.ts";
import { ChunkError } from "../errors.ts";
import type { TableRow } from "../io/table.ts";
import { readTable } from "../io/table.ts";
import { digestOf } from "../math/digest.ts";
import type { NumericType } from "../store/data_types.ts";
import { elementBytes } from "../store/data_types.ts";
import { splitPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/store.ts";
import type { ZarrArraySpec } from "../store/zarr_metadata.ts";
import { readGroupAttributes } from "../store/zarr_metadata.ts";
import { ChunkWriter } from "../store/chunk_writer.ts";
import { removeGroup, writeArray, writeGroup } from "../store/zarr_writer.ts";
import type { Utterance } from "./rows.ts";

/** A zarr store with a group for each utterance. */
export interface GroupsInput {
  /**
   * Its place. A group, named by the utterance, holds `x` `[frames, features]`, perhaps `energy` `[frames]`,
   * and the attribute `speaker_id`, perhaps `n_frames`.
   */
  latents: string;
  /** A CSV or parquet file with the columns `utterance_id` and perhaps `speaker_id`; all groups without. */
  index?: string;
}

/** One array of frames; `segments` and `speakers`, or `index`, tell whose they are. */
export interface FramesInput {
  /** `[frames, features]`, a place or an array. */
  frames: string | ChunkedArray;
  /** First frame of every utterance, ascending from 0; or the place of an array of them. */
  segments?: string | ArrayLike<number>;
  /** Speaker of every utterance; or the place of an array, or of a `.json` list. */
  speakers?: string | ArrayLike<string | number>;
  /** A CSV or parquet file with the columns `utterance_id`, `speaker_id` and `n_frames`, in order. */
  index?: string;
  /** `[frames]`. */
  energy?: string | ChunkedArray;
}

export type CorpusInput = GroupsInput | FramesInput;

/** Frames of all utterances. */
export interface Corpus {
  /** `[frames, features]`. */
  frames: ChunkedArray;
  /** `[frames]`. */
  energy: ChunkedArray | undefined;
  /** Ascending. */
  utterances: readonly Utterance[];
  /** Closes what was opened for it. */
  close(): Promise<void>;
}

export interface OpenCorpusOptions extends ReadOptions {
  /** Where frames of groups are copied to; a copy that is there already is used. */
  copyTo: string;
  /** Told which share of them is copied. */
  onCopy?: (share: number) => void;
  /** Looks at a corpus whose frames cannot be read yet, before anything is copied, and may throw. */
  check?: (corpus: Corpus) => void;
}

/**
 * Opens a corpus.
 *
 * @throws {ChunkError} If something is missing or damaged; names the utterance.
 * @throws {RangeError} If shapes, segments and speakers do not belong together.
 */
export function openCorpus(input: CorpusInput, options: OpenCorpusOptions): Promise<Corpus> {
  return "latents" in input ? openGroups(input, options) : openFrames(input);
}

async function openFrames(input: FramesInput): Promise<Corpus> {
  const opened: ChunkedArray[] = [];
  const open = async (source: string | ChunkedArray) => {
    if (typeof source !== "string") return source;
    const array = await openArray(source);
    opened.push(array);
    return array;
  };
  const close = async () => {
    for (const array of opened) await array.close();
  };
  try {
    const frames = await open(input.frames);
    checkFrames(frames, "frames");
    const utterances = await frameUtterances(input, frames.shape[0]!);
    const energy = input.energy === undefined ? undefined : await open(input.energy);
    if (energy) checkEnergy(energy, frames.shape[0]!, "energy");
    return { frames, energy, utterances, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function frameUtterances(
  { segments, speakers, index }: FramesInput,
  frames: number,
): Promise<Utterance[]> {
  if (index !== undefined) {
    const table = await readTable(index);
    checkColumns(table, ["utterance_id", "speaker_id", "n_frames"], index);
    let next = 0;
    const utterances = table.map(({ utterance_id, speaker_id, n_frames }) => {
      const start = next;
      next += frameCount(n_frames!, utterance_id!);
      return { id: utterance_id!, speaker: speaker_id!, start, end: next };
    });
    if (next !== frames) {
      throw new RangeError(
        `Cannot use the index "${index}": its utterances have ${next} frames together, there are ` +
          `${frames}`,
      );
    }
    return utterances;
  }
  const firsts = typeof segments === "string"
    ? Array.from(await readValues(segments), Number)
    : Array.from(segments ?? []);
  const names = typeof speakers === "string"
    ? await readNames(speakers)
    : Array.from(speakers ?? []);
  if (firsts.length === 0 || firsts.length !== names.length) {
    throw new RangeError(
      `Cannot tell utterances apart: there are ${firsts.length} segments and ${names.length} ` +
        "speakers, wanted a speaker for each segment, or an index",
    );
  }
  return firsts.map((start, i) => {
    const end = firsts[i + 1] ?? frames;
    const isFirst = i > 0 || start === 0;
    if (!(Number.isInteger(start) && isFirst && start < end && end <= frames)) {
      throw new RangeError(
        `Cannot tell utterances apart: segment ${i} has the frames from ${start} up to ${end}, wanted ` +
          `ascending ones from 0 within the ${frames} frames`,
      );
    }
    return { id: String(i), speaker: String(names[i]), start, end };
  });
}

function frameCount(text: string, id: string): number {
  const count = Number(text);
  if (!(Number.isInteger(count) && count >= 1)) {
    throw new RangeError(
      `Cannot use the index: "${id}" has "${text}" frames, wanted a whole number from 1`,
    );
  }
  return count;
}

async function readValues(place: string): Promise<ArrayLike<number>> {
  const array = await openArray(place);
  try {
    return await readAll(array) as ArrayLike<number>;
  } finally {
    await array.close();
  }
}

async function readNames(place: string): Promise<(string | number)[]> {
  if (!/\.json$/i.test(place)) return Array.from(await readValues(place), String);
  const { folder, key } = splitPlace(place);
  const store = await openStore(folder);
  try {
    const names: unknown = parseJson(await store.get(key), place);
    if (Array.isArray(names)) return names;
    throw new ChunkError(`Cannot read "${place}": it holds no list, wanted one of speakers`, place);
  } finally {
    await store.close();
  }
}

function parseJson(bytes: Uint8Array | undefined, place: string) {
  if (!bytes) throw new ChunkError(`Cannot read "${place}": there is no such file`, place);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new ChunkError(`Cannot read "${place}": it is not JSON`, place, error);
  }
}

function checkColumns(table: readonly TableRow[], names: readonly string[], place: string): void {
  const row = table[0];
  if (!row) throw new RangeError(`Cannot use the index "${place}": it has no rows`);
  const missing = names.filter((name) => !(name in row));
  if (missing.length === 0) return;
  throw new RangeError(
    `Cannot use the index "${place}": it has no column ${missing.join(", ")}, only ` +
      Object.keys(row).join(", "),
  );
}

function checkFrames({ shape, dtype }: ChunkedArray, what: string): void {
  const isNumber = dtype !== "string" && !/64$/.test(dtype) || dtype === "float64";
  if (shape.length === 2 && shape[0]! >= 1 && shape[1]! >= 1 && isNumber) return;
  throw new RangeError(
    `Cannot use ${what}: it has shape [${shape}] of ${dtype}, wanted [frames, features] of numbers ` +
      "up to 32 bits or float64",
  );
}

function checkEnergy({ shape, dtype }: ChunkedArray, frames: number, what: string): void {
  if (shape.length === 1 && shape[0] === frames && dtype.startsWith("float")) return;
  throw new RangeError(
    `Cannot use ${what}: it has shape [${shape}] of ${dtype}, wanted [${frames}] of floats, one for ` +
      "each frame",
  );
}

/** What the index or the store say of a group. */
interface Group {
  id: string;
  speaker: string;
  x: ChunkedArray;
  energy: ChunkedArray | undefined;
}

/** Names of what the copy holds, beside `frames` and `energy`. */
const COPY_FORMAT = "sluice.frames";
/** Bytes of a chunk of the copy, about. */
const CHUNK_BYTES = 4 * 2 ** 20;
/** Groups whose values tell whether a copy is still that of the store. */
const SAMPLED_GROUPS = 16;

async function openGroups(
  { latents, index }: GroupsInput,
  { copyTo, onCopy, check, signal }: OpenCorpusOptions,
): Promise<Corpus> {
  const source = await openStore(latents);
  try {
    const table = index === undefined ? undefined : await readTable(index);
    if (table) checkColumns(table, ["utterance_id"], index!);
    const ids = table?.map(({ utterance_id }) => utterance_id!) ?? await groupNames(source);
    if (new Set(ids).size < ids.length) {
      const twice = ids.find((id, i) => ids.indexOf(id) < i);
      throw new RangeError(`Cannot use the index "${index}": "${twice}" is in it twice`);
    }
    const groups: Group[] = [];
    for (const [i, id] of ids.entries()) {
      signal?.throwIfAborted();
      groups.push(await openGroup(source, id, table?.[i]?.speaker_id));
    }
    const less = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;
    // a speaker's frames lie together
    groups.sort((a, b) => less(a.speaker, b.speaker) || less(a.id, b.id));
    checkAlike(groups, latents);
    const digest = await digestGroups(groups);
    const copy = await openStore(copyTo, { mode: "write" });
    try {
      const found = (await readGroupAttributes(copy).catch(() => undefined))?.attributes;
      if (found?.format !== COPY_FORMAT || found.source_digest !== digest) {
        check?.(describeGroups(groups));
        await copyGroups(groups, copy, digest, onCopy, signal);
      }
      return await openCopy(copy);
    } catch (error) {
      await copy.close();
      throw error;
    }
  } finally {
    await source.close();
  }
}

/** Paths of the groups that hold an array `x`. */
async function groupNames(store: Store): Promise<string[]> {
  const keys = await store.list("/");
  const paths = keys.map((key) => /^\/(.+)\/(?:\.zarray|\.zgroup|zarr\.json)$/.exec(key)?.[1])
    .filter((path) => path !== undefined).sort();
  const ids = new Set(
    paths.filter((path) => path.endsWith("/x")).map((path) => path.slice(0, -"/x".length)),
  );
  const above = (path: string) => {
    const parts = path.split("/");
    return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
  };
  const folders = new Set([...ids].flatMap(above));
  const stray = paths.find((path) =>
    !ids.has(path) && !folders.has(path) && !above(path).some((parent) => ids.has(parent))
  );
  if (stray !== undefined) throw withoutX(`${store.place}/${stray}`);
  if (ids.size === 0) {
    throw new ChunkError(
      `Cannot open "${store.place}": it holds no zarr groups, wanted one for each utterance`,
      store.place,
    );
  }
  return [...ids];
}

function withoutX(place: string, cause?: unknown): ChunkError {
  return new ChunkError(
    `Cannot open "${place}": it has no array x, wanted one of [frames, features]`,
    place,
    cause,
  );
}

async function openGroup(store: Store, id: string, named: string | undefined): Promise<Group> {
  const place = `${store.place}/${id}`;
  const [v3, v2] = [`/${id}/zarr.json`, `/${id}/.zattrs`];
  const bytes = await store.get(v3);
  const attributes = bytes
    ? parseJson(bytes, store.place + v3).attributes ?? {}
    : parseJson(await store.get(v2) ?? new TextEncoder().encode("{}"), store.place + v2);
  const speaker = named ?? attributes.speaker_id;
  if (speaker === undefined || speaker === "") {
    throw new ChunkError(
      `Cannot use "${place}": nothing says whose it is, wanted speaker_id`,
      place,
    );
  }
  const has = async (name: string) =>
    await store.size(`/${id}/${name}/zarr.json`) ?? await store.size(`/${id}/${name}/.zarray`);
  if (await has("x") === undefined) throw withoutX(place);
  const x = await openZarrArray(store, `/${id}/x`);
  checkFrames(x, `"${place}/x"`);
  const frames = x.shape[0]!;
  if (attributes.n_frames !== undefined && attributes.n_frames !== frames) {
    throw new ChunkError(
      `Cannot use "${place}": its n_frames is ${attributes.n_frames}, x has ${frames} frames`,
      place,
    );
  }
  if (await has("energy") === undefined) {
    return { id, speaker: String(speaker), x, energy: undefined };
  }
  const energy = await openZarrArray(store, `/${id}/energy`);
  checkEnergy(energy, frames, `"${place}/energy"`);
  return { id, speaker: String(speaker), x, energy };
}

function checkAlike(groups: readonly Group[], place: string): void {
  const [first] = groups as [Group];
  for (const group of groups) {
    const problem = group.x.shape[1] !== first.x.shape[1]
      ? `${group.x.shape[1]} features, "${first.id}" has ${first.x.shape[1]}`
      : group.x.dtype !== first.x.dtype
      ? `frames of ${group.x.dtype}, "${first.id}" has ${first.x.dtype}`
      : !group.energy !== !first.energy
      ? `${group.energy ? "an" : "no"} energy, "${first.id}" has ${first.energy ? "one" : "none"}`
      : undefined;
    if (problem === undefined) continue;
    throw new ChunkError(`Cannot use "${place}": "${group.id}" has ${problem}`, place);
  }
}

/** Of all names and lengths, and the values of a few groups. */
async function digestGroups(groups: readonly Group[]): Promise<string> {
  const names = groups.map(({ id, speaker, x }) => [id, speaker, x.shape[0]]);
  const { x, energy } = groups[0]!;
  const parts: (string | ArrayBufferView)[] = [
    JSON.stringify([names, x.shape[1], x.dtype, energy?.dtype]),
  ];
  const count = Math.min(SAMPLED_GROUPS, groups.length);
  for (let i = 0; i < count; i++) {
    const group = groups[Math.floor(i * groups.length / count)]!;
    parts.push(await readAll(group.x));
    if (group.energy) parts.push(await readAll(group.energy));
  }
  return await digestOf(parts);
}

/** The corpus that a copy of groups will be, without its values. */
function describeGroups(groups: readonly Group[]): Corpus {
  let end = 0;
  const utterances = groups.map(({ id, speaker, x }) => {
    const start = end;
    end += x.shape[0]!;
    return { id, speaker, start, end };
  });
  const [{ x, energy }] = groups as [Group];
  return {
    frames: { ...x, shape: [end, x.shape[1]!] },
    energy: energy && { ...energy, shape: [end] },
    utterances,
    close: () => Promise.resolve(),
  };
}

/** Copies frames and energies of all groups into one array each. */
async function copyGroups(
  groups: readonly Group[],
  copy: Store,
  digest: string,
  onCopy: ((share: number) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  await removeGroup(copy);
  const { frames, energy, utterances } = describeGroups(groups);
  const spec = (name: string, { dtype, shape }: ChunkedArray): ZarrArraySpec => {
    const inner = shape.slice(1);
    const rowBytes = elementBytes(dtype as NumericType) * (inner[0] ?? 1);
    const rows = Math.min(shape[0]!, Math.max(1, Math.floor(CHUNK_BYTES / rowBytes)));
    const dims = ["frame", "feature"].slice(0, shape.length);
    return { name, dtype, shape, chunkShape: [rows, ...inner], dims };
  };
  const texts = (name: string): ZarrArraySpec => {
    const shape = [groups.length];
    return { name, dtype: "string", shape, chunkShape: shape, dims: ["utterance"] };
  };
  const specs = [spec("frames", frames), ...energy ? [spec("energy", energy)] : []];
  const writers = specs.map((own) => new ChunkWriter(copy, own));
  for (const [i, group] of groups.entries()) {
    signal?.throwIfAborted();
    const { start, end } = utterances[i]!;
    for (const [j, array] of [group.x, group.energy].entries()) {
      if (array) await writers[j]!.write(start, await readAll(array), signal);
    }
    onCopy?.(end / frames.shape[0]!);
  }
  for (const writer of writers) await writer.finish();
  const ids = texts("utterance_id");
  const speakers = texts("speaker_id");
  const lengths: ZarrArraySpec = { ...ids, name: "end", dtype: "float64" };
  await writeArray(copy, ids, groups.map(({ id }) => id));
  await writeArray(copy, speakers, groups.map(({ speaker }) => speaker));
  await writeArray(copy, lengths, Float64Array.from(utterances, ({ end }) => end));
  // what shows the copy comes last
  await writeGroup(copy, {
    attributes: { format: COPY_FORMAT, source_digest: digest },
    arrays: [...specs, ids, speakers, lengths],
  });
}

async function openCopy(copy: Store): Promise<Corpus> {
  const [ids, speakers] = [
    await readZarrText(copy, "/utterance_id"),
    await readZarrText(copy, "/speaker_id"),
  ];
  const ends = await readAll(await openZarrArray(copy, "/end")) as Float64Array;
  const hasEnergy = await copy.size("/energy/zarr.json") !== undefined;
  return {
    frames: await openZarrArray(copy, "/frames"),
    energy: hasEnergy ? await openZarrArray(copy, "/energy") : undefined,
    utterances: ids.map((id, i) => ({
      id,
      speaker: speakers[i]!,
      start: ends[i - 1] ?? 0,
      end: ends[i]!,
    })),
    close: () => copy.close(),
  };
}
