/**
 * Small results, written at once: a zarr group of arrays that are in memory, with what made them in
 * its attributes.
 *
 * @module
 */

import { ChunkError, OutputConflictError } from "../errors.ts";
import { openJournal } from "../store/journal.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/store.ts";
import type { ZarrArraySpec, ZarrGroupSpec } from "../zarr/metadata.ts";
import { projectedMetadataBytes, readGroupAttributes } from "../zarr/metadata.ts";
import { ChunkWriter } from "../zarr/chunk_writer.ts";
import { removeGroup, writeArray, writeGroup } from "../zarr/group_writer.ts";
import type { NumericArray } from "../types.ts";
import { VERSION } from "../version.ts";
import { readAll } from "./array.ts";
import { arrayNames } from "../zarr/group.ts";
import { openZarrArray } from "../zarr/zarr_array.ts";

const FORMAT_VERSION = 1;
const CHUNK_BYTES = 4 * 2 ** 20;

/** An array of a result: its dtype is that of the typed array. */
export interface ResultArray {
  dtype: "float32" | "float64" | "int32";
  shape: readonly number[];
  dims: readonly string[];
}

export interface ResultOptions {
  place: string;
  overwrite: boolean;
  /** What it is: `kmeans`, `pca`. */
  kind: string;
  arrays: Record<string, ResultArray>;
}

/** The place of one result. */
export class ResultStore {
  readonly #options: ResultOptions;
  readonly #specs: ZarrArraySpec[];

  constructor(options: ResultOptions) {
    this.#options = options;
    this.#specs = Object.entries(options.arrays).map(([name, { dtype, shape, dims }]) => {
      const rowBytes = (dtype === "float64" ? 8 : 4) *
        shape.slice(1).reduce((product, size) => product * size, 1);
      const rows = Math.max(1, Math.min(shape[0]!, Math.floor(CHUNK_BYTES / rowBytes)));
      return { name, dtype, shape, dims, chunkShape: [rows, ...shape.slice(1)] };
    });
  }

  /** Bytes the place will take, with attributes of at most this length. */
  diskBytes(attributes: Record<string, unknown>): number {
    const arrays = this.#specs.reduce(
      (sum, spec) => sum + ChunkWriter.projectedDiskBytes(spec),
      0,
    );
    return arrays + projectedMetadataBytes(this.#group("0".repeat(64), attributes));
  }

  /**
   * Looks at the place.
   *
   * @param begun Whether the journal beside it is this plan's.
   * @throws {OutputConflictError} If something else is there.
   */
  async check(hash: string, begun: boolean): Promise<"nothing" | "unfinished" | "finished"> {
    const { place, overwrite, kind } = this.#options;
    const store = await openStore(place, { mode: "write" });
    try {
      const group = await readGroupAttributes(store);
      if (group && group.attributes.format !== formatOf(kind)) {
        throw this.#conflict("another zarr store, name another place");
      }
      if (!group && !begun && (await store.list("/")).length > 0) {
        throw this.#conflict("files that are no result, name another place");
      }
      if (overwrite) return "nothing";
      if (group?.attributes.plan_hash === hash) return "finished";
      // over the result of another plan, if that was allowed when it began
      if (begun) return "unfinished";
      if (group) {
        throw this.#conflict(
          "the result of another plan, allow overwriting or name another place",
        );
      }
      const journal = await openJournal(place);
      const unfinished = await journal.hasState();
      await journal.close();
      if (!unfinished) return "nothing";
      throw this.#conflict(
        "what another plan, or this one on another adapter, has not finished; run that to its end, " +
          "allow overwriting or name another place",
      );
    } finally {
      await store.close();
    }
  }

  /** Writes everything; whoever finds the group finds all of it. Returns the bytes written. */
  async write(
    hash: string,
    values: Record<string, NumericArray>,
    attributes: Record<string, unknown>,
  ): Promise<number> {
    const store = await openStore(this.#options.place, { mode: "write" });
    try {
      await removeGroup(store);
      let bytes = 0;
      for (const spec of this.#specs) bytes += await writeArray(store, spec, values[spec.name]!);
      return bytes + await writeGroup(store, this.#group(hash, attributes));
    } finally {
      await store.close();
    }
  }

  #group(hash: string, attributes: Record<string, unknown>): ZarrGroupSpec {
    return {
      attributes: {
        format: formatOf(this.#options.kind),
        format_version: FORMAT_VERSION,
        sluice_version: VERSION,
        plan_hash: hash,
        ...attributes,
      },
      arrays: this.#specs,
    };
  }

  #conflict(what: string): OutputConflictError {
    const { place } = this.#options;
    return new OutputConflictError(`Cannot write to ${place}: it holds ${what}`, place);
  }
}

/**
 * Reads a result.
 *
 * @throws {ChunkError} If none of this kind is at `place`, or a newer version wrote it.
 */
export async function readResult(
  place: string,
  kind: string,
): Promise<{ attributes: Record<string, unknown>; arrays: Record<string, NumericArray> }> {
  const store = await openStore(place);
  try {
    const attributes = await readFormat(store, place, kind);
    const arrays: Record<string, NumericArray> = {};
    for (const name of await arrayNames(store, 3)) {
      arrays[name] = await readAll(await openZarrArray(store, `/${name}`));
    }
    return { attributes, arrays };
  } finally {
    await store.close();
  }
}

async function readFormat(
  store: Store,
  place: string,
  kind: string,
): Promise<Record<string, unknown>> {
  const group = await readGroupAttributes(store);
  const format = group?.attributes.format;
  if (format !== formatOf(kind)) {
    throw new ChunkError(
      `Cannot open ${place}: ${
        format === undefined ? "no result is stored there" : `it holds "${format}"`
      }, wanted "${formatOf(kind)}"`,
      place,
    );
  }
  const version = group!.attributes.format_version as number;
  if (version > FORMAT_VERSION) {
    throw new ChunkError(
      `Cannot open ${place}: it has format version ${version}, this package reads up to ` +
        `${FORMAT_VERSION}`,
      place,
    );
  }
  return group!.attributes;
}

function formatOf(kind: string): string {
  return `sluice.${kind}`;
}
