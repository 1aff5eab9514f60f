/**
 * Data sets of LeRobot, versions 2 (a file for each episode) and 3 (many episodes in a file): numbers, lists
 * of numbers, episodes and tasks. Video and pictures are not read.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import { sourceOf } from "../../files/byte_source.ts";
import { ParquetFile } from "../../files/parquet.ts";
import type { Store } from "../../store/store.ts";
import { elementCount } from "../../zarr/data_types.ts";
import type { Segment } from "../window_view.ts";
import type { EpisodeParts } from "./parts.ts";
import type { ArrayPart } from "./joined.ts";
import { joinArrays } from "./joined.ts";
import { readJsonLines, readJsonObject } from "./json_lines.ts";

/** What `info.json` says, as far as it is needed. */
interface Info {
  version: 2 | 3;
  path: string;
  fps: number;
  chunkSize: number;
  dataPath: string;
  frames: number;
  features: Readonly<Record<string, { dtype: string; shape: number[] }>>;
  splits: Readonly<Record<string, string>>;
}

interface Episode {
  index: number;
  length: number;
  tasks: string[];
  /** The file it lies in. */
  file: string;
}

/** Numbers as LeRobot names them. */
const NUMBERS = /^(bool|u?int(8|16|32|64)|float(16|32|64))$/;

/** @throws {ChunkError} If it is of another version, or does not agree with itself. */
export async function openLeRobot(store: Store): Promise<EpisodeParts> {
  const info = await readInfo(store);
  const episodes = await (info.version === 3 ? listOfParquet : listOfLines)(store, info);
  const segments: Segment[] = [];
  for (const { index, length } of episodes) {
    const start = segments.at(-1)?.end ?? 0;
    segments.push({ start, end: start + length, id: index });
  }
  const frames = segments.at(-1)?.end ?? 0;
  if (frames !== info.frames || frames === 0) {
    throw new ChunkError(
      `Cannot open "${info.path}": its ${episodes.length} episodes have ${frames} frames, it says ` +
        `${info.frames}, wanted as many, and at least one`,
      info.path,
    );
  }
  const files = new FrameFiles(store, episodes);
  const arrays = new Map<string, (() => Promise<ChunkedArray>) | string>();
  for (const [name, feature] of Object.entries(info.features)) {
    const { dtype } = feature;
    const isSeen = dtype === "video" || dtype === "image";
    if (isSeen) arrays.set(name, `it is ${dtype}, which is not decoded; wanted numbers of frames`);
    else if (!NUMBERS.test(dtype)) arrays.set(name, `it holds ${dtype}, wanted numbers`);
    else arrays.set(name, () => files.array(name, feature));
  }
  return {
    kind: "LeRobot",
    rate: info.fps,
    segments,
    parts: partsOf(info, episodes),
    tasks: episodes.map(({ tasks }) => tasks),
    arrays,
    close: () => store.close(),
  };
}

async function readInfo(store: Store): Promise<Info> {
  const { value, path } = await readJsonObject(store, "/meta/info.json");
  const refuse = (reason: string) => new ChunkError(`Cannot open "${path}": ${reason}`, path);
  const { codebase_version: version, fps, data_path: dataPath, total_frames: frames } = value;
  const { chunks_size: chunkSize = 1000, features = {}, splits = {} } = value;
  const [, major] = /^v?([23])\.\d+$/.exec(String(version)) ?? [];
  if (!major) throw refuse(`it is of version ${String(version)}, wanted 2.0, 2.1 or 3.0`);
  if (!(typeof fps === "number" && fps > 0)) throw refuse(`fps is ${String(fps)}, wanted above 0`);
  if (typeof dataPath !== "string") throw refuse(`data_path is ${String(dataPath)}, wanted a text`);
  const list = features as Record<string, { dtype?: unknown; shape?: unknown }>;
  for (const [name, { dtype, shape }] of Object.entries(list)) {
    if (typeof dtype === "string" && Array.isArray(shape)) continue;
    throw refuse(`feature "${name}" has no dtype or no shape`);
  }
  return {
    version: Number(major) as 2 | 3,
    ...{ path, fps, dataPath, chunkSize: Number(chunkSize), frames: Number(frames) },
    features: list as Info["features"],
    splits: splits as Info["splits"],
  };
}

