/**
 * Places that hold results: what is there, how it is opened, and small results that are written at once.
 *
 * @module
 */

import { openArray, readAll } from "../array/array.ts";
import { ChunkError, OutputConflictError } from "../errors.ts";
import type { Claim } from "../store/journal.ts";
import { openStore } from "../store/open_store.ts";
import { overlapping } from "../store/overlap.ts";
import { described } from "./descriptions.ts";
import { childPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import { VERSION } from "../version.ts";
import { plainAttributes } from "../zarr/attributes.ts";
import type { FileSums } from "../zarr/checksums.ts";
import { checkedStore, CHECKSUMS_KEY } from "../zarr/checksums.ts";
import {
  knownArrays,
  metadataSums,
  removeArrays,
  writeArray,
  writeChecksums,
  writeGroup,
} from "../zarr/group_writer.ts";
import type { ZarrGroupSpec } from "../zarr/metadata.ts";
import { readGroupAttributes } from "../zarr/metadata.ts";
import type { Found, Outcome, OutputSpec, Stored } from "./output.ts";

/** @throws {RangeError} If a result would take the place of what it is made of. */
export async function refuseOverlap(
  place: string | undefined,
  reads: readonly { places: readonly string[] | undefined }[],
): Promise<void> {
  if (place === undefined) return;
  const own = await overlapping(place, reads.flatMap(({ places = [] }) => places));
  if (own === undefined) return;
  throw new RangeError(
    `Cannot write to ${place}: ${own} is read, wanted a place that neither is nor holds it, nor lies in it`,
  );
}

/**
 * Looks at a place, before any work.
 *
 * @param names Of all arrays that a run would write there.
 * @throws {OutputConflictError} If something else is there.
 */
export async function lookAtPlace(
  { kind, overwrite, adapter }: OutputSpec,
  place: string,
  names: readonly string[],
  { hash, claim, hashFor }: {
    hash: string;
    claim: Claim | undefined;
    hashFor: (adapter: string) => Promise<string>;
  },
): Promise<Found> {
  const conflict = (what: string) =>
    new OutputConflictError(`Cannot write to ${place}: it holds ${what}`, place);
  const begun = claim?.hash === hash;
  const store = await openStore(place, { mode: "write" });
  try {
    // of a result that is damaged the list of its files still says that it is one
    const known = await knownArrays(store);
    const isReplaced = overwrite && known.length > 0;
    const group = await readGroupAttributes(store).catch((error) => {
      if (!isReplaced) throw error;
    });
    if (!group) {
      const foreign = await foreignKeys(store, isReplaced ? [...names, ...known] : names);
      if (foreign.length > 0) {
        throw conflict(
          `files that are no result, such as ${foreign[0]}; name another place`,
        );
      }
      // what a run that was killed in its first moments left has our names
      if (begun) return { kind: overwrite ? "nothing" : "unfinished" };
      if (!isReplaced && (await store.list("/")).length > 0) {
        throw conflict("files that are no result; name another place");
      }
      if (claim && !overwrite) {
        throw conflict(
          "what another plan, or this one on another adapter, has not finished; run that to its " +
            "end, allow overwriting or name another place",
        );
      }
      return { kind: "nothing" };
    }
    const { attributes } = group;
    if (attributes.format !== formatOf(kind)) {
      throw conflict("another zarr store, name another place");
    }
    const found = attributes.plan_hash as string;
    // a run that replaces this result may have written arrays that it does not name
    if (!begun && claim?.replaces !== found) {
      for (const name of names.filter((name) => !known.includes(name))) {
        const [foreign] = await store.list(`/${name}`);
        if (foreign) {
          throw conflict(`files that are no result, such as ${foreign}; name another place`);
        }
      }
    }
    if (overwrite) return { kind: "nothing", replaces: found };
    if (found === hash) {
      if (attributes.complete === false) return { kind: "unfinished" };
      const { firstHole } = await import("../zarr/check.ts");
      const hole = await firstHole(store);
      if (hole) {
        throw new ChunkError(
          `Cannot return the result in ${place}: ${hole}; allow overwriting to compute it again`,
          place,
        );
      }
      return { kind: "finished" };
    }
    // that was allowed when this plan began
    if (begun && claim.replaces === found) return { kind: "nothing", replaces: found };
    const stored = attributes.adapter as string;
    throw conflict(
      found === await hashFor(stored)
        ? `a result of this plan on another adapter, "${stored}", not on "${adapter}"; allow ` +
          "the change of adapter, overwriting, or name another place"
        : "the result of another plan, allow overwriting or name another place",
    );
  } finally {
    await store.close();
  }
}

/** Keys of files that no run of this kind makes. */
async function foreignKeys(store: Store, names: readonly string[]): Promise<string[]> {
  const roots = ["zarr.json", ".zgroup", ".zattrs", ".zmetadata", CHECKSUMS_KEY.slice(1)];
  return (await store.list("/")).filter((key) => {
    return key.lastIndexOf("/") === 0
      ? !roots.includes(key.slice(1))
      : !names.some((name) => key.startsWith(`/${name}/`));
  });
}

/** Metadata of a result, with what is to be told of it. */
export function groupOf(
  { kind, formatVersion, streamed, whole, coordinates = [], attributes, zarrFormat }: OutputSpec,
  who: { plan_hash: string; adapter: string },
  state: Record<string, unknown>,
): ZarrGroupSpec {
  const own = coordinates.map(({ spec }) => spec);
  return {
    ...(zarrFormat && { zarrFormat }),
    attributes: plainAttributes({
      format: formatOf(kind),
      format_version: formatVersion,
      sluice_version: VERSION,
      ...who,
      ...attributes,
      // what xarray makes coordinates, beside those named after their dim
      ...(own.length > 0 && {
        coordinates: own.filter(({ name, dims }) => !dims.includes(name))
          .map(({ name }) => name).join(" "),
      }),
      ...state,
    }),
    arrays: [...streamed, ...whole, ...own].map((spec) => described(kind, spec)),
  };
}

/** Stores a small result at once, in place of what is there: whoever finds the group finds all of it. */
export async function storeResult(
  spec: OutputSpec & { place: string },
  hash: string,
  { values = {}, facts }: Outcome,
): Promise<void> {
  const store = await openStore(spec.place, { mode: "write" });
  try {
    await removeArrays(store, spec.whole.map(({ name }) => name));
    const sums: FileSums = new Map();
    for (const own of spec.whole) {
      await writeArray(store, own, values[own.name]!, spec.zarrFormat, sums);
    }
    const who = { plan_hash: hash, adapter: spec.adapter };
    const group = groupOf(spec, who, { complete: true, ...facts });
    const { arrays, own } = metadataSums(group);
    const files = new Map([...sums, ...arrays, ...own]);
    await writeChecksums(store, { files, begun: new Map() });
    await writeGroup(store, group);
  } finally {
    await store.close();
  }
}

/**
 * Reads what a result says of itself.
 *
 * @throws {ChunkError} If none of this kind is at `place`, it is not finished, or a newer version wrote it.
 */
export async function openStored(
  place: string,
  { kind, formatVersion }: Pick<OutputSpec, "kind" | "formatVersion">,
): Promise<Stored> {
  const store = await openStore(place);
  try {
    const group = await readGroupAttributes(await checkedStore(store));
    const { format, format_version: version, complete } = group?.attributes ?? {};
    const why = format !== formatOf(kind)
      ? `${format === undefined ? "no result is stored there" : `it holds "${format}"`}, wanted "${
        formatOf(kind)
      }"`
      : version as number > formatVersion
      ? `it has format version ${version}, this package reads up to ${formatVersion}`
      : complete === false
      ? "its run has not finished, run it again"
      : undefined;
    if (why) throw new ChunkError(`Cannot open ${place}: ${why}`, place);
    return storedAt(place, group!.attributes);
  } finally {
    await store.close();
  }
}

export function storedAt(place: string, attributes: Record<string, unknown>): Stored {
  const open = (name: string) => openArray(childPlace(place, name));
  return {
    place,
    attributes,
    open,
    async read(name) {
      const array = await open(name);
      try {
        return await readAll(array);
      } finally {
        await array.close();
      }
    },
  };
}

/** What a group says of itself; `undefined` if there is none. */
export async function storedAttributes(
  place: string,
): Promise<Record<string, unknown> | undefined> {
  const store = await openStore(place);
  try {
    return (await readGroupAttributes(store))?.attributes;
  } finally {
    await store.close();
  }
}

function formatOf(kind: string): string {
  return `sluice.${kind}`;
}
