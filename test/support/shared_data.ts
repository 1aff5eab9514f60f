/**
 * Recordings and golden results that are not part of the repository: in the folder beside it named
 * `shared`, or in the one SLUICE_DATA names.
 */

import { inject } from "vitest";
import { runtime } from "./runtime.ts";

/** Why tests that need the data must be skipped; `undefined` when it is there. */
export function sharedDataMissing(): string | undefined {
  return inject("sharedData") === ""
    ? "the shared recordings are absent: neither ../shared nor SLUICE_DATA"
    : undefined;
}

/** A file as something `openArray` takes: a path, or in a browser a blob. */
export async function sharedFile(relativePath: string): Promise<string | Blob> {
  const path = `${inject("sharedData")}/${relativePath}`;
  if (runtime !== "chromium") return path;
  const response = await fetch(`/@fs${path}`);
  if (!response.ok) throw new Error(`Cannot fetch ${path}: ${response.status}`);
  return await response.blob();
}

/** What a file of JSON says. */
export async function sharedJson(relativePath: string): Promise<unknown> {
  const source = await sharedFile(relativePath);
  const text = typeof source === "string"
    ? await (await import("node:fs/promises")).readFile(source, "utf8")
    : await source.text();
  return JSON.parse(text);
}
