/** What is kept of a run: hashes of the files it wrote, attributes, and what it returned. */

import { openStore } from "../../../src/store/open_store.ts";
import type { ChunkedArray, Gpu } from "../../../src/mod.ts";

/** What a run is given. */
export interface Bench {
  gpu: Gpu;
  /** Another device with the given budget, in bytes or as text. */
  withBudget(budget: number | string): Promise<Gpu>;
  /** A place in memory that nobody else has. */
  place(): string;
  /** A new folder of files, which is removed at the end. */
  folder(): Promise<string>;
}

/** A run by name; what it resolves to is kept, see {@link keep}. */
export interface KeptRun {
  name: string;
  run(bench: Bench): Promise<Ran>;
}

/** What a run leaves. */
export interface Ran {
  /** Places of what it wrote, by a name for people. */
  stores?: Record<string, string>;
  /** Typed arrays, numbers, texts, and lists and objects of such. */
  returned?: unknown;
}

/** As JSON holds it. */
export interface Kept {
  /** SHA-256 of every file, by its key in the store, and the attributes of every group. */
  stores?: Record<string, KeptStore>;
  /** Typed arrays as `Float32Array(6) <SHA-256>`, numbers as the shortest text that gives them back. */
  returned?: unknown;
}

export interface KeptStore {
  files: Record<string, string>;
  attributes: Record<string, unknown>;
}

/** What may differ between equal results. */
const OWN_TO_A_RUN = ["plan_hash", "settings_hash", "sluice_version", "adapter"];

/** What is measured, and differs from run to run. */
const MEASURED = ["projectedBytes", "peakBytes", "seconds", "resumed"];

/** What a result has beside its numbers where it is stored. */
const OF_A_STORE = ["place", "model", "close"];

/** Rows that are read from a store, where a result in memory has typed arrays. */
function isArray(value: unknown): value is ChunkedArray {
  return typeof value === "object" && value !== null && "read" in value && "shape" in value;
}

export async function keep({ stores, returned }: Ran): Promise<Kept> {
  const kept: Record<string, KeptStore> = {};
  for (const [name, place] of Object.entries(stores ?? {})) kept[name] = await keepStore(place);
  return {
    ...(stores && { stores: kept }),
    ...(returned !== undefined && { returned: await keepValue(returned) }),
  };
}

export async function sha256(bytes: ArrayBufferView): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", bytes as BufferSource);
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function keepStore(place: string): Promise<KeptStore> {
  const store = await openStore(place);
  const kept: KeptStore = { files: {}, attributes: {} };
  try {
    for (const key of await store.list("/")) {
      const bytes = (await store.get(key))!;
      const attributes = groupAttributes(key, bytes);
      if (attributes === undefined) kept.files[key] = await sha256(bytes);
      else if (attributes) kept.attributes[key] = withoutOwn(attributes);
    }
  } finally {
    await store.close();
  }
  if (Object.keys(kept.files).length === 0) throw new Error(`Nothing is stored at ${place}`);
  return kept;
}

/**
 * What a file says of a group: its attributes, or `null` where it repeats what other files say;
 * `undefined` if it is of another kind.
 */
function groupAttributes(
  key: string,
  bytes: Uint8Array,
): Record<string, unknown> | null | undefined {
  const file = key.slice(key.lastIndexOf("/") + 1);
  const parsed = () => JSON.parse(new TextDecoder().decode(bytes));
  switch (file) {
    case ".zmetadata":
    case "checksums.txt":
      return null;
    case "zarr.json": {
      const { node_type: type, attributes } = parsed();
      return type === "group" ? attributes : undefined;
    }
    case ".zattrs": {
      // of a group alone: arrays have no plan
      const attributes = parsed();
      return "plan_hash" in attributes ? attributes : undefined;
    }
    case "condition.json":
      return parsed();
  }
}

function withoutOwn(attributes: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(attributes).filter(([name]) => !OWN_TO_A_RUN.includes(name)),
  );
}

async function keepValue(value: unknown): Promise<unknown> {
  if (ArrayBuffer.isView(value)) {
    const { length } = value as Uint8Array;
    return `${value.constructor.name}(${length}) ${await sha256(value)}`;
  }
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return await Promise.all(value.map(keepValue));
  if (isArray(value)) return await keepValue(await value.read(0, value.shape[0]!));
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([name, item]) =>
      item !== undefined && !MEASURED.includes(name) && !OF_A_STORE.includes(name)
    );
    return Object.fromEntries(
      await Promise.all(entries.map(async ([name, item]) => [name, await keepValue(item)])),
    );
  }
  return value;
}
