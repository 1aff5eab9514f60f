/**
 * What `zarr.json` and `.zarray` say of an array. Every key, codec, option and type is known, or the array is
 * refused by its name: what is passed over here would be numbers that are wrong and say nothing.
 *
 * @module
 */

import type { NumericType } from "./data_types.ts";
import { elementBytes } from "./data_types.ts";
import type { Decoder } from "./decoders.ts";
import {
  BYTE_CODECS_V3,
  checkOptions,
  CODECS_V2,
  createDecoder,
  FILTERS_V3,
  show,
  unknownCodec,
} from "./decoders.ts";
import { parseJson } from "./json.ts";
import type { ZarrFormat } from "./metadata.ts";
import type { StoredType } from "./stored_types.ts";
import { fillOf, numericType, storedType } from "./stored_types.ts";
import type { TextType } from "./stored_text.ts";
import { textFillOf, textTypeV2 } from "./stored_text.ts";

/** What elements are, how they lie in bytes, and what those are that are not stored. */
export type Elements =
  | { kind: "numbers"; type: StoredType; fill: number | bigint }
  | { kind: "text"; type: TextType; fill: string | undefined };

/** How the chunks of a file lie in it. */
export interface ShardLayout {
  /** Chunks of a file along each axis, in the order in which the file has the axes. */
  grid: readonly number[];
  /** Axis of the array, by axis of the file. */
  axes: readonly number[];
  isIndexAtStart: boolean;
  isIndexBigEndian: boolean;
  indexHasChecksum: boolean;
}

export interface ArrayMetadata {
  zarrFormat: ZarrFormat;
  shape: readonly number[];
  /** Elements that share a file: a shard's, or a chunk's where each has its own. */
  fileShape: readonly number[];
  /** Elements that are decoded together. */
  chunkShape: readonly number[];
  elements: Elements;
  /** Codecs between the elements of a chunk and its bytes, as they were applied. */
  decoders: readonly Decoder[];
  /** Axes of the array in the order in which the elements of a chunk lie, the fastest one last. */
  axisOrder: readonly number[];
  shards: ShardLayout | undefined;
  /** Of version 3; those of version 2 have a file of their own. */
  attributes: Record<string, unknown>;
  dimensionNames: readonly (string | null)[] | undefined;
  /** Name of a file within the array's folder, by its position in the grid of files. */
  fileName(position: readonly number[]): string;
}

type Json = Record<string, unknown>;

/**
 * Understands the file of an array.
 *
 * @throws {SyntaxError} If it is not JSON.
 * @throws {RangeError} If there is anything in it that is not known; the message begins with "its".
 */
export function parseArrayMetadata(bytes: Uint8Array, zarrFormat: ZarrFormat): ArrayMetadata {
  const metadata = parseJson(bytes, BigInt);
  if (!isObject(metadata)) throw new SyntaxError("it is not an object");
  if (metadata.zarr_format !== zarrFormat) {
    throw new RangeError(
      `its zarr_format is ${show(metadata.zarr_format)}, wanted ${zarrFormat}`,
    );
  }
  if (zarrFormat === 2) return parseV2(metadata);
  const { attributes = {} } = parseJson(bytes) as Json;
  return parseV3(metadata, attributes);
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A list of sizes; chunks have no size 0, unless there is nothing along their axis. */
function sizes(name: string, value: unknown, shape?: readonly number[]): readonly number[] {
  const isList = Array.isArray(value) &&
    value.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!isList) throw new RangeError(`its ${name} is ${show(value)}, wanted whole numbers`);
  if (!shape) return value;
  if (value.length !== shape.length) {
    throw new RangeError(`its ${name} is [${value}], its shape [${shape}]`);
  }
  if (value.some((size, axis) => size === 0 && shape[axis]! > 0)) {
    throw new RangeError(`its ${name} is [${value}], wanted 1 at least along each axis`);
  }
  return value;
}

function separatorOf(value: unknown, otherwise: "." | "/"): string {
  if (value === undefined || value === null) return otherwise;
  if (value === "." || value === "/") return value;
  throw new RangeError(`its chunk keys are joined by ${show(value)}, wanted "." or "/"`);
}