/** `data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet`, filled in. */
function fillPath({ dataPath, path }: Info, values: Readonly<Record<string, number>>): string {
  return `/${
    dataPath.replace(/\{(\w+)(?::0?(\d+)d)?\}/g, (whole, name: string, width = "0") => {
      const value = values[name];
      if (value !== undefined) return String(value).padStart(Number(width), "0");
      throw new ChunkError(
        `Cannot open "${path}": data_path has ${whole}, which is not known`,
        path,
      );
    })
  }`;
}

async function listOfLines(store: Store, info: Info): Promise<Episode[]> {
  const { lines, path } = await readJsonLines(store, "/meta/episodes.jsonl");
  return lines.map((line, i) => {
    const episode = { ...checkEpisode(path, i, line.episode_index, line.length, line.tasks) };
    const { index } = episode;
    const chunk = Math.floor(index / info.chunkSize);
    return { ...episode, file: fillPath(info, { episode_chunk: chunk, episode_index: index }) };
  });
}

/** Of `meta/episodes/chunk-000/file-000.parquet` and the files after it. */
async function listOfParquet(store: Store, info: Info): Promise<Episode[]> {
  const columns = [
    ...["episode_index", "length", "tasks", "data/chunk_index", "data/file_index"],
    ...["dataset_from_index", "dataset_to_index"],
  ];
  const episodes: Episode[] = [];
  let frames = 0;
  for (const file of await filesOf(store, "/meta/episodes")) {
    const parquet = await ParquetFile.open(await sourceOf(store, file));
    const path = store.place + file;
    for (const row of await parquet.rows({ columns })) {
      const number = (name: string) => Number(row[name] as bigint | number);
      const { length: i } = episodes;
      const episode = checkEpisode(path, i, number("episode_index"), number("length"), row.tasks);
      const [from, to] = [number("dataset_from_index"), number("dataset_to_index")];
      if (from !== frames || to !== frames + episode.length) {
        throw new ChunkError(
          `Cannot open "${path}": episode ${episode.index} has the frames from ${from} up to ${to}, wanted ` +
            `${frames} up to ${frames + episode.length}`,
          path,
        );
      }
      frames = to;
      const place = {
        chunk_index: number("data/chunk_index"),
        file_index: number("data/file_index"),
      };
      episodes.push({ ...episode, file: fillPath(info, place) });
    }
  }
  return episodes;
}

/** Files of a folder of chunks, in order: neither servers nor all stores list what they have. */
async function filesOf(store: Store, folder: string): Promise<string[]> {
  const files: string[] = [];
  const nameOf = (chunk: number, file: number) =>
    `${folder}/chunk-${String(chunk).padStart(3, "0")}/file-${
      String(file).padStart(3, "0")
    }.parquet`;
  for (let chunk = 0;; chunk++) {
    for (let file = 0;; file++) {
      if (await store.size(nameOf(chunk, file)) !== undefined) files.push(nameOf(chunk, file));
      else if (file === 0) return files;
      else break;
    }
  }
}

function checkEpisode(path: string, i: number, index: unknown, length: unknown, tasks: unknown) {
  const isTold = index === i && Number.isSafeInteger(length) && length as number > 0 &&
    Array.isArray(tasks ?? []);
  if (isTold) return { index: i, length: length as number, tasks: (tasks ?? []) as string[] };
  throw new ChunkError(
    `Cannot open "${path}": episode ${i} is said to be ${String(index)} with ${
      String(length)
    } frames, ` +
      `wanted ${i} with 1 or more, and a list of tasks`,
    path,
  );
}

/** `{ train: "0:50" }` as ids. */
function partsOf({ splits, path }: Info, episodes: readonly Episode[]): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(splits).map(([name, range]) => {
      const [, from, to] = /^(\d+):(\d+)$/.exec(String(range)) ?? [];
      if (to !== undefined && Number(from) <= Number(to) && Number(to) <= episodes.length) {
        const count = Number(to) - Number(from);
        return [name, Array.from({ length: count }, (_, i) => Number(from) + i)];
      }
      throw new ChunkError(
        `Cannot open "${path}": the split "${name}" is ${
          String(range)
        }, wanted two numbers of the ` +
          `${episodes.length} episodes, as 0:50`,
        path,
      );
    }),
  );
}

