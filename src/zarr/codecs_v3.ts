/**
 * The list of codecs of an array of version 3: how elements become bytes, in chunks or in shards.
 *
 * @module
 */

import type { ArrayMetadata } from "./array_metadata.ts";
import type { NumericType } from "./data_types.ts";
import { elementBytes } from "./data_types.ts";
import type { Decoder } from "./codec.ts";
import {
  BYTE_CODECS_V3,
  checkOptions,
  createDecoder,
  FILTERS_V3,
  unknownCodec,
} from "./decoders.ts";
import { show } from "./json.ts";
import type { Extension, Json } from "./metadata_values.ts";
import { extension, isObject, ownValue, sizes, unknownType } from "./metadata_values.ts";
import type { TextType } from "./stored_text.ts";
import type { StoredType } from "./stored_types.ts";
import { numericType } from "./stored_types.ts";

/** A type, as far as it is known before the codec that makes bytes of it. */
type TypeV3 = { kind: "numbers"; dtype: NumericType } | { kind: "text" };

export function typeV3(type: unknown): TypeV3 {
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
export function parseCodecs(list: unknown, type: TypeV3, shape: readonly number[]): CodecsV3 {
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
