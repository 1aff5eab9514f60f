/**
 * A zarr store with a group for each utterance, copied into one array: many small files are slow to read again
 * and again.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../array/array.ts";
import { readAll } from "../array/array.ts";
import { openZarrArray } from "../zarr/zarr_array.ts";
import { ChunkError, OutputConflictError } from "../errors.ts";
import { digestOf } from "../math/digest.ts";
import type { ByteRange } from "../store/byte_range.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { elementBytes } from "../zarr/data_types.ts";
import { parsePlace } from "../store/place.ts";
import type { GetOptions, Store } from "../store/store.ts";
import { openStore } from "../store/open_store.ts";
import { StoreView } from "../store/store_view.ts";
import type { ZarrArraySpec } from "../zarr/metadata.ts";
import { readGroupAttributes } from "../zarr/metadata.ts";
import { ChunkWriter } from "../zarr/chunk_writer.ts";
import { removeArray, writeArray, writeGroup } from "../zarr/group_writer.ts";
import type {
  Corpus,
  GroupsInput,
  IdentifiedCorpus,
  IdentifyOptions,
  OpenedCorpus,
} from "./inputs.ts";
import { changedInput, digestCorpus, identify, stampFiles } from "./identity.ts";
import type { Name } from "./names.ts";
import { nameOf, oneKind, parseJson, readIndex, replaceBareNumbers } from "./names.ts";
import { checkEnergy, checkFrames } from "./rows.ts";

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

/** Opens a corpus of groups, whose frames are to be read from a copy. */
export async function openGroups(
  { latents, index }: GroupsInput,
  { signal }: ReadOptions,
): Promise<OpenedCorpus> {
  const source = await openStore(latents);
  try {
    const { groups, empty } = await findGroups(source, index, signal);
    const corpus = describeGroups(groups, empty);
    return {
      ...corpus,
      identify: (options) => identifyGroups(latents, source, groups, corpus, options),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Makes the copy, if it is not there or not of these groups, and opens it. */
async function identifyGroups(
  latents: string,
  source: Store,
  groups: readonly Group[],
  described: Corpus,
  { copyTo, overwrite, record, expected, onRead, signal }: IdentifyOptions,
): Promise<IdentifiedCorpus> {
  const copy = await openStore(copyTo, { mode: "write" });
  try {
    const options = signal ? { signal } : {};
    const stamp = async () => await stampFiles(source, source.stamp ? await source.list("/") : []);
    const compare = () => readGroups(groups, options, (share) => onRead?.(share, "compare"));
    const write = () =>
      copyGroups(groups, described, copy, options, (share) => onRead?.(share, "copy"));
    const digestOfInput = async (contents: string) => {
      const digest = await digestCorpus(described, contents);
      if (expected !== undefined && digest !== expected) throw changedInput(latents);
      return digest;
    };
    const there = await digestOfCopy(copy);
    const copied = overwrite ? undefined : there;
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
}

/**
 * Digest of the groups that a copy is of, if there is one and it is complete.
 *
 * @throws {OutputConflictError} If there is something else: whatever is copied over is gone, and it may be the
 * input.
 */
async function digestOfCopy(copy: Store): Promise<unknown> {
  const found = await readGroupAttributes(copy).catch(() => undefined);
  if (found?.attributes.format === COPY_FORMAT) return found.attributes.source_digest;
  if ((await copy.list("/")).length === 0) return undefined;
  throw new OutputConflictError(
    `Cannot copy frames to ${copy.place}: it holds something else, name another place`,
    copy.place,
  );
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

  override async get(key: string, options?: GetOptions): Promise<Uint8Array | undefined> {
    const bytes = await super.get(this.#folder + key, options);
    if (!bytes || !/\/(zarr\.json|\.zarray|\.zattrs)$/.test(key)) return bytes;
    const text = new TextDecoder().decode(bytes);
    return new TextEncoder().encode(replaceBareNumbers(text, (word) => `"${word}"`));
  }

  override getRange(
    key: string,
    range: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array | undefined> {
    return super.getRange(this.#folder + key, range, options);
  }

  override size(key: string, options?: GetOptions): Promise<number | undefined> {
    return super.size(this.#folder + key, options);
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

/** An array of the copy as it will be, without its values. */
function copyOf(array: ChunkedArray, shape: readonly number[]): ChunkedArray {
  return { ...array, shape, chunkRows: copyChunkRows({ ...array, shape }), wholeChunks: true };
}

/** Rows of a chunk of the copy. */
function copyChunkRows({ dtype, shape: [rows, ...inner] }: ChunkedArray): number {
  const rowBytes = elementBytes(dtype as NumericType) * (inner[0] ?? 1);
  return Math.min(rows!, Math.max(1, Math.floor(CHUNK_BYTES / rowBytes)));
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
    frames: copyOf(x, [end, x.shape[1]!]),
    energy: energy && copyOf(energy, [end]),
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
  const spec = (name: string, array: ChunkedArray): ZarrArraySpec => {
    const { dtype, shape } = array;
    const dims = ["frame", "feature"].slice(0, shape.length);
    return { name, dtype, shape, chunkShape: [copyChunkRows(array), ...shape.slice(1)], dims };
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

/**
 * Copies frames and energies of all groups into one array each. The group says from the start whose it is, and
 * that it is complete once the caller says so.
 */
async function copyGroups(
  groups: readonly Group[],
  described: Corpus,
  copy: Store,
  options: ReadOptions,
  onShare: (share: number) => void,
): Promise<string> {
  const { energy, utterances } = described;
  const specs = copySpecs(described);
  await writeGroup(copy, { attributes: { format: COPY_FORMAT, complete: false }, arrays: [] });
  for (const name of ["energy", ...specs.map(({ name }) => name)]) await removeArray(copy, name);
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
