/**
 * The JSON files of a zarr group, version 3 or 2.
 *
 * @module
 */

import { jsonNumber } from "../math/format.ts";
import { ChunkError } from "../errors.ts";
import type { DataType } from "../types.ts";
import { fullAttributes } from "./attributes.ts";
import type { Codec } from "./codecs.ts";
import { codecMetadataV2, codecMetadataV3 } from "./codecs.ts";
import { isFloat } from "./data_types.ts";
import { MOST_JSON_BYTES, parseJson } from "./json.ts";
import { checkKeysV3 } from "./metadata_values.ts";
import type { Store } from "../store/store.ts";

/** Version of the zarr format; 2 is for Python before zarr 3. */
export type ZarrFormat = 2 | 3;

/** One array of a group. */
export interface ZarrArraySpec {
  /** Its folder in the group. */
  name: string;
  shape: readonly number[];
  chunkShape: readonly number[];
  dtype: DataType;
  /** A name per axis. */
  dims: readonly string[];
  /** Chunks in a file along the first axis; each chunk has its own file when not given. Version 3. */
  shardChunks?: number;
  /** Compression of chunks; `none` when not given. */
  codec?: Codec;
  /** Most characters of a string: version 2 stores strings of a fixed length. */
  stringLength?: number;
  /** What unwritten elements are; NaN for floats, 0, false or "" when not given. */
  fillValue?: number | boolean | string;
  attributes?: Record<string, unknown>;
}

/** A group of arrays, with attributes of its own. */
export interface ZarrGroupSpec {
  /** 3 when not given. */
  zarrFormat?: ZarrFormat;
  attributes: Record<string, unknown>;
  arrays: readonly ZarrArraySpec[];
  /** Of version 2: what other files of JSON hold, by key without the first slash, as `obs/.zgroup`. */
  others?: Readonly<Record<string, unknown>>;
}

/** A file of JSON, by its key. */
export interface MetadataFile {
  key: string;
  bytes: Uint8Array;
}

/** The file that makes a group be there: written last, and replaced to change attributes. */
export const ROOT_KEYS = { 2: "/.zmetadata", 3: "/zarr.json" } as const;

/** Key of the file that holds a chunk, by its position in the grid of such files. */
export function chunkKey(
  { name }: Pick<ZarrArraySpec, "name">,
  position: readonly number[],
  format: ZarrFormat = 3,
): string {
  return format === 3 ? `/${[name, "c", ...position].join("/")}` : `/${name}/${position.join(".")}`;
}

/** What unwritten elements of an array are. */
export function fillValueOf({ dtype, fillValue }: ZarrArraySpec): number | boolean | string {
  if (fillValue !== undefined) return fillValue;
  if (dtype === "string") return "";
  if (dtype === "bool") return false;
  return isFloat(dtype) ? NaN : 0;
}

/** Whether chunks end in a checksum. Version 2 has none that every reader knows. */
export function hasChecksums({ dtype }: ZarrArraySpec, format: ZarrFormat): boolean {
  return format === 3 && dtype !== "string";
}

/**
 * Every JSON file of a group in the order they are to be written, the one that shows it last.
 *
 * @throws {RangeError} If shape, chunk shape and dims of an array do not belong together.
 */
export function metadataFiles(group: ZarrGroupSpec): MetadataFile[] {
  const { zarrFormat = 3, attributes, arrays, others = {} } = group;
  const file = (key: string, value: unknown): MetadataFile => ({ key, bytes: encodeJson(value) });
  if (zarrFormat === 3) {
    const metadata = Object.fromEntries(arrays.map((spec) => [spec.name, arrayMetadata(spec)]));
    const root = {
      zarr_format: 3,
      node_type: "group",
      attributes,
      // inline, so that one read opens it all
      consolidated_metadata: { kind: "inline", must_understand: false, metadata },
    };
    return [
      ...Object.entries(metadata).map(([name, value]) => file(`/${name}/zarr.json`, value)),
      file(ROOT_KEYS[3], root),
    ];
  }
  const metadata: Record<string, unknown> = {};
  for (const spec of arrays) {
    metadata[`${spec.name}/.zarray`] = arrayMetadataV2(spec);
    metadata[`${spec.name}/.zattrs`] = { ...spec.attributes, _ARRAY_DIMENSIONS: spec.dims };
  }
  Object.assign(metadata, others);
  metadata[".zgroup"] = { zarr_format: 2 };
  metadata[".zattrs"] = attributes;
  return [
    ...Object.entries(metadata).map(([key, value]) => file(`/${key}`, value)),
    file(ROOT_KEYS[2], { zarr_consolidated_format: 1, metadata }),
  ];
}

/** What a group says of itself. */
export interface GroupDescription {
  zarrFormat: ZarrFormat;
  attributes: Record<string, unknown>;
  /** Arrays that it names; those of groups that are not consolidated are not known. */
  arrays: string[];
}

/**
 * What the group in a store says of itself; `undefined` if there is no group.
 *
 * @throws {ChunkError} If its metadata is damaged.
 */
export async function readGroupAttributes(store: Store): Promise<GroupDescription | undefined> {
  for (const zarrFormat of [3, 2] as const) {
    const key = ROOT_KEYS[zarrFormat];
    const bytes = await store.get(key, { mostBytes: MOST_JSON_BYTES });
    if (!bytes) continue;
    try {
      return { zarrFormat, ...describeGroup(bytes, zarrFormat) };
    } catch (cause) {
      const path = store.place + key;
      const reason = cause instanceof RangeError ? cause.message : "it is not JSON of a zarr group";
      throw new ChunkError(`Cannot read "${path}": ${reason}`, path, cause);
    }
  }
  return undefined;
}

const GROUP_KEYS = new Set(["zarr_format", "node_type", "attributes", "consolidated_metadata"]);