/**
 * Files in the order of episodes, each with those that lie in it.
 *
 * @throws {ChunkError} If other episodes lie between two of a file: its rows would be those of others.
 */
export function episodesByFile(
  place: string,
  episodes: readonly Episode[],
): ReadonlyMap<string, readonly Episode[]> {
  const files = new Map<string, Episode[]>();
  for (const episode of episodes) {
    const { file, index } = episode;
    const own = files.get(file);
    if (!own) files.set(file, [episode]);
    else if (own.at(-1)!.index === index - 1) own.push(episode);
    else {
      throw new ChunkError(
        `Cannot open "${place}": "${file}" has episode ${
          own.at(-1)!.index
        }, then ${index}, wanted episodes ` +
          "in order of their numbers from file to file",
        place,
      );
    }
  }
  return files;
}

/** Files of frames, of which each is looked at once: whether it has the frames it should. */
class FrameFiles {
  readonly #store: Store;
  readonly #files: ReadonlyMap<string, readonly Episode[]>;
  readonly #checked = new Map<string, Promise<void>>();

  constructor(store: Store, episodes: readonly Episode[]) {
    this.#store = store;
    this.#files = episodesByFile(store.place, episodes);
  }

  async array(
    name: string,
    { dtype, shape }: { dtype: string; shape: readonly number[] },
  ): Promise<ChunkedArray> {
    const path = `${this.#store.place}/${name}`;
    const parts = [...this.#files].map(([file, episodes]): ArrayPart => ({
      name: file,
      rows: episodes.reduce((sum, { length }) => sum + length, 0),
      open: async () => {
        const parquet = await ParquetFile.open(await sourceOf(this.#store, file));
        await this.#check(file, parquet, episodes);
        return await parquet.array(name);
      },
    }));
    const array = await joinArrays(path, parts, [this.#store.place]);
    const inner = array.shape.slice(1);
    if (array.dtype !== dtype || elementCount(inner) !== elementCount(shape)) {
      throw new ChunkError(
        `Cannot open "${path}": it is stored as ${array.dtype} [${
          inner.join(", ")
        }], info.json says ` +
          `${dtype} [${shape.join(", ")}]`,
        path,
      );
    }
    return array;
  }

  /** @throws {ChunkError} If a file has frames of other episodes, or in another order. */
  #check(file: string, parquet: ParquetFile, episodes: readonly Episode[]): Promise<void> {
    let checked = this.#checked.get(file);
    if (!checked) {
      checked = this.#look(file, parquet, episodes);
      this.#checked.set(file, checked);
      checked.catch(() => this.#checked.delete(file));
    }
    return checked;
  }

  async #look(file: string, parquet: ParquetFile, episodes: readonly Episode[]): Promise<void> {
    const path = this.#store.place + file;
    const rows = episodes.reduce((sum, { length }) => sum + length, 0);
    const [numbers, frames] = await Promise.all(
      ["episode_index", "frame_index"].map(async (name) => {
        const array = await parquet.array(name);
        return { rows: array.shape[0]!, values: await array.read(0, array.shape[0]!) };
      }),
    );
    let row = 0;
    for (const { index, length } of episodes) {
      for (let frame = 0; frame < length; frame++, row++) {
        const [own, at] = [Number(numbers!.values[row]), Number(frames!.values[row])];
        if (own === index && at === frame) continue;
        throw new ChunkError(
          `Cannot read "${path}": row ${row} is frame ${at} of episode ${own}, wanted frame ${frame} of ` +
            `episode ${index}`,
          path,
        );
      }
    }
    if (numbers!.rows === rows) return;
    throw new ChunkError(
      `Cannot read "${path}": it has ${
        numbers!.rows
      } rows, its ${episodes.length} episodes have ${rows}`,
      path,
    );
  }
}