function parseV2(metadata: Json): ArrayMetadata {
  // other keys are to be ignored, as the format has it
  const { dtype, order, fill_value = null, filters = null, compressor = null } = metadata;
  const shape = sizes("shape", metadata.shape);
  const chunkShape = sizes("chunk shape", metadata.chunks, shape);
  if (order !== "C" && order !== "F") {
    throw new RangeError(`its order is ${show(order)}, wanted "C" or "F"`);
  }
  if (filters !== null && !Array.isArray(filters)) {
    throw new RangeError(`its filters are ${show(filters)}, wanted a list or null`);
  }
  const codecs = [...filters ?? [], ...(compressor === null ? [] : [compressor])];
  const axes = shape.map((_, axis) => axis);
  const separator = separatorOf(metadata.dimension_separator, ".");
  return {
    zarrFormat: 2,
    shape,
    fileShape: chunkShape,
    chunkShape,
    elements: elementsV2(dtype, fill_value, codecs[0]),
    decoders: codecs.filter((codec) => !isTextFilter(codec)).map(decoderV2),
    axisOrder: order === "C" ? axes : axes.reverse(),
    shards: undefined,
    attributes: {},
    dimensionNames: undefined,
    fileName: (position) => position.join(separator) || "0",
  };
}

function isTextFilter(codec: unknown): boolean {
  return isObject(codec) && codec.id === "vlen-utf8";
}

function elementsV2(dtype: unknown, fill: unknown, firstCodec: unknown): Elements {
  const type = storedType(dtype);
  const text = textTypeV2(dtype, isTextFilter(firstCodec));
  if (isTextFilter(firstCodec) && text?.coding !== "vlen-utf8") {
    throw new RangeError(`its elements are ${show(dtype)}, "vlen-utf8" wants "|O"`);
  }
  if (type) return { kind: "numbers", type, fill: fillOf(type.dtype, fill, 2) };
  if (text) return { kind: "text", type: text, fill: textFillOf(fill, text) };
  throw unknownType(Array.isArray(dtype) ? "structures" : "", dtype);
}

function decoderV2(codec: unknown): Decoder {
  if (!isObject(codec) || typeof codec.id !== "string") {
    throw new RangeError(`its codec is ${show(codec)}, wanted an object with an id`);
  }
  const { id: _, ...options } = codec;
  return createDecoder(codec.id, ownValue(CODECS_V2, codec.id), options);
}

function unknownType(kind: string, type: unknown): RangeError {
  const name = typeof type === "string" ? type : show(type);
  return new RangeError(`its elements are ${kind && `${kind} `}${name}, wanted numbers`);
}

function ownValue<Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

const KEYS_V3 = new Set([
  "zarr_format",
  "node_type",
  "shape",
  "data_type",
  "chunk_grid",
  "chunk_key_encoding",
  "fill_value",
  "codecs",
  "attributes",
  "dimension_names",
  "storage_transformers",
]);

/** Refuses keys that are not known, unless they say themselves that they may be ignored. */
export function checkKeysV3(metadata: Json, known: ReadonlySet<string> = KEYS_V3): void {
  for (const [key, value] of Object.entries(metadata)) {
    const isIgnorable = isObject(value) && value.must_understand === false;
    if (!known.has(key) && !isIgnorable) {
      throw new RangeError(`its metadata has an unknown ${JSON.stringify(key)}`);
    }
  }
}

interface Extension {
  name: string;
  options: Json;
}

/** A name with its configuration, or a name alone. */
function extension(what: string, value: unknown): Extension {
  if (typeof value === "string") return { name: value, options: {} };
  const { name, configuration = {}, must_understand: _, ...others } = isObject(value) ? value : {};
  if (typeof name !== "string" || !isObject(configuration)) {
    throw new RangeError(`its ${what} is ${show(value)}, wanted a name and a configuration`);
  }
  for (const key of Object.keys(others)) {
    throw new RangeError(
      `its ${what} ${JSON.stringify(name)} has an unknown ${JSON.stringify(key)}`,
    );
  }
  return { name, options: configuration };
}

/** The options of the one extension of a kind that is known. */
function knownExtension(
  what: string,
  value: unknown,
  options: Readonly<Record<string, readonly string[]>>,
): Extension {
  const found = extension(what, value);
  const known = ownValue(options, found.name);
  if (!known) throw new RangeError(`its ${what} ${JSON.stringify(found.name)} is not known`);
  for (const key of Object.keys(found.options)) {
    if (!known.includes(key)) {
      throw new RangeError(`its ${what} ${JSON.stringify(found.name)} has an unknown ${show(key)}`);
    }
  }
  return found;
}