type Attributes = Record<string, unknown>;

function describeGroup(
  bytes: Uint8Array,
  zarrFormat: ZarrFormat,
): Pick<GroupDescription, "attributes" | "arrays"> {
  const root = parseJson(bytes) as Record<string, unknown>;
  if (zarrFormat === 2) {
    const metadata = root.metadata as Record<string, Attributes>;
    const arrays = Object.keys(metadata).filter((key) => key.endsWith("/.zarray"))
      .map((key) => key.slice(0, -"/.zarray".length));
    return { attributes: fullAttributes(metadata[".zattrs"] ?? {}), arrays };
  }
  if (root.zarr_format !== 3 || root.node_type !== "group") {
    throw new SyntaxError("it is no group");
  }
  checkKeysV3(root, GROUP_KEYS);
  const { metadata } = (root.consolidated_metadata ?? {}) as { metadata?: Attributes };
  return {
    attributes: fullAttributes((root.attributes ?? {}) as Attributes),
    arrays: Object.keys(metadata ?? {}),
  };
}

/** Files of the group itself, such as `/zarr.json`: not those of its arrays. */
export function isGroupFile(key: string): boolean {
  return key.lastIndexOf("/") === 0;
}

/** Has the group that is there say that it is not complete, so that nobody takes it for a result. */
export async function markIncomplete(store: Store): Promise<void> {
  for (const key of Object.values(ROOT_KEYS)) {
    const bytes = await store.get(key);
    if (!bytes) continue;
    let root: Record<string, Attributes | undefined>;
    try {
      root = parseJson(bytes) as typeof root;
    } catch {
      // nobody takes that for one
      continue;
    }
    const owner = root.metadata ?? root;
    const name = root.metadata ? ".zattrs" : "attributes";
    const { complete, ...others } = (owner[name] ?? {}) as Attributes;
    owner[name] = { ...others, complete: typeof complete === "number" ? 0 : false };
    await store.set(key, encodeJson(root));
  }
}

/** Bytes of all the JSON files of a group. */
export function projectedMetadataBytes(group: ZarrGroupSpec): number {
  return metadataFiles(group).reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
}

function checkShapes({ name, shape, chunkShape, dims }: ZarrArraySpec): void {
  const isSize = (size: number) => Number.isSafeInteger(size) && size >= 0;
  if (!shape.every(isSize) || !chunkShape.every((size) => isSize(size) && size > 0)) {
    throw new RangeError(
      `Cannot describe "${name}": its shape is [${shape}] in chunks of [${chunkShape}], wanted ` +
        `whole numbers, and chunks of at least 1`,
    );
  }
  if (shape.length !== chunkShape.length || shape.length !== dims.length) {
    throw new RangeError(
      `Cannot describe "${name}": its shape [${shape}], chunk shape [${chunkShape}] and dims ` +
        `[${dims}] differ in length`,
    );
  }
}

function arrayMetadata(spec: ZarrArraySpec): Record<string, unknown> {
  checkShapes(spec);
  const { shape, chunkShape, dtype, dims, shardChunks, codec = "none" } = spec;
  const bytes = { name: "bytes", configuration: { endian: "little" } };
  const checksum = { name: "crc32c" };
  const { before, behind } = codecMetadataV3(codec, dtype);
  const chunkCodecs = dtype === "string"
    ? [{ name: "vlen-utf8" }]
    : [...before, bytes, ...behind, checksum];
  const fillValue = fillValueOf(spec);
  const [chunkRows, ...inner] = chunkShape;
  return {
    zarr_format: 3,
    node_type: "array",
    shape,
    data_type: dtype,
    chunk_grid: {
      name: "regular",
      configuration: {
        chunk_shape: shardChunks === undefined ? chunkShape : [chunkRows! * shardChunks, ...inner],
      },
    },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    fill_value: jsonFill(fillValue),
    codecs: shardChunks === undefined ? chunkCodecs : [{
      name: "sharding_indexed",
      configuration: {
        chunk_shape: chunkShape,
        codecs: chunkCodecs,
        index_codecs: [bytes, checksum],
        index_location: "end",
      },
    }],
    attributes: spec.attributes ?? {},
    dimension_names: dims,
    storage_transformers: [],
  };
}

const V2_TYPES: Record<Exclude<DataType, "string">, string> = {
  bool: "|b1",
  int8: "|i1",
  int16: "<i2",
  int32: "<i4",
  int64: "<i8",
  uint8: "|u1",
  uint16: "<u2",
  uint32: "<u4",
  uint64: "<u8",
  float16: "<f2",
  float32: "<f4",
  float64: "<f8",
};

function arrayMetadataV2(spec: ZarrArraySpec): Record<string, unknown> {
  checkShapes(spec);
  const { name, shape, chunkShape, dtype, codec = "none", shardChunks, stringLength } = spec;
  if (shardChunks !== undefined) {
    throw new RangeError(`Cannot describe "${name}": zarr version 2 has no shards`);
  }
  if (dtype === "string" && stringLength === undefined) {
    throw new RangeError(`Cannot describe "${name}": zarr version 2 wants the length of strings`);
  }
  return {
    zarr_format: 2,
    shape,
    chunks: chunkShape,
    dtype: dtype === "string" ? `<U${stringLength}` : V2_TYPES[dtype],
    ...codecMetadataV2(dtype === "string" ? "none" : codec, dtype),
    // xarray takes the fill value of whole numbers for "missing", and makes floats of them
    fill_value: isFloat(dtype) ? jsonFill(fillValueOf(spec)) : null,
    order: "C",
  };
}

function jsonFill(value: number | boolean | string): number | boolean | string {
  return typeof value === "number" ? jsonNumber(value) : value;
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value, undefined, 2));
}
