/**
 * Arrays that are written by whoever has rows: zarr that grows, row by row, and is whole after every append.
 *
 * @module
 */

import { displayed } from "../display.ts";
import { OutputConflictError } from "../errors.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, flag, isList, isObject, list, oneOf, text, whole } from "../options.ts";
import { openStore } from "../store/open_store.ts";
import { splitPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import { compress } from "../zarr/codecs.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { elementBytes, elementCount, encodeElements, filledBytes } from "../zarr/data_types.ts";
import { removeArray } from "../zarr/group_writer.ts";
import type { ZarrArraySpec } from "../zarr/metadata.ts";
import { chunkKey, fillValueOf, metadataFiles, readGroupAttributes } from "../zarr/metadata.ts";
import { checksumBytes, sealWithChecksum } from "../zarr/stored_chunks.ts";
import { openZarrArray, readZarrLayout } from "../zarr/zarr_array.ts";

const TYPES = [
  ...["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"],
  ...["float16", "float32", "float64"],
] as NumericType[];

/** Bytes of a chunk where nobody says how many rows it has. */
const CHUNK_BYTES = 4 * 2 ** 20;

const isAttributes = (value: unknown): value is Record<string, unknown> =>
  isObject(value) && !isList(value);

const isShape = (value: unknown): value is readonly number[] =>
  isList(value) && value.length > 0 &&
  Array.from(value).every((size, axis) =>
    (axis === 0 && size === Infinity) || (Number.isSafeInteger(size) && (size as number) >= 0)
  );

export const createArrayOptions = declare("create an array", {
  /** The first is the most rows it may have, `Infinity` where nobody knows; what is stored has the rows that came. */
  shape: custom(
    "a list of whole numbers from 0, the first or Infinity",
    isShape as Is<readonly number[]>,
    {
      required: true,
      says: "most rows, or Infinity; then the other axes",
    },
  ),
  dtype: oneOf(TYPES, { required: true, says: "type of an element" }),
  /** A name for each axis; xarray and others call them so. */
  dims: list(text({ says: "a name" }), { required: true, says: "a name for each axis" }, 1),
  /** Rows of a chunk. Default about 4 MiB. An append that ends within a chunk writes that chunk again. */
  chunks: whole({ from: 1, otherwise: "about 4 MiB", says: "rows of a chunk" }),
  /** Compression of chunks. Default none. */
  codec: oneOf(["none", "gzip", "zstd"], { default: "none", says: "compression of chunks" }),
  /** Attributes, as `units` and `long_name`. */
  attributes: custom("an object", isAttributes as Is<Record<string, unknown>>, {
    otherwise: "none",
    says: "attributes, as units and long_name",
  }),
  /** Begins anew where an array is already. Default false: one of the same kind is gone on with. */
  overwrite: flag({ default: false, says: "begin anew where an array is already" }),
});

/** Options of {@link createArray}. */
export type CreateArrayOptions = OptionsOf<typeof createArrayOptions>;

export interface ArrayWriter {
  /** As a notebook shows it. */
  toHTML(): string;
}

/** An array under way. Made by {@link createArray}. */
export class ArrayWriter {
  readonly place: string;
  readonly #store: Store;
  readonly #spec: ZarrArraySpec & { dtype: NumericType };
  readonly #mostRows: number;
  readonly #release: () => Promise<void>;
  #rows: number;
  /** Rows of the last chunk, where it is not full. */
  #tail: Uint8Array;
  #working: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** Use {@link createArray}. */
  constructor(
    place: string,
    store: Store,
    spec: ZarrArraySpec & { dtype: NumericType },
    { mostRows, rows, tail, release }: {
      mostRows: number;
      rows: number;
      tail: Uint8Array;
      release: () => Promise<void>;
    },
  ) {
    this.place = place;
    this.#store = store;
    this.#spec = spec;
    this.#mostRows = mostRows;
    this.#rows = rows;
    this.#tail = tail;
    this.#release = release;
  }

  /** Rows that are stored for good: where to go on after an interruption. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Adds rows behind those that are there. Atomic: until it resolves, readers have the rows of before; once it has,
   * these outlast a crash. Appends wait for one another.
   *
   * @param values Whole rows in C order, of the array's type. They must not change until it resolves.
   * @throws {RangeError} If rows are not whole, or more than the array may have.
   * @throws {TypeError} If values are of another type.
   * @throws {QuotaError} If there is too little room: the rows of before stay.
   */
  append(values: NumericArray): Promise<void> {
    const own = this.#working.then(() => this.#append(values));
    this.#working = own.catch(() => {});
    return own;
  }

  /** Waits for appends, and lets go of the place. What is there can be gone on with. */
  async close(): Promise<void> {
    await this.#working;
    if (this.#closed) return;
    this.#closed = true;
    await this.#release();
  }

  async #append(values: NumericArray): Promise<void> {
    const { dtype, chunkShape } = this.#spec;
    const action = `append to "${this.place}"`;
    if (this.#closed) throw new TypeError(`Cannot ${action}: it is closed, wanted an open one`);
    const width = elementCount(chunkShape.slice(1));
    const added = values.length / width;
    if (!Number.isInteger(added)) {
      throw new RangeError(
        `Cannot ${action}: got ${values.length} elements, wanted a multiple of ${width}`,
      );
    }
    const end = this.#rows + added;
    if (end > this.#mostRows) {
      throw new RangeError(
        `Cannot ${action}: it has ${this.#rows} rows and gets ${added}, wanted at most ${this.#mostRows} in all`,
      );
    }
    if (added === 0) return;
    const rowBytes = width * elementBytes(dtype);
    const encoded = encodeElements(dtype, values, action);
    // from the last chunk that is not full on
    const bytes = new Uint8Array(this.#tail.byteLength + encoded.byteLength);
    bytes.set(this.#tail);
    bytes.set(encoded, this.#tail.byteLength);
    const chunkBytes = chunkShape[0]! * rowBytes;
    const first = Math.floor(this.#rows / chunkShape[0]!);
    for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
      const part = bytes.subarray(at, at + chunkBytes);
      await this.#storeChunk(first + at / chunkBytes, part, chunkBytes);
    }
    // last: rows are there once the metadata tells of them
    const { key, bytes: metadata } = metadataOf(this.#spec, end);
    await this.#store.set(key, metadata);
    this.#rows = end;
    this.#tail = bytes.slice(Math.floor(bytes.byteLength / chunkBytes) * chunkBytes);
  }

  async #storeChunk(index: number, part: Uint8Array, chunkBytes: number): Promise<void> {
    const { dtype, codec = "none", shape } = this.#spec;
    const chunk = new Uint8Array(chunkBytes);
    chunk.set(part);
    const missing = (chunkBytes - part.byteLength) / elementBytes(dtype);
    chunk.set(
      filledBytes(dtype, fillValueOf(this.#spec) as number | boolean, missing),
      part.byteLength,
    );
    const compressed = codec === "none" ? chunk : await compress(codec, dtype, chunk);
    const sealed = new Uint8Array(compressed.byteLength + checksumBytes(this.#spec, 3));
    sealed.set(compressed);
    sealWithChecksum(sealed);
    const position = shape.map((_, axis) => axis === 0 ? index : 0);
    await this.#store.set(chunkKey(this.#spec, position), sealed);
  }
}

displayed(ArrayWriter.prototype, ({ place, rows }) => ({
  title: `array under way: ${place}, ${rows} rows`,
}));

/** The metadata of an array that has so many rows. */
function metadataOf(spec: ZarrArraySpec, rows: number) {
  const shape = [rows, ...spec.shape.slice(1)];
  return metadataFiles({ attributes: {}, arrays: [{ ...spec, shape }] })[0]!;
}

/**
 * Creates an array of zarr version 3 that is written by appending rows, or goes on with one of the same type, dims,
 * chunks and attributes. At any moment what is stored is a whole array, of the rows that were appended.
 *
 * @example
 * ```ts
 * const frames = await createArray("frames.zarr/embeddings", {
 *   shape: [Infinity, 64],
 *   dtype: "float32",
 *   dims: ["frame", "feature"],
 * });
 * for (let game = frames.rows / FRAMES; game < GAMES; game++) await frames.append(framesOf(game));
 * await frames.close();
 * ```
 *
 * @param place Of the array: `x.zarr` by itself, or `x.zarr/name` in a group.
 * @throws {OutputConflictError} If another array is there, or somebody else writes it.
 * @throws {RangeError} If shape and dims do not belong together.
 */
export async function createArray(
  place: string,
  options: CreateArrayOptions,
): Promise<ArrayWriter> {
  const own = createArrayOptions.check(options);
  const { folder, key } = splitPlace(place.replace(/\/+$/, ""));
  const store = await openStore(folder, { mode: "write" });
  try {
    return await openWriter(store, place, key.slice(1), own, () => store.close());
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** @param name Of the array in the store. */
export async function openWriter(
  store: Store,
  place: string,
  name: string,
  { shape, dtype, dims, codec, attributes = {}, overwrite, ...more }: ReturnType<
    typeof createArrayOptions.check
  >,
  close: () => Promise<void>,
): Promise<ArrayWriter> {
  if (dims.length !== shape.length) {
    throw new RangeError(
      `Cannot create "${place}": its shape [${
        shape.join(", ")
      }] has ${shape.length} axes, its dims are ${dims.join(", ")}, wanted a name for each`,
    );
  }
  const [mostRows, ...row] = shape as [number, ...number[]];
  const width = elementCount(row);
  if (width === 0) {
    throw new RangeError(
      `Cannot create "${place}": a row of shape [${row.join(", ")}] has no elements`,
    );
  }
  const fitting = Math.max(1, Math.floor(CHUNK_BYTES / (width * elementBytes(dtype))));
  const chunkRows = more.chunks ?? Math.max(1, Math.min(mostRows, fitting));
  const spec = {
    ...{ name, dtype, dims, codec, attributes },
    shape: [0, ...row],
    chunkShape: [chunkRows, ...row],
  };
  const unlock = await store.lock(`/${name}.lock`);
  try {
    await refuseResults(store, place);
    await refuseOthers(store, name, place, overwrite);
    if (overwrite) await removeArray(store, name);
    const file = metadataOf(spec, 0);
    const there = await store.get(file.key);
    let rows = 0;
    let tail: Uint8Array = new Uint8Array();
    if (there) {
      const found = await goOn(store, place, spec, there);
      [rows, tail] = [found.rows, found.tail];
      if (rows > mostRows) {
        throw new OutputConflictError(
          `Cannot go on with "${place}": it has ${rows} rows, wanted at most ${mostRows}`,
          place,
        );
      }
    } else {
      // what an array of that name left without its metadata is nothing's
      await store.deleteAll(`/${name}`, (key) => CHUNK_FILE.test(key.slice(name.length + 2)));
      await beginGroup(store);
      await store.set(file.key, file.bytes);
    }
    const release = async () => {
      await unlock();
      await close();
    };
    return new ArrayWriter(place, store, spec, { mostRows, rows, tail, release });
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** Where rows of an array end, and those of its last chunk. */
async function goOn(
  store: Store,
  place: string,
  spec: ZarrArraySpec & { dtype: NumericType },
  there: Uint8Array,
): Promise<{ rows: number; tail: Uint8Array }> {
  const layout = await readZarrLayout(store, `/${spec.name}`);
  const [rows] = layout.shape as [number];
  const wanted = metadataOf(spec, rows).bytes;
  const same = wanted.byteLength === there.byteLength &&
    wanted.every((byte, i) => byte === there[i]);
  if (!same) {
    throw new OutputConflictError(
      `Cannot create "${place}": another array is there, of shape [${
        layout.shape.join(", ")
      }], wanted one of the ` +
        "same type, dims, chunks, compression and attributes, or overwrite",
      place,
    );
  }
  const first = Math.floor(rows / spec.chunkShape[0]!) * spec.chunkShape[0]!;
  if (first === rows) return { rows, tail: new Uint8Array() };
  const array = await openZarrArray(store, `/${spec.name}`);
  const values = spec.dtype === "float16"
    ? await array.readBits!(first, rows)
    : await array.read(first, rows);
  await array.close();
  return {
    rows,
    tail: new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice(),
  };
}

/** A chunk, seen from the folder of its array. */
const CHUNK_FILE = /^c(\/\d+)+$/;

/**
 * @throws {OutputConflictError} If the place lies in an array, or holds a group, or an array of version 2 that is not
 * to be replaced: neither is gone on with, and what is in it would be lost.
 */
async function refuseOthers(
  store: Store,
  name: string,
  place: string,
  overwrite: boolean,
): Promise<void> {
  const refuse = (is: string, wanted: string): never => {
    throw new OutputConflictError(`Cannot create "${place}": ${is}, wanted ${wanted}`, place);
  };
  if (await store.get("/.zarray") || await nodeTypeAt(store, "/zarr.json") === "array") {
    refuse("the folder it lies in is an array", "a group, or a folder of its own");
  }
  const type = await nodeTypeAt(store, `/${name}/zarr.json`);
  if (type === "group" || await store.get(`/${name}/.zgroup`)) {
    refuse("a group is there", "another place, or the name of an array in it");
  }
  if (!overwrite && await store.get(`/${name}/.zarray`)) {
    refuse("an array of zarr version 2 is there", "one of version 3, or overwrite");
  }
}

/** What metadata of version 3 are of; `undefined` where there are none, or none that can be read. */
async function nodeTypeAt(store: Store, key: string): Promise<unknown> {
  const bytes = await store.get(key);
  try {
    return bytes && JSON.parse(new TextDecoder().decode(bytes))?.node_type;
  } catch {
    return undefined;
  }
}

/** @throws {OutputConflictError} If readers of the group would not see the array, or take it for a part of a result. */
async function refuseResults(store: Store, place: string): Promise<void> {
  const group = await readGroupAttributes(store).catch(() => undefined);
  if (await store.get("/.zgroup")) {
    throw new OutputConflictError(
      `Cannot create "${place}": the group is of zarr version 2, wanted one of version 3, or none`,
      place,
    );
  }
  if (group === undefined || (group.arrays.length === 0 && group.attributes.format === undefined)) {
    return;
  }
  throw new OutputConflictError(
    `Cannot create "${place}": the group lists its arrays, ${
      group.arrays.toSorted().join(", ")
    }; wanted a place of its own`,
    place,
  );
}

/** Makes a group of the folder that arrays lie in, where its name is one of zarr's. */
async function beginGroup(store: Store): Promise<void> {
  if (!/\.zarr\/*$/.test(store.place) || await store.get("/zarr.json")) return;
  const group = { zarr_format: 3, node_type: "group", attributes: {} };
  await store.set("/zarr.json", new TextEncoder().encode(JSON.stringify(group, undefined, 2)));
}