function parseV3(metadata: Json, attributes: unknown): ArrayMetadata {
  checkKeysV3(metadata);
  const { storage_transformers: transformers = [], dimension_names: names } = metadata;
  const shape = sizes("shape", metadata.shape);
  if (!Array.isArray(transformers) || transformers.length > 0) {
    throw new RangeError(`its storage transformers ${show(transformers)} are not known`);
  }
  if (!isObject(attributes)) throw new RangeError(`its attributes are ${show(attributes)}`);
  const grid = knownExtension("chunk grid", metadata.chunk_grid, { regular: ["chunk_shape"] });
  const fileShape = sizes("chunk shape", grid.options.chunk_shape, shape);
  if (metadata.fill_value === undefined) throw new RangeError("its fill value is missing");
  const codecs = parseCodecs(metadata.codecs, typeV3(metadata.data_type), fileShape);
  const { type, ...layout } = codecs;
  return {
    zarrFormat: 3,
    shape,
    fileShape,
    ...layout,
    elements: type.kind === "text"
      ? { ...type, fill: textFillOf(metadata.fill_value, type.type) }
      : { ...type, fill: fillOf(type.type.dtype, metadata.fill_value, 3) },
    attributes,
    dimensionNames: dimensionNames(names, shape),
    fileName: fileNameV3(metadata.chunk_key_encoding),
  };
}

function dimensionNames(
  names: unknown,
  shape: readonly number[],
): readonly (string | null)[] | undefined {
  if (names === undefined || names === null) return undefined;
  const isRight = Array.isArray(names) && names.length === shape.length &&
    names.every((name) => typeof name === "string" || name === null);
  if (isRight) return names;
  throw new RangeError(
    `its dimension names are ${show(names)}, wanted one for each of ${shape.length}`,
  );
}

function fileNameV3(encoding: unknown): (position: readonly number[]) => string {
  const { name, options } = knownExtension("chunk key encoding", encoding, {
    default: ["separator"],
    v2: ["separator"],
  });
  const separator = separatorOf(options.separator, name === "default" ? "/" : ".");
  return name === "default"
    ? (position) => ["c", ...position].join(separator)
    : (position) => position.join(separator) || "0";
}

/** A type, as far as it is known before the codec that makes bytes of it. */
type TypeV3 = { kind: "numbers"; dtype: NumericType } | { kind: "text" };

function typeV3(type: unknown): TypeV3 {
  const name = isObject(type) && Object.keys(type).join() === "name" ? type.name : type;
  const dtype = numericType(name);
  if (dtype) return { kind: "numbers", dtype };
  if (name === "string") return { kind: "text" };
  throw unknownType(isObject(type) && type.name === "structured" ? "structures" : "", name);
}

type CodecsV3 =
  & Pick<ArrayMetadata, "chunkShape" | "decoders" | "axisOrder" | "shards">
  & { type: { kind: "numbers"; type: StoredType } | { kind: "text"; type: TextType } };

/** The codecs of a chunk, or of a shard, whose axes are those of the array. */
function parseCodecs(list: unknown, type: TypeV3, shape: readonly number[]): CodecsV3 {
  if (!Array.isArray(list)) throw new RangeError(`its codecs are ${show(list)}, wanted a list`);
  const codecs = list.map((codec) => extension("codec", codec));
  const filters: Decoder[] = [];
  let axes = shape.map((_, axis) => axis);
  let next = codecs.shift();
  for (
    ;
    next && (next.name === "transpose" || ownValue(FILTERS_V3, next.name));
    next = codecs.shift()
  ) {
    const { name, options } = next;
    if (name !== "transpose") {
      filters.push(createDecoder(name, ownValue(FILTERS_V3, name), options));
      continue;
    }
    // readers disagree about the order in which a filter then takes elements
    if (filters.length > 0) throw new RangeError(`its codec "transpose" stands behind a filter`);
    const order = transposition(options, shape.length);
    axes = order.map((axis) => axes[axis]!);
  }
  if (next?.name === "sharding_indexed") {
    if (filters.length > 0) throw new RangeError(`its filter stands before "sharding_indexed"`);
    const [behind] = codecs;
    if (behind) {
      throw new RangeError(`its codec ${show(behind.name)} stands behind "sharding_indexed"`);
    }
    return parseSharding(next.options, type, shape, axes);
  }
  const stored = typeOfBytes(next, type, filters);
  const decoders = codecs.map(({ name, options }) =>
    createDecoder(name, ownValue(BYTE_CODECS_V3, name), options)
  );
  return {
    chunkShape: shape,
    decoders: [...filters, ...decoders],
    axisOrder: axes,
    shards: undefined,
    type: stored,
  };
}

function transposition({ order, ...others }: Json, rank: number): readonly number[] {
  checkOptions("transpose", others, { options: {} });
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  // as drafts of version 3 had it
  if (order === "C") return axes;
  if (order === "F") return axes.reverse();
  const isOrder = Array.isArray(order) && order.length === rank &&
    axes.every((axis) => order.includes(axis));
  if (isOrder) return order;
  throw new RangeError(`its codec "transpose" has the order ${show(order)} of ${rank} axes`);
}

