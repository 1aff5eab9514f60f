/**
 * What `zarr.json` says of an array.
 *
 * @module
 */

import type { ArrayMetadata } from "./array_metadata.ts";
import { parseCodecs, typeV3 } from "./codecs_v3.ts";
import { show } from "./json.ts";
import type { Extension, Json } from "./metadata_values.ts";
import {
  checkKeysV3,
  extension,
  isObject,
  ownValue,
  separatorOf,
  sizes,
} from "./metadata_values.ts";
import { textFillOf } from "./stored_text.ts";
import { fillOf } from "./stored_types.ts";

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

/** The options of the one extension of a kind that is known. */
function knownExtension(
  what: string,
  value: unknown,
  options: Readonly<Record<string, readonly string[]>>,
): Extension {
  const found = extension(what, value);
  const known = ownValue(options, found.name);
  if (!known) throw new RangeError(`its ${what} ${show(found.name)} is not known`);
  for (const key of Object.keys(found.options)) {
    if (!known.includes(key)) {
      throw new RangeError(`its ${what} ${show(found.name)} has an unknown ${show(key)}`);
    }
  }
  return found;
}

export function parseV3(metadata: Json, attributes: unknown): ArrayMetadata {
  checkKeysV3(metadata, KEYS_V3);
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
    missing: undefined,
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
