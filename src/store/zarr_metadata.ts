/**
 * The JSON files of a zarr v3 group.
 *
 * @module
 */

import type { DataType } from "../types.ts";
import { isFloat } from "./data_types.ts";

/** One array of a group. */
export interface ZarrArraySpec {
  /** Its folder in the group. */
  name: string;
  shape: readonly number[];
  chunkShape: readonly number[];
  dtype: DataType;
  /** A name per axis. */
  dims: readonly string[];
  /** What unwritten elements are; NaN for floats, 0, false or "" when not given. */
  fillValue?: number | boolean | string;
  attributes?: Record<string, unknown>;
}

/** A group of arrays, with attributes of its own. */
export interface ZarrGroupSpec {
  attributes: Record<string, unknown>;
  arrays: readonly ZarrArraySpec[];
}

export const ROOT_METADATA_KEY = "/zarr.json";

export function arrayMetadataKey({ name }: ZarrArraySpec): string {
  return `/${name}/zarr.json`;
}

/** Key of a chunk, by its position in the grid of chunks. */
export function chunkKey({ name }: ZarrArraySpec, position: readonly number[]): string {
  return `/${[name, "c", ...position].join("/")}`;
}

/** What unwritten elements of an array are. */
export function fillValueOf({ dtype, fillValue }: ZarrArraySpec): number | boolean | string {
  if (fillValue !== undefined) return fillValue;
  if (dtype === "string") return "";
  if (dtype === "bool") return false;
  return isFloat(dtype) ? NaN : 0;
}

/**
 * @throws {RangeError} If shape, chunk shape and dims do not belong together.
 */
export function arrayMetadata(spec: ZarrArraySpec): Record<string, unknown> {
  const { name, shape, chunkShape, dtype, dims } = spec;
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
  const fillValue = fillValueOf(spec);
  return {
    zarr_format: 3,
    node_type: "array",
    shape,
    data_type: dtype,
    chunk_grid: { name: "regular", configuration: { chunk_shape: chunkShape } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    fill_value: typeof fillValue === "number" && !Number.isFinite(fillValue)
      ? String(fillValue)
      : fillValue,
    codecs: [
      dtype === "string"
        ? { name: "vlen-utf8" }
        : { name: "bytes", configuration: { endian: "little" } },
    ],
    attributes: spec.attributes ?? {},
    dimension_names: dims,
    storage_transformers: [],
  };
}

/** The group's own file, with the metadata of its arrays inline so that one read opens it all. */
export function groupMetadata({ attributes, arrays }: ZarrGroupSpec): Record<string, unknown> {
  return {
    zarr_format: 3,
    node_type: "group",
    attributes,
    consolidated_metadata: {
      kind: "inline",
      must_understand: false,
      metadata: Object.fromEntries(arrays.map((spec) => [spec.name, arrayMetadata(spec)])),
    },
  };
}

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value, undefined, 2));
}

/** Bytes of all the JSON files of a group. */
export function projectedMetadataBytes(group: ZarrGroupSpec): number {
  const files = [groupMetadata(group), ...group.arrays.map(arrayMetadata)];
  return files.reduce((bytes: number, file) => bytes + encodeJson(file).byteLength, 0);
}
