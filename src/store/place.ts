/**
 * Places as people write them, and keys inside them.
 *
 * @module
 */

import { ChunkError, StoreError } from "../errors.ts";
import { withoutSecrets } from "../secrets.ts";

export interface Place {
  scheme: "file" | "opfs" | "memory" | "http" | "s3";
  /** What follows the scheme; for `http` the whole address. Of `s3` it begins with `//` and the bucket. */
  path: string;
}

/** What an unfinished write is called until it is renamed. */
export const PARTIAL_SUFFIX = ".partial";

/** Whether plain paths mean files: in Node and Deno, not in browsers. */
export function hasFileSystem(): boolean {
  return hostProcess()?.versions?.node !== undefined;
}

/** Whether `\` parts folders in paths; elsewhere it is a letter like others. */
function isWindows(): boolean {
  return hostProcess()?.platform === "win32";
}

function hostProcess(): { platform?: string; versions?: { node?: string } } | undefined {
  return (globalThis as { process?: ReturnType<typeof hostProcess> }).process;
}

/**
 * Splits a place into scheme and path. A plain path is a file, in browsers a file of OPFS.
 *
 * @throws {TypeError} If the scheme is not known.
 */
export function parsePlace(place: string): Place {
  // two letters at least: `C:\data` is a path
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(place)?.[1];
  if (scheme === undefined && place !== "") {
    return { scheme: hasFileSystem() ? "file" : "opfs", path: place };
  }
  const path = place.slice((scheme?.length ?? 0) + 1);
  switch (scheme?.toLowerCase()) {
    case "file":
      return { scheme: "file", path: path.startsWith("//") ? fileUrlPath(place) : path };
    case "opfs":
      return { scheme: "opfs", path };
    case "memory":
      return { scheme: "memory", path };
    case "s3":
      if (!/^\/\/[^/]+/.test(path)) {
        throw new TypeError(
          `Cannot open "${place}": it names no bucket, wanted s3://bucket/x.zarr`,
        );
      }
      return { scheme: "s3", path };
    case "http":
    case "https":
      if (place.includes("#")) {
        throw new TypeError(
          `Cannot open "${place}": servers never see what follows "#", wanted "%23" in a name`,
        );
      }
      return { scheme: "http", path: place };
  }
  throw new TypeError(
    `Cannot open "${withoutSecrets(place)}": ${
      scheme === undefined ? "it is empty" : `"${scheme}:" is not known`
    }` +
      `, wanted a path, file:, opfs:, memory:, s3:, http: or https:`,
  );
}

/** The path of `file://` and what follows: `#` and `?` are letters of names, as in any path. */
function fileUrlPath(url: string): string {
  const [, host = "", rest = ""] = /^file:\/\/([^/]*)(.*)$/is.exec(url) ?? [];
  if (host !== "" && host.toLowerCase() !== "localhost") {
    throw new TypeError(
      `Cannot open "${url}": it is a file of the machine "${host}", wanted file:///path or a path`,
    );
  }
  const path = decodeName(rest, url);
  return /^\/[a-z]:\//i.test(path) ? path.slice(1) : path;
}

function decodeName(name: string, place: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    throw new TypeError(`Cannot open "${place}": a "%" in it encodes nothing, wanted "%25"`);
  }
}

/** Writes a place with its scheme. */
export function formatPlace({ scheme, path }: Place): string {
  if (scheme === "http") return path;
  // two slashes would begin the name of a machine
  const plain = scheme === "file" ? path.replace(/^\/{2,}/, isWindows() ? "\\\\" : "/") : path;
  return `${scheme}:${plain}`;
}

/** The place beside another one: `siblingPlace("file:out.zarr", ".journal")`. */
export function siblingPlace(place: string, suffix: string): string {
  const { scheme, path } = parsePlace(place);
  const name = path.replace(/\/+$/, "");
  if (scheme === "s3" && !/^\/\/[^/]+\/./.test(name)) {
    throw new TypeError(
      `Cannot use "${place}" for a result: it is a whole bucket, wanted s3://bucket/x.zarr`,
    );
  }
  return formatPlace({ scheme, path: name + suffix });
}

/** The place of what lies in a folder: `childPlace("file:out.zarr", "x")`. */
export function childPlace(place: string, name: string): string {
  const { scheme, path } = parsePlace(place);
  if (scheme !== "http") return `${place}/${name}`;
  const url = new URL(path);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${
    name.split("/").map(encodeURIComponent).join("/")
  }`;
  return url.href;
}

/** Splits the place of one file into the place of its folder and its key there. */
export function splitPlace(place: string): { folder: string; key: string } {
  const { scheme, path } = parsePlace(place);
  if (scheme === "http") {
    const url = new URL(path);
    const key = url.pathname.slice(url.pathname.lastIndexOf("/"));
    url.pathname = url.pathname.slice(0, -key.length);
    return { folder: url.href, key: decodeName(key, place) };
  }
  const partsByBackslash = scheme === "file" && isWindows();
  const cut = Math.max(path.lastIndexOf("/"), partsByBackslash ? path.lastIndexOf("\\") : -1);
  // the slash stays: the folder of `/a.npy` is `/`, and of `C:/a.npy` it is `C:/`
  const folder = path.slice(0, cut + 1) || (scheme === "file" ? "." : "");
  return { folder: formatPlace({ scheme, path: folder }), key: `/${path.slice(cut + 1)}` };
}

/** The key under which the bytes of an unfinished value can be read. */
export function partialKey(key: string): string {
  return key + PARTIAL_SUFFIX;
}

/** The key that a value has once it is finished. */
export function finishedKey(key: string): string {
  return key.endsWith(PARTIAL_SUFFIX) ? key.slice(0, -PARTIAL_SUFFIX.length) : key;
}

/**
 * The folders and the name a key is made of.
 *
 * @throws {TypeError} If a key does not begin with `/`, leaves its store, names no value, or is to be
 * written and means an unfinished one.
 */
export function keyParts(key: string, use: "read" | "write" = "read"): string[] {
  const parts = key.split("/").slice(1);
  const bad = parts.some((part) => part === "" || part === "." || part === "..");
  if (!key.startsWith("/") || bad || (use === "write" && key.endsWith(PARTIAL_SUFFIX))) {
    throw new TypeError(`Cannot use the key "${key}": wanted names joined by "/", as in "/x/c/0"`);
  }
  return parts;
}

/** The folders a prefix is made of; none for `/`. */
export function prefixParts(prefix: string): string[] {
  const folder = prefix.replace(/\/+$/, "");
  return folder === "" ? [] : keyParts(folder);
}

/** What {@link Store.append} throws when bytes that are to be kept are gone. */
export function tooShort(path: string, bytes: number, keep: number): ChunkError {
  return new ChunkError(
    `Cannot go on with "${path}": it holds ${bytes} bytes, wanted the ${keep} that were stored`,
    path,
  );
}

/** What an {@link Appender} throws that was finished or closed. */
export function wasClosed(path: string): StoreError {
  return new StoreError(`Cannot write "${path}": its appender was finished or closed`, path);
}
