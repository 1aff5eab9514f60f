/**
 * Demonstrations in an HDF5 file, a group each: as robomimic (`data/demo_0`) and minari (`episode_0`) have them.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import { Hdf5File } from "../../files/hdf5_array.ts";
import type { Segment } from "../window_view.ts";
import type { EpisodeParts } from "./parts.ts";
import { joinArrays } from "./joined.ts";

const KINDS = {
  robomimic: { prefix: "data/", group: /^demo_(\d+)$/, count: "num_samples" },
  minari: { prefix: "", group: /^episode_(\d+)$/, count: "total_steps" },
} as const;

/** Of each episode: its group, what it is called, and its frames. */
interface Episode {
  path: string;
  id: string;
  number: number;
  frames: number;
}

export async function openDemonstrations(place: string): Promise<EpisodeParts> {
  const file = await Hdf5File.open(place);
  try {
    const kind = file.access.group("data") ? "robomimic" : "minari";
    const episodes = listEpisodes(file, kind);
    let frames = 0;
    const segments = episodes.map(({ id, number, frames: own }): Segment => ({
      start: frames,
      end: frames += own,
      id: kind === "robomimic" ? id : number,
    }));
    const arrays = new Map<string, () => Promise<ChunkedArray>>();
    for (const name of datasetsIn(file, episodes[0]!.path)) {
      arrays.set(name, () => arrayOf(file, episodes, name, 0));
      // one more than there are steps: what was seen after the last of them
      if (leadOf(file, episodes[0]!, name) === 1) {
        arrays.set(`next_${name}`, () => arrayOf(file, episodes, name, 1));
      }
    }
    return {
      kind,
      rate: kind === "robomimic" ? rateOf(file) : undefined,
      segments,
      parts: kind === "robomimic" ? partsOf(file, episodes) : {},
      tasks: undefined,
      arrays,
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function listEpisodes(file: Hdf5File, kind: keyof typeof KINDS): Episode[] {
  const { prefix, group, count } = KINDS[kind];
  const refuse = (reason: string) =>
    new ChunkError(`Cannot open "${file.place}" as episodes: ${reason}`, file.place);
  const found: Episode[] = [];
  for (const id of file.access.group(prefix === "" ? "/" : "data")!.keys()) {
    const match = group.exec(id);
    const path = prefix + id;
    const own = match && file.access.group(path);
    if (!own) continue;
    const frames = Number(own.attrs[count]?.value);
    if (!(Number.isSafeInteger(frames) && frames > 0)) {
      throw refuse(`${path} has ${frames} as ${count}, wanted a whole number from 1`);
    }
    found.push({ path, id, number: Number(match[1]), frames });
  }
  if (found.length === 0) {
    throw refuse(
      "there is no group data/demo_0, as robomimic has it, and no episode_0, as minari has it",
    );
  }
  return found.sort((a, b) => a.number - b.number);
}

/** Paths of the datasets of an episode, within it. */
function datasetsIn(file: Hdf5File, path: string): string[] {
  return file.access.group(path)!.keys().flatMap((name) => {
    const own = `${path}/${name}`;
    if (!file.access.group(own)) return [name];
    return datasetsIn(file, own).map((inner) => `${name}/${inner}`);
  });
}

/** Rows of a dataset beyond the frames of its episode: 0, or 1 where what comes last is there too. */
function leadOf(file: Hdf5File, { path, frames }: Episode, name: string): number {
  const rows = file.access.dataset(`${path}/${name}`)?.metadata.shape?.[0];
  return rows === undefined ? 0 : rows - frames;
}

/** A dataset of all episodes after one another. @throws {ChunkError} If rows are no frames. */
async function arrayOf(
  file: Hdf5File,
  episodes: readonly Episode[],
  name: string,
  first: 0 | 1,
): Promise<ChunkedArray> {
  const path = `${file.place}/${name}`;
  const lead = leadOf(file, episodes[0]!, name);
  for (const episode of episodes) {
    const own = leadOf(file, episode, name);
    if (own === lead && (own === 0 || own === 1)) continue;
    throw new ChunkError(
      `Cannot open "${path}": it has ${own + episode.frames} rows in ${episode.path}, which has ` +
        `${episode.frames} frames; wanted a row for each in every episode, or one more in every one`,
      path,
    );
  }
  const parts = episodes.map(({ path: own, frames }) => ({
    name: own,
    rows: frames,
    first,
    open: async () => file.array(`${own}/${name}`),
  }));
  return await joinArrays(path, parts, [file.place]);
}

/** Frames a second of the environment, where robomimic tells them. */
function rateOf(file: Hdf5File): number | undefined {
  const text = file.access.group("data")!.attrs.env_args?.value;
  try {
    const rate = JSON.parse(String(text)).env_kwargs.control_freq;
    return typeof rate === "number" && rate > 0 ? rate : undefined;
  } catch {
    return undefined;
  }
}

/** Lists of episodes: `mask/train` and others. */
function partsOf(file: Hdf5File, episodes: readonly Episode[]): Record<string, string[]> {
  const known = new Set(episodes.map(({ id }) => id));
  const parts: Record<string, string[]> = {};
  for (const name of file.access.group("mask")?.keys() ?? []) {
    const ids = [file.access.dataset(`mask/${name}`)?.value].flat() as unknown[];
    const unknown = ids.find((id) => !known.has(id as string));
    if (unknown !== undefined) {
      throw new ChunkError(
        `Cannot open "${file.place}" as episodes: mask/${name} lists ${
          String(unknown)
        }, which is not there`,
        file.place,
      );
    }
    parts[name] = ids as string[];
  }
  return parts;
}
