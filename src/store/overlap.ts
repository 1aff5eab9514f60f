/**
 * Whether places are the same, however they are written.
 *
 * @module
 */

import { hasFileSystem, parsePlace } from "./place.ts";

/**
 * The first of some places that is another one, lies in it, or holds it; links are followed. What servers hold is none.
 */
export async function overlapping(
  place: string,
  others: Iterable<string>,
): Promise<string | undefined> {
  const own = await pathOf(place);
  for (const other of others) {
    const path = await pathOf(other);
    if (own !== undefined && path !== undefined && (path.startsWith(own) || own.startsWith(path))) {
      return other;
    }
  }
  return undefined;
}

/** One name of a place, and a slash; `undefined` where nothing can be written. */
async function pathOf(place: string): Promise<string | undefined> {
  const { scheme, path } = parsePlace(place);
  if (scheme === "http") return undefined;
  const whole = scheme === "file" && hasFileSystem()
    ? await (await import("./fs.ts")).realPath(path)
    : path;
  const parts = whole.split(/[\\/]/).filter((part) => part !== "" && part !== ".");
  return `${scheme}:${parts.map((part) => `${part}/`).join("")}`;
}
