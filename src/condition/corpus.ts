/**
 * Frames of many utterances: one array with the frames at which utterances begin, or a zarr store with a
 * group for each utterance, which is copied into one array first.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../array/array.ts";
import { openArray, readAll } from "../array/array.ts";
import { openZarrArray } from "../array/zarr.ts";
import { ChunkError, OutputConflictError } from "../errors.ts";
import type { TableRow } from "../io/table.ts";
import { readTable } from "../io/table.ts";
import { digestOf } from "../math/digest.ts";
import type { ByteRange } from "../store/byte_range.ts";
import type { NumericType } from "../store/data_types.ts";
import { elementBytes } from "../store/data_types.ts";
import { parsePlace, splitPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/store.ts";
import { StoreView } from "../store/store_view.ts";
import type { ZarrArraySpec } from "../store/zarr_metadata.ts";
import { readGroupAttributes } from "../store/zarr_metadata.ts";
import { ChunkWriter } from "../store/chunk_writer.ts";
import { removeGroup, writeArray, writeGroup } from "../store/zarr_writer.ts";
import type { InputRecord } from "./identity.ts";
import { checkUnchanged, digestValues, identify, stampArrays, stampFiles } from "./identity.ts";
import type { Id, IdKind, Utterance } from "./rows.ts";

/** A zarr store with a group for each utterance. */
export interface GroupsInput {
  /**
   * Its place. A group, named by the utterance, holds `x` `[frames, features]`, perhaps `energy` `[frames]`,
   * and the attribute `speaker_id`, perhaps `n_frames`.
   */
  latents: string;
  /**
   * A CSV, parquet or JSON table (a list of objects) with the column `utterance_id`, perhaps `speaker_id` and
   * `n_frames`, of all groups. What it says of one has to be what the group says.
   */
  index?: string;
}

/** One array of frames; `segments` and `speakers`, or `index`, tell whose they are. */
export interface FramesInput {
  /** `[frames, features]`, a place or an array. */
  frames: string | ChunkedArray;
  /** First frame of every utterance, ascending from 0; or the place of an array of them. */
  segments?: string | ArrayLike<number>;
  /** Speaker of every utterance; or the place of an array, or of a `.json` list. */
  speakers?: string | ArrayLike<Id>;
  /** A table as that of groups, with the columns `utterance_id`, `speaker_id` and `n_frames`, in order. */
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
  /** Ascending; each has a name of its own. */
  utterances: readonly Utterance[];
  /** What names are, where the input tells. */
  kinds: { speaker: IdKind; utterance: IdKind };
  /** Utterances that were left out, as they have no frames. */
  empty: number;
  /** Closes what was opened for it. */
  close(): Promise<void>;
}

/** A corpus that can be told from any other. */
export interface IdentifiedCorpus extends Corpus {
  /** Of all that is read. */
  digest: string;
  /** What spares the next run to read all of it for a digest; `undefined` where files do not tell. */
  record: InputRecord | undefined;
  /** @throws {ChunkError} If files that are still to be read have changed. */
  checkUnchanged(): Promise<void>;
}

export interface OpenCorpusOptions extends ReadOptions {
  /** Where frames of groups are copied to; a copy that is there already is used. */
  copyTo: string;
  /** Copies what is copied already, and looks at no record. */
  overwrite: boolean;
  /** Of an earlier run. */
  record: InputRecord | undefined;
  /** Digest of the input that results are there of. */
  expected: string | undefined;
  /** Told which share of the frames is read, to be copied or to tell whether they have changed. */
  onRead?: (share: number, what: "copy" | "compare") => void;
  /** Looks at a corpus whose frames cannot be read yet, before any are read, and may throw. */
  check?: (corpus: Corpus) => void;
}

/**
 * Opens a corpus.
 *
 * @throws {ChunkError} If something is missing or damaged; names the utterance.
 * @throws {RangeError} If shapes, segments, speakers and index do not belong together.
 * @throws {OutputConflictError} If results are there of what the input was before it changed.
 */
export function openCorpus(
  input: CorpusInput,
  options: OpenCorpusOptions,
): Promise<IdentifiedCorpus> {
  return "latents" in input ? openGroups(input, options) : openFrames(input, options);
}

