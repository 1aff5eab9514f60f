/**
 * Commands that are to be run in parts, as a file of JSON lists them.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { wantedNames } from "../math/format.ts";
import { parsePlace } from "../store/place.ts";
import type { Command } from "./usage.ts";
import { UsageError } from "./usage.ts";

/** What a file of JSON says is to be run. */
export interface PartCommands {
  /** What plan and markers lie beside. */
  place: string;
  commands: readonly (readonly string[])[];
}

/** Commands of a plan whose rows parts may share; what else it wants the plan itself says. */
const OF_ROWS = ["decode", "kmeans", "pca", "predict", "transform"];
/** Commands that start others, or only look. */
const NOT_IN_PARTS = ["part", "submit", "status", "worker", "check", "completion", "info"];

/**
 * Reads such a file: `{ "commands": [["predict", "fit.zarr", "--input", "x.npy", "--out", "ids.zarr"]] }`, of several
 * commands with a `place`.
 *
 * @throws {UsageError} If it is none.
 */
export async function readPartCommands(
  file: string,
  known: Readonly<Record<string, Command>>,
): Promise<PartCommands> {
  const refuse = (why: string) =>
    new UsageError(
      `Cannot submit ${file}: ${why}, wanted { "commands": [["predict", "fit.zarr", "--input", "x.npy", ` +
        `"--out", "ids.zarr"]] }, and a "place" where there are several`,
    );
  const text = await readFile(file, "utf8").catch((error: Error) => {
    throw new UsageError(`Cannot submit ${file}: ${error.message}, wanted a file of JSON`);
  });
  let config: { place?: unknown; commands?: unknown };
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw refuse((error as Error).message);
  }
  const stray = Object.keys(config ?? {}).find((name) => name !== "place" && name !== "commands");
  if (stray !== undefined) throw refuse(`it has "${stray}"`);
  const { place, commands } = config ?? {};
  const isWords = (words: unknown) =>
    Array.isArray(words) && words.length > 0 && words.every((word) => typeof word === "string");
  if (!Array.isArray(commands) || commands.length === 0 || !commands.every(isWords)) {
    throw refuse("it lists no commands");
  }
  if (place !== undefined && typeof place !== "string") throw refuse("its place is no text");
  const names = Object.keys(known).filter((name) => !NOT_IN_PARTS.includes(name));
  const outs = commands.map((words: string[]) => {
    if (!names.includes(words[0]!)) {
      throw refuse(`"${words[0]}" is no command to run, ${wantedNames(words[0]!, names)}`);
    }
    if (words.includes("--overwrite")) {
      throw refuse("it allows overwriting, which a part that comes late would do again");
    }
    return placeOf(words, refuse);
  });
  const lost = [...outs, place ?? ""].find((own) => /^(memory|opfs|https?):/i.test(own));
  if (lost !== undefined) throw refuse(`${lost} is nowhere that other processes write to`);
  const wholes = outs.map((out) => wholePlace(out));
  const twice = outs.find((_, i) => wholes.indexOf(wholes[i]!) !== i);
  if (twice !== undefined) throw refuse(`two commands write to ${twice}`);
  if (commands.length === 1) {
    const [name] = commands[0];
    if (!OF_ROWS.includes(name)) {
      throw refuse(
        `"${name}" has no rows that parts share, as ${OF_ROWS.slice(0, -1).join(", ")} and ${
          OF_ROWS.at(-1)
        } have`,
      );
    }
    if (place !== undefined && wholePlace(place) !== wholes[0]) {
      throw refuse(`its place is ${place} and its command writes to ${outs[0]}`);
    }
    return { place: outs[0]!, commands };
  }
  if (place === undefined) throw refuse("it lists several commands and no place");
  if (wholes.includes(wholePlace(place))) {
    throw refuse(`its place, ${place}, is what a command writes to`);
  }
  return { place, commands };
}

/** A place as it is named from any folder: engines start parts elsewhere, and a part enters the folder of its plan. */
export function wholePlace(place: string, folder = "."): string {
  const { scheme, path } = parsePlace(place);
  return scheme === "file" ? resolve(folder, path) : place.replace(/\/+$/, "");
}

/** What a command writes to. */
export function placeOf(
  words: readonly string[],
  refuse: (why: string) => Error = (why) => new UsageError(`Cannot run a part: ${why}`),
): string {
  const isOut = (word: string) => word === "--out" || word.startsWith("--out=");
  const at = words.findIndex(isOut);
  if (words.filter(isOut).length > 1) throw refuse(`"${words.join(" ")}" has --out twice`);
  const out = at < 0 ? undefined : words[at] === "--out" ? words[at + 1] : words[at]!.slice(6);
  if (out) return out;
  throw refuse(`"${words.join(" ")}" has no --out`);
}
