/**
 * Windows as a command line asks for them: of an array, or of a data set of episodes.
 *
 * @module
 */

import type { OpenArrayOptions } from "../array/array.ts";
import { openArray } from "../array/array.ts";
import type { Episodes } from "../array/episodes/episodes.ts";
import { openEpisodes } from "../array/episodes/episodes.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import { oneOf, text, whole } from "../options.ts";
import type { KeyOptions } from "../windows/keys.ts";
import type { Windows } from "../windows/windows.ts";
import { paddingOptions, windowOptions, windows } from "../windows/windows.ts";
import { readFirsts } from "./points.ts";
import type { CommandLine } from "./usage.ts";
import { UsageError } from "./usage.ts";

const { size, stride, segments } = windowOptions.options;
const { before, after } = paddingOptions.options;

export const gridOptions = {
  size,
  stride,
  segments: { ...segments, helps: `.npy: ${segments.helps}` },
};

export const keysOptions = {
  frames: text({
    takes: "NAME",
    says: "of a data set of episodes: the array that windows are made of",
  }),
  keys: text({
    takes: "NAME[=A:B],...",
    says:
      "other values of frames, from A up to B frames after the last of a window, or at the frames of a " +
      "window: names of a data set, otherwise places",
  }),
  padBefore: whole({ ...before, default: 0, from: 0 }),
  padAfter: whole({ ...after, default: 0, from: 0 }),
  padMode: oneOf(["edge", "zero"], { default: "edge", says: "what stands for them, and for keys" }),
};

/** Opens windows; `close` gives back all that was opened. */
export async function openWindows(
  line: CommandLine,
  place: string,
  reading: OpenArrayOptions,
): Promise<{ view: Windows; close(): Promise<void> }> {
  const grid = line.read(gridOptions);
  const { frames, keys, padBefore = 0, padAfter = 0, padMode: mode = "edge" } = line.read(
    keysOptions,
  );
  const firsts = line.text("segments");
  const wanted = readKeys(keys, mode);
  const opened: { close(): Promise<void> }[] = [];
  const close = async () => {
    for (const one of opened.reverse()) await one.close();
  };
  const keep = <One extends { close(): Promise<void> }>(one: One): One => {
    opened.push(one);
    return one;
  };
  try {
    let data: Episodes | undefined;
    if (frames !== undefined) {
      if (firsts !== undefined) {
        throw new UsageError("Cannot run: --segments is given, a data set has episodes of its own");
      }
      data = keep(await openEpisodes(place, reading));
    }
    const open = async (name: string): Promise<ChunkedArray> =>
      keep(await (data ? data.array(name) : openArray(name, reading)));
    const base = await open(frames ?? place);
    const beside: Record<string, KeyOptions> = {};
    for (const { name, ...key } of wanted) beside[name] = { ...key, values: await open(name) };
    const view = windows(base, {
      ...grid,
      ...(data && { segments: data.segments }),
      ...(firsts !== undefined && { segments: await readFirsts(firsts, reading) }),
      ...(padBefore + padAfter > 0 && { pad: { before: padBefore, after: padAfter, mode } }),
      keys: beside,
    });
    return { view, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Keys as they are typed, `action=0:8,reward`. */
function readKeys(
  keys: string | undefined,
  outside: "edge" | "zero",
): (Omit<KeyOptions, "values"> & { name: string })[] {
  return (keys === undefined ? [] : keys.split(",")).map((key) => {
    const [, name, from, to] = /^(.+?)(?:=(-?\d+):(-?\d+))?$/.exec(key) ?? [];
    if (name === undefined || from !== undefined && Number(from) >= Number(to)) {
      throw new UsageError(
        `Cannot read --keys: got "${key}", wanted NAME or NAME=A:B, as action=0:8`,
      );
    }
    if (from === undefined) return { name, outside };
    const count = Number(to) - Number(from);
    return { name, outside, offsets: Array.from({ length: count }, (_, i) => Number(from) + i) };
  });
}