async function openFrames(
  input: FramesInput,
  { record, expected, overwrite, onRead, check, signal }: OpenCorpusOptions,
): Promise<IdentifiedCorpus> {
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
    const told = await frameUtterances(input, frames.shape[0]!);
    const energy = input.energy === undefined ? undefined : await open(input.energy);
    if (energy) checkEnergy(energy, frames.shape[0]!, "energy");
    const corpus = { frames, energy, ...told, close };
    check?.(corpus);
    const sources = [input.frames, ...input.energy === undefined ? [] : [input.energy]];
    const stamp = () => stampArrays(sources);
    const name = typeof input.frames === "string" ? input.frames : "frames";
    const before = await stamp();
    const found = await identify(name, stamp, overwrite ? undefined : record, async () => {
      const parts: string[] = [];
      for (const [i, array] of [frames, ...energy ? [energy] : []].entries()) {
        const onShare = (share: number) => i === 0 && onRead?.(share, "compare");
        parts.push(await digestValues(array, { onShare, ...(signal && { signal }) }));
      }
      return await digestOf(parts);
    });
    const digest = await digestCorpus(corpus, found.contents);
    if (expected !== undefined && digest !== expected) throw changedInput(name);
    return {
      ...corpus,
      digest,
      record: found.record,
      checkUnchanged: () => checkUnchanged(name, before, stamp),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Of values and of what is said of them. */
function digestCorpus(
  { frames, energy, utterances, kinds }: Corpus,
  contents: string,
): Promise<string> {
  const facts = [utterances, kinds, frames.shape, frames.dtype, energy?.dtype];
  return digestOf([JSON.stringify(facts), contents]);
}

function changedInput(place: string): OutputConflictError {
  return new OutputConflictError(
    `Cannot go on with "${place}": results are there of other frames, energies or names than it has ` +
      "now; allow overwriting, or name another place for results",
    place,
  );
}

type Told = Pick<Corpus, "utterances" | "kinds" | "empty">;

async function frameUtterances(input: FramesInput, frames: number): Promise<Told> {
  const { index } = input;
  if (index !== undefined) {
    const table = await readIndex(index, ["utterance_id", "speaker_id", "n_frames"]);
    let next = 0;
    const utterances = table.map(({ id, speaker, frames }) => {
      if (frames === undefined) throw withoutFrames(index, id);
      if (speaker === undefined) {
        throw new RangeError(
          `Cannot use the index "${index}": it has no speaker_id of "${id.text}"`,
        );
      }
      const start = next;
      next += frames;
      return { id: id.text, speaker: speaker.text, start, end: next };
    });
    if (next !== frames) {
      throw new RangeError(
        `Cannot use the index "${index}": its utterances have ${next} frames together, there are ` +
          `${frames}`,
      );
    }
    const kinds = {
      speaker: oneKind(table.map(({ id, speaker }) => [id.text, speaker!]), "speaker_id"),
      utterance: oneKind(table.map(({ id }) => [id.text, id]), "utterance_id"),
    };
    return withoutEmpty(utterances, kinds);
  }
  const { segments, speakers } = input;
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
  const own = names.map((name, i) => {
    const speaker = nameOf(name, () => `the speaker of segment ${i}`);
    if (speaker) return speaker;
    throw new RangeError(
      `Cannot tell speakers apart: that of segment ${i} is ${
        JSON.stringify(name) ?? name
      }, wanted a ` +
        "text or a whole number",
    );
  });
  const utterances = firsts.map((start, i) => {
    const end = firsts[i + 1] ?? frames;
    const isFirst = i > 0 || start === 0;
    if (!(Number.isInteger(start) && isFirst && start <= end && end <= frames)) {
      throw new RangeError(
        `Cannot tell utterances apart: segment ${i} has the frames from ${start} up to ${end}, wanted ` +
          `ascending ones from 0 within the ${frames} frames`,
      );
    }
    return { id: String(i), speaker: own[i]!.text, start, end };
  });
  const speaker = oneKind(own.map((name, i) => [`segment ${i}`, name]), "speaker");
  return withoutEmpty(utterances, { speaker, utterance: "number" });
}

function withoutEmpty(utterances: readonly Utterance[], kinds: Corpus["kinds"]): Told {
  const own = utterances.filter(({ start, end }) => end > start);
  return { utterances: own, kinds, empty: utterances.length - own.length };
}

/** A name as it is compared and stored, and what it was. */
interface Name {
  text: string;
  kind: IdKind;
}

/** `undefined` of nothing: null, NaN (Python's word for a missing number) or an empty text. */
function nameOf(value: unknown, what: () => string): Name | undefined {
  if (value === undefined || value === null || value === "" || Number.isNaN(value)) {
    return undefined;
  }
  if (typeof value === "string") return { text: value, kind: "text" };
  const isWhole = Number.isSafeInteger(value) || typeof value === "bigint";
  if (isWhole) return { text: String(value), kind: "number" };
  throw new RangeError(
    `Cannot tell speakers and utterances apart: ${what()} is ${
      JSON.stringify(value)
    }, wanted a text or ` +
      "a whole number up to 2^53",
  );
}

/** What all names are. `1` and `"1"` would be two where a program tells numbers from texts, and one here. */
function oneKind(names: readonly (readonly [string, Name])[], what: string): IdKind {
  const first = names.find(([, { kind }]) => kind !== undefined);
  const other = names.find(([, { kind }]) => kind !== undefined && kind !== first![1].kind);
  if (!first || !other) return first?.[1].kind;
  const tell = ([id, { text, kind }]: readonly [string, Name]) =>
    `${kind === "text" ? JSON.stringify(text) : text} of ${id}`;
  throw new RangeError(
    `Cannot tell names apart: ${what} is ${tell(first)} and ${
      tell(other)
    }, wanted numbers or texts alone`,
  );
}

/** A row of an index. */
interface IndexRow {
  id: Name;
  speaker: Name | undefined;
  frames: number | undefined;
}

async function readIndex(place: string, columns: readonly string[]): Promise<IndexRow[]> {
  const isJson = /\.json$/i.test(place);
  const table: readonly Record<string, unknown>[] = isJson
    ? await readList(place) as TableRow[]
    : await readTable(place);
  const problem = (what: string) => new RangeError(`Cannot use the index "${place}": ${what}`);
  if (table.length === 0) throw problem("it has no rows");
  const stray = table.findIndex((row) => typeof row !== "object" || row === null);
  if (stray >= 0) {
    throw problem(`row ${stray} is ${JSON.stringify(table[stray])}, wanted an object`);
  }
  const missing = columns.filter((name) => !table.some((row) => name in row));
  if (missing.length > 0) {
    throw problem(
      `it has no column ${missing.join(", ")}, only ${Object.keys(table[0]!).join(", ")}`,
    );
  }
  const seen = new Set<string>();
  return table.map((row, i) => {
    const name = (column: string) => {
      const found = nameOf(row[column], () => `${column} of row ${i} of the index`);
      // a table of text does not tell what a name was
      return found && { text: found.text, kind: isJson ? found.kind : undefined };
    };
    const id = name("utterance_id");
    if (!id) throw problem(`row ${i} has no utterance_id`);
    if (seen.has(id.text)) throw problem(`"${id.text}" is in it twice`);
    seen.add(id.text);
    const { n_frames } = row;
    const isTold = n_frames !== undefined && n_frames !== null && n_frames !== "" &&
      !Number.isNaN(n_frames);
    const frames = isTold ? Number(n_frames) : undefined;
    if (frames !== undefined && !(Number.isInteger(frames) && frames >= 0)) {
      throw problem(`"${id.text}" has "${n_frames}" frames, wanted a whole number`);
    }
    return { id, speaker: name("speaker_id"), frames };
  });
}

function withoutFrames(index: string, { text }: Name): RangeError {
  return new RangeError(`Cannot use the index "${index}": it has no n_frames of "${text}"`);
}

async function readValues(place: string): Promise<ArrayLike<number>> {
  const array = await openArray(place);
  try {
    return await readAll(array) as ArrayLike<number>;
  } finally {
    await array.close();
  }
}

async function readNames(place: string): Promise<unknown[]> {
  return /\.json$/i.test(place) ? await readList(place) : Array.from(await readValues(place));
}

async function readList(place: string): Promise<unknown[]> {
  const { folder, key } = splitPlace(place);
  const store = await openStore(folder);
  try {
    const list: unknown = parseJson(await store.get(key), place);
    if (Array.isArray(list)) return list;
    throw new ChunkError(`Cannot read "${place}": it holds no list, wanted one`, place);
  } finally {
    await store.close();
  }
}

/** JSON as Python writes it, with NaN and infinities; those are read as null. */
function parseJson(bytes: Uint8Array | undefined, place: string) {
  if (!bytes) throw new ChunkError(`Cannot read "${place}": there is no such file`, place);
  const text = new TextDecoder().decode(bytes);
  try {
    return JSON.parse(replaceBareNumbers(text, () => "null"));
  } catch (error) {
    throw new ChunkError(`Cannot read "${place}": it is not JSON`, place, error);
  }
}

/** Replaces NaN, Infinity and -Infinity where they stand outside texts. */
function replaceBareNumbers(json: string, by: (word: string) => string): string {
  return json.replace(
    /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/gs,
    (part) => part.startsWith('"') ? part : by(part),
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
  speaker: Name;
  x: ChunkedArray;
  energy: ChunkedArray | undefined;
}

/** Names of what the copy holds, beside `frames` and `energy`. */
const COPY_FORMAT = "sluice.frames";
/** Bytes of a chunk of the copy, about. */
const CHUNK_BYTES = 4 * 2 ** 20;

async function openGroups(
  { latents, index }: GroupsInput,
  { copyTo, overwrite, record, expected, onRead, check, signal }: OpenCorpusOptions,
): Promise<IdentifiedCorpus> {
  const source = await openStore(latents);
  try {
    const { groups, empty } = await findGroups(source, index, signal);
    const described = describeGroups(groups, empty);
    check?.(described);
    const copy = await openStore(copyTo, { mode: "write" });
    try {
      const options = signal ? { signal } : {};
      const stamp = async () =>
        await stampFiles(source, source.stamp ? await source.list("/") : []);
      const compare = () => readGroups(groups, options, (share) => onRead?.(share, "compare"));
      const write = () =>
        copyGroups(groups, described, copy, options, (share) => onRead?.(share, "copy"));
      const digestOfInput = async (contents: string) => {
        const digest = await digestCorpus(described, contents);
        if (expected !== undefined && digest !== expected) throw changedInput(latents);
        return digest;
      };
      const attributes = overwrite ? undefined : await attributesOf(copy);
      const copied = attributes?.format === COPY_FORMAT ? attributes.source_digest : undefined;
      // what has to be copied in any case is read once
      let found = copied === undefined && expected === undefined
        ? undefined
        : await identify(latents, stamp, record, compare);
      let digest = found && await digestOfInput(found.contents);
      if (!found || copied !== digest) {
        found = await identify(latents, stamp, undefined, write);
        digest = await digestOfInput(found.contents);
        await writeGroup(copy, {
          attributes: { format: COPY_FORMAT, source_digest: digest },
          arrays: copySpecs(described),
        });
      }
      return {
        ...described,
        frames: await openZarrArray(copy, "/frames"),
        energy: described.energy && await openZarrArray(copy, "/energy"),
        digest: digest!,
        record: found.record,
        // nothing but the copy is read from here on
        checkUnchanged: () => Promise.resolve(),
        close: () => copy.close(),
      };
    } catch (error) {
      await copy.close();
      throw error;
    }
  } finally {
    await source.close();
  }
}

async function attributesOf(store: Store): Promise<Record<string, unknown> | undefined> {
  return (await readGroupAttributes(store).catch(() => undefined))?.attributes;
}

/**
 * Groups that have frames, those of a speaker together, and how many have none.
 *
 * @throws {RangeError} If the index says something else than the groups do; names the first.
 */
async function findGroups(
  store: Store,
  index: string | undefined,
  signal: AbortSignal | undefined,
): Promise<{ groups: Group[]; empty: number }> {
  const table = index === undefined ? undefined : await readIndex(index, ["utterance_id"]);
  // servers do not list what they have
  const isListed = !table || parsePlace(store.place).scheme !== "http";
  const listed = isListed ? await groupNames(store) : [];
  if (table && isListed) {
    const [there, told] = [new Set(listed), new Set(table.map(({ id }) => id.text))];
    const missing = table.find(({ id }) => !there.has(id.text))?.id.text;
    if (missing !== undefined) {
      throw new RangeError(
        `Cannot use the index "${index}": it has "${missing}", of which there is no group in "${store.place}"`,
      );
    }
    const extra = listed.find((id) => !told.has(id));
    if (extra !== undefined) {
      throw new RangeError(
        `Cannot use the index "${index}": it has no "${extra}", of which there is a group in "${store.place}"`,
      );
    }
  }
  const groups: Group[] = [];
  let empty = 0;
  const rows = table ??
    listed.map((id) => ({ id: { text: id }, speaker: undefined, frames: undefined }));
  for (const { id, speaker, frames } of rows) {
    signal?.throwIfAborted();
    const group = await openGroup(store, id.text, speaker, frames, index);
    if (group) groups.push(group);
    else empty++;
  }
  if (groups.length === 0) {
    throw new ChunkError(
      `Cannot use "${store.place}": none of its ${empty} utterances has frames`,
      store.place,
    );
  }
  const less = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;
  // a speaker's frames lie together
  groups.sort((a, b) => less(a.speaker.text, b.speaker.text) || less(a.id, b.id));
  checkAlike(groups, store.place);
  return { groups, empty };
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

/**
 * A group as a store of its own: a name with `%`, `#` or `?` in it never becomes part of an address, and
 * what Python's NaN makes of its JSON can be read.
 */
class GroupStore extends StoreView {
  override readonly place: string;
  readonly #folder: string;

  constructor(store: Store, id: string) {
    super(store);
    this.place = `${store.place}/${id}`;
    this.#folder = `/${id}`;
  }

  override async get(key: string): Promise<Uint8Array | undefined> {
    const bytes = await super.get(this.#folder + key);
    if (!bytes || !/\/(zarr\.json|\.zarray|\.zattrs)$/.test(key)) return bytes;
    const text = new TextDecoder().decode(bytes);
    return new TextEncoder().encode(replaceBareNumbers(text, (word) => `"${word}"`));
  }

  override getRange(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    return super.getRange(this.#folder + key, range);
  }

  override size(key: string): Promise<number | undefined> {
    return super.size(this.#folder + key);
  }
}

/** Opens a group, and holds it against what the index says; `undefined` of one without frames. */
async function openGroup(
  store: Store,
  id: string,
  named: Name | undefined,
  told: number | undefined,
  index: string | undefined,
): Promise<Group | undefined> {
  const place = `${store.place}/${id}`;
  const own = new GroupStore(store, id);
  const v3 = await store.get(`/${id}/zarr.json`);
  const bytes = v3 ?? await store.get(`/${id}/.zattrs`);
  const read = bytes && parseJson(bytes, `${place}/${v3 ? "zarr.json" : ".zattrs"}`);
  const attributes = (v3 ? read?.attributes : read) ?? {};
  const has = async (name: string) =>
    await own.size(`/${name}/zarr.json`) ?? await own.size(`/${name}/.zarray`);
  if (await has("x") === undefined) throw withoutX(place);
  const x = await openZarrArray(own, "/x");
  const frames = x.shape[0]!;
  const isEmpty = x.shape.length === 2 && frames === 0;
  if (!isEmpty) checkFrames(x, `"${place}/x"`);
  const contradiction = (what: string, has: string) =>
    new RangeError(
      `Cannot use the index "${index}": it says that "${id}" ${what}, its group ${has}`,
    );
  if (told !== undefined && told !== frames) {
    throw contradiction(`has ${told} frames`, `has ${frames}`);
  }
  const { n_frames } = attributes;
  if (n_frames !== undefined && n_frames !== null && n_frames !== frames) {
    throw new ChunkError(
      `Cannot use "${place}": its n_frames is ${n_frames}, x has ${frames} frames`,
      place,
    );
  }
  if (isEmpty) return undefined;
  const itself = nameOf(attributes.speaker_id, () => `speaker_id of "${place}"`);
  if (named && itself && !isSame(named, itself)) {
    const tell = ({ text, kind }: Name) => kind === "number" ? text : JSON.stringify(text);
    throw contradiction(`is of speaker ${tell(named)}`, `says ${tell(itself)}`);
  }
  const speaker = itself ?? named;
  if (speaker === undefined) {
    throw new ChunkError(
      "speaker_id" in attributes
        ? `Cannot use "${place}": its speaker_id is ${
          JSON.stringify(attributes.speaker_id)
        }, wanted a ` +
          "text or a whole number"
        : `Cannot use "${place}": nothing says whose it is, wanted speaker_id`,
      place,
    );
  }
  if (await has("energy") === undefined) return { id, speaker, x, energy: undefined };
  const energy = await openZarrArray(own, "/energy");
  checkEnergy(energy, frames, `"${place}/energy"`);
  return { id, speaker, x, energy };
}

/** A table of text does not tell numbers from texts. */
function isSame(a: Name, b: Name): boolean {
  return a.text === b.text && (a.kind === undefined || b.kind === undefined || a.kind === b.kind);
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

/** The corpus that a copy of groups will be, without its values. */
function describeGroups(groups: readonly Group[], empty: number): Corpus {
  let end = 0;
  const utterances = groups.map(({ id, speaker, x }) => {
    const start = end;
    end += x.shape[0]!;
    return { id, speaker: speaker.text, start, end };
  });
  const [{ x, energy }] = groups as [Group];
  const speaker = oneKind(groups.map(({ id, speaker }) => [`"${id}"`, speaker]), "speaker_id");
  return {
    frames: { ...x, shape: [end, x.shape[1]!] },
    energy: energy && { ...energy, shape: [end] },
    utterances,
    // folders have names
    kinds: { speaker, utterance: "text" },
    empty,
    close: () => Promise.resolve(),
  };
}

/**
 * Reads frames and energies of all groups, one after the other.
 *
 * @param onValues Takes the values of a group before its next are read.
 * @returns A digest of them, whatever the order of groups.
 */
async function readGroups(
  groups: readonly Group[],
  { signal }: ReadOptions,
  onShare: (share: number) => void,
  onValues?: (
    group: number,
    array: number,
    values: Awaited<ReturnType<typeof readAll>>,
  ) => Promise<void>,
): Promise<string> {
  const lines: string[] = [];
  for (const [i, { id, x, energy }] of groups.entries()) {
    signal?.throwIfAborted();
    const line = [id];
    for (const [j, array] of [x, energy].entries()) {
      if (!array) continue;
      const values = await readAll(array, signal && { signal });
      line.push(await digestOf([values]));
      await onValues?.(i, j, values);
    }
    lines.push(JSON.stringify(line));
    onShare((i + 1) / groups.length);
  }
  return await digestOf(lines.sort());
}

/** The arrays of a copy: frames, energies where there are some, and whose they are. */
function copySpecs({ frames, energy, utterances }: Corpus): ZarrArraySpec[] {
  const spec = (name: string, { dtype, shape }: ChunkedArray): ZarrArraySpec => {
    const inner = shape.slice(1);
    const rowBytes = elementBytes(dtype as NumericType) * (inner[0] ?? 1);
    const rows = Math.min(shape[0]!, Math.max(1, Math.floor(CHUNK_BYTES / rowBytes)));
    const dims = ["frame", "feature"].slice(0, shape.length);
    return { name, dtype, shape, chunkShape: [rows, ...inner], dims };
  };
  const shape = [utterances.length];
  const ids: ZarrArraySpec = {
    name: "utterance_id",
    dtype: "string",
    shape,
    chunkShape: shape,
    dims: ["utterance"],
  };
  return [
    spec("frames", frames),
    ...energy ? [spec("energy", energy)] : [],
    ids,
    { ...ids, name: "speaker_id" },
    { ...ids, name: "end", dtype: "float64" },
  ];
}

/** Copies frames and energies of all groups into one array each. Who made the group shows the copy. */
async function copyGroups(
  groups: readonly Group[],
  described: Corpus,
  copy: Store,
  options: ReadOptions,
  onShare: (share: number) => void,
): Promise<string> {
  await removeGroup(copy);
  const { energy, utterances } = described;
  const specs = copySpecs(described);
  const [ids, speakers, ends] = specs.slice(-3) as [ZarrArraySpec, ZarrArraySpec, ZarrArraySpec];
  const writers = specs.slice(0, energy ? 2 : 1).map((own) => new ChunkWriter(copy, own));
  const contents = await readGroups(groups, options, onShare, async (group, array, values) => {
    await writers[array]!.write(utterances[group]!.start, values, options.signal);
  });
  for (const writer of writers) await writer.finish();
  await writeArray(copy, ids, utterances.map(({ id }) => id));
  await writeArray(copy, speakers, utterances.map(({ speaker }) => speaker));
  await writeArray(copy, ends, Float64Array.from(utterances, ({ end }) => end));
  return contents;
}
