/**
 * What `.zarray` says of an array.
 *
 * @module
 */

import type { ArrayMetadata, Elements } from "./array_metadata.ts";
import type { Decoder } from "./codec.ts";
import { CODECS_V2, createDecoder } from "./decoders.ts";
import { show } from "./json.ts";
import type { Json } from "./metadata_values.ts";
import { isObject, ownValue, separatorOf, sizes, unknownType } from "./metadata_values.ts";
import { textFillOf, textTypeV2 } from "./stored_text.ts";
import { fillOf, storedType } from "./stored_types.ts";

export function parseV2(metadata: Json): ArrayMetadata {
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
  const elements = elementsV2(dtype, fill_value, codecs[0]);
  return {
    zarrFormat: 2,
    shape,
    fileShape: chunkShape,
    chunkShape,
    elements,
    missing: fill_value === null ? undefined : elements.fill,
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