/** What the codec says that makes bytes of elements. */
function typeOfBytes(
  codec: Extension | undefined,
  type: TypeV3,
  filters: readonly Decoder[],
): CodecsV3["type"] {
  const wanted = type.kind === "text" ? "vlen-utf8" : "bytes";
  if (codec?.name !== wanted) {
    const isKnown = ["bytes", "vlen-utf8", undefined].includes(codec?.name);
    if (codec && !isKnown && !ownValue(BYTE_CODECS_V3, codec.name)) throw unknownCodec(codec.name);
    throw new RangeError(
      `its codecs have ${codec ? show(codec.name) : "nothing"} where "${wanted}" should stand`,
    );
  }
  if (type.kind === "text") {
    if (filters.length > 0) throw new RangeError(`its filter takes strings`);
    checkOptions(wanted, codec.options, { options: {} });
    return { kind: "text", type: { coding: "vlen-utf8" } };
  }
  const typed = filters.flatMap(({ types }) => types ?? []);
  let stored: StoredType | undefined;
  for (const { decoded, encoded } of typed) {
    const isSame = decoded.dtype === (stored?.dtype ?? type.dtype) &&
      decoded.isBigEndian === (stored ?? decoded).isBigEndian;
    if (!isSame) {
      throw new RangeError(
        `its filter takes ${decoded.dtype}, it is given ${stored?.dtype ?? type.dtype}`,
      );
    }
    stored = encoded;
  }
  const isBigEndian = isBigEndianOf(codec.options, stored?.dtype ?? type.dtype);
  if (stored && stored.isBigEndian !== isBigEndian) {
    throw new RangeError(`its filter has another byte order than its codec "bytes"`);
  }
  return { kind: "numbers", type: typed[0]?.decoded ?? { dtype: type.dtype, isBigEndian } };
}

/** The byte order that the codec `bytes` has; it may go unsaid where elements are single bytes. */
function isBigEndianOf(options: Json, dtype: NumericType): boolean {
  const isOrdered = elementBytes(dtype) > 1;
  checkOptions("bytes", options, {
    options: { endian: (value) => value === "little" || value === "big" },
    required: isOrdered ? ["endian"] : [],
  });
  return isOrdered && options.endian === "big";
}

/** The codecs of a shard; `axes` are those of the array in the order in which the shard has them. */
function parseSharding(
  configuration: Json,
  type: TypeV3,
  shape: readonly number[],
  axes: readonly number[],
): CodecsV3 {
  checkOptions("sharding_indexed", configuration, {
    options: {
      chunk_shape: Array.isArray,
      codecs: Array.isArray,
      index_codecs: Array.isArray,
      index_location: (value) => value === "start" || value === "end",
    },
    required: ["chunk_shape", "codecs", "index_codecs"],
  });
  const { chunk_shape, codecs, index_codecs, index_location } = configuration;
  const shardShape = axes.map((axis) => shape[axis]!);
  const chunkShape = sizes("chunk shape in shards", chunk_shape, shardShape);
  if (shardShape.some((size, axis) => size > 0 && size % chunkShape[axis]! !== 0)) {
    throw new RangeError(
      `its shards of [${shardShape}] are no multiple of its chunks, [${chunkShape}]`,
    );
  }
  const inner = parseCodecs(codecs, type, chunkShape);
  if (inner.shards) throw new RangeError(`its shards hold shards, wanted chunks in them`);
  const [bytes, checksum, other] = (index_codecs as unknown[]).map((codec) =>
    extension("codec of indexes", codec)
  );
  const unknown = [
    bytes?.name === "bytes" ? undefined : bytes ?? { name: "none", options: {} },
    checksum?.name === "crc32c" ? undefined : checksum,
    other,
  ].find((codec) => codec);
  if (unknown) throw new RangeError(`its codec of indexes, ${show(unknown.name)}, is not known`);
  if (checksum) checkOptions("crc32c", checksum.options, { options: {} });
  return {
    type: inner.type,
    decoders: inner.decoders,
    chunkShape: shape.map((_, axis) => chunkShape[axes.indexOf(axis)]!),
    axisOrder: inner.axisOrder.map((axis) => axes[axis]!),
    shards: {
      grid: shardShape.map((size, axis) => size === 0 ? 0 : size / chunkShape[axis]!),
      axes,
      isIndexAtStart: index_location === "start",
      isIndexBigEndian: isBigEndianOf(bytes!.options, "uint64"),
      indexHasChecksum: checksum !== undefined,
    },
  };
}
