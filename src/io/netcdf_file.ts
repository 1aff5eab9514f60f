/**
 * What makes an HDF5 file a NetCDF-4 file: dims as scales, coordinates, fill values, attributes.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { createElements, elementBytes, elementCount, isFloat } from "../zarr/data_types.ts";
import type { NumericArray } from "../types.ts";
import type { H5Access, H5Dataset, H5Object } from "../files/h5wasm.ts";

/** A variable of the file: numbers, or strings. */
export interface NetcdfVariable {
  name: string;
  dims: readonly string[];
  shape: readonly number[];
  attributes: Record<string, unknown>;
  array: ChunkedArray | undefined;
  /** In C order. */
  text: readonly string[] | undefined;
  /** The value of a variable without dims. */
  single: NumericArray | undefined;
}

/** Most bytes of a chunk, and what is copied at a time. */
const CHUNK_BYTES = 4 * 2 ** 20;
/** Arrays up to this size are stored in one piece, without chunks or compression. */
const SMALL_BYTES = 64 * 2 ** 10;
/** Text attributes up to this length have a fixed length, which every reader of NetCDF knows. */
const SHORT_TEXT = 32 * 2 ** 10;

const H5_TYPES: Record<NumericType, string> = {
  bool: "<b",
  int8: "<b",
  int16: "<h",
  int32: "<i",
  int64: "<q",
  uint8: "<B",
  uint16: "<H",
  uint32: "<I",
  uint64: "<Q",
  // read as f32
  float16: "<f",
  float32: "<f",
  float64: "<d",
};

/** Bytes of a variable's numbers; 0 for strings. */
export function storedBytes({ array }: Pick<NetcdfVariable, "array">): number {
  return array ? elementCount(array.shape) * itemBytes(array) : 0;
}

/**
 * Rows of a chunk: as many as the store has together, several times those where that is little, and a part of
 * them where it is much.
 */
export function chunkRowsOf(array: ChunkedArray): number {
  const { shape, chunkRows } = array;
  const bytes = chunkRows * elementCount(shape.slice(1)) * itemBytes(array);
  const rows = bytes > CHUNK_BYTES
    // parts of equal length, so that they end where the stored chunk ends, or little before it
    ? Math.ceil(chunkRows / Math.ceil(bytes / CHUNK_BYTES))
    : chunkRows * Math.max(1, Math.floor(CHUNK_BYTES / 4 / bytes));
  return Math.max(1, Math.min(shape[0]!, rows));
}

function itemBytes({ dtype }: ChunkedArray): number {
  return elementBytes(dtype === "float16" ? "float32" : dtype as NumericType);
}

/**
 * Makes every dataset, scale and attribute; numbers are left to be written.
 *
 * @throws {RangeError} If variables disagree on the size of a dim, or an attribute does not fit.
 */
export function createVariables(
  access: H5Access,
  variables: readonly NetcdfVariable[],
  attributes: Record<string, unknown>,
  deflate: number,
): void {
  const { file } = access;
  const dims = sizesOfDims(variables);
  const datasets = new Map<string, H5Dataset>();
  for (const { name, shape, array, text, single } of variables) {
    datasets.set(
      name,
      single
        ? file.create_dataset({ name, data: single, shape: [], dtype: h5Type(array!) })
        : array
        ? createNumbers(access, name, array, deflate)
        : file.create_dataset({ name, data: text, shape, dtype: "S" }),
    );
    access.check();
  }
  for (const [id, [dim, size]] of [...dims].entries()) {
    // what netCDF calls dims that have no variable
    const bare = `This is a netCDF dimension but not a netCDF variable.${
      String(size).padStart(10)
    }`;
    const scale = datasets.get(dim) ?? createBareDim(access, dim, size);
    scale.make_scale(datasets.has(dim) ? dim : bare);
    scale.create_attribute("_Netcdf4Dimid", [id], [], "<i");
  }
  const coordinates = coordinatesOf(attributes, variables);
  for (const variable of variables) {
    const { name, array, dims: own } = variable;
    const dataset = datasets.get(name)!;
    const isCoordinate = own.includes(name) || coordinates.includes(variable);
    if (!own.includes(name)) own.forEach((dim, axis) => dataset.attach_scale(axis, `/${dim}`));
    const { _FillValue: fill, ...others } = variable.attributes;
    // a variable names those that lie along dims of its own
    const along = coordinates.filter(({ dims }) => dims.every((dim) => own.includes(dim)));
    if (!isCoordinate && along.length > 0) {
      others.coordinates = along.map(({ name }) => name).join(" ");
    }
    if (array?.dtype === "bool") others.dtype = "bool";
    else if (array) {
      const missing = fill === undefined
        ? (isFloat(array.dtype) && !isCoordinate ? NaN : undefined)
        : fillNumber(fill, array.dtype, name);
      if (missing !== undefined) {
        dataset.create_attribute("_FillValue", [missing], [], h5Type(array));
      }
    }
    writeAttributes(dataset, others, name);
    access.check();
  }
  const names = coordinates.map(({ name }) => name).join(" ");
  writeAttributes(file, { ...attributes, coordinates: names || null }, "/");
  access.check();
}

/**
 * What is called missing: a number, in words of JSON, or as the base64 of an f64 that xarray writes into version 3.
 *
 * @throws {RangeError} If it is none that the type has.
 */
function fillNumber(fill: unknown, dtype: string, name: string): number | bigint {
  if (typeof fill === "bigint") return fill;
  const words: Record<string, number> = { NaN, Infinity, "-Infinity": -Infinity };
  const value = typeof fill === "number"
    ? fill
    : words[String(fill)] ?? (typeof fill === "string" ? base64Number(fill) : undefined);
  const isWhole = Number.isSafeInteger(value) || value === -(2 ** 63);
  if (value !== undefined && (isFloat(dtype as NumericType) || isWhole)) {
    return dtype.endsWith("int64") ? BigInt(value) : value;
  }
  throw new RangeError(
    `Cannot export "${name}": its fill value is ${JSON.stringify(fill)}, wanted a number that ` +
      `${dtype} has`,
  );
}

function base64Number(text: string): number | undefined {
  if (!/^[A-Za-z0-9+/]{11}=$/.test(text)) return undefined;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new DataView(bytes.buffer).getFloat64(0, true);
}

/** Sizes by name, in the order in which they are met. */
function sizesOfDims(variables: readonly NetcdfVariable[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, dims, shape } of variables) {
    for (const [axis, dim] of dims.entries()) {
      const own = shape[axis]!;
      const size = sizes.get(dim) ?? own;
      if (size !== own || (dim === name && dims.length > 1)) {
        throw new RangeError(
          `Cannot export "${name}": its dim "${dim}" has ${own} elements, wanted ${size} as ` +
            "elsewhere, and no dim of the same name unless it is the only one",
        );
      }
      sizes.set(dim, size);
    }
  }
  return sizes;
}

/** Coordinates that are not named after their dim: those that any attribute `coordinates` lists. */
function coordinatesOf(
  attributes: Record<string, unknown>,
  variables: readonly NetcdfVariable[],
): NetcdfVariable[] {
  const listed = [attributes, ...variables.map(({ attributes }) => attributes)]
    .flatMap(({ coordinates }) => typeof coordinates === "string" ? coordinates.split(/\s+/) : []);
  return variables.filter(({ name, dims }) => listed.includes(name) && !dims.includes(name));
}

function createNumbers(
  access: H5Access,
  name: string,
  array: ChunkedArray,
  deflate: number,
): H5Dataset {
  const { file } = access;
  const [rows, ...inner] = array.shape as [number, ...number[]];
  const base = { name, dtype: h5Type(array) };
  if (storedBytes({ array }) <= SMALL_BYTES) {
    return file.create_dataset({ ...base, data: zeros(array, array.shape), shape: array.shape });
  }
  const dataset = file.create_dataset({
    ...base,
    // made empty and then resized: h5wasm would want all of it at once
    data: zeros(array, [0]),
    shape: [0, ...inner],
    maxshape: array.shape,
    chunks: chunkShapeOf(array),
    ...(deflate > 0 && { compression: "gzip" as const, compression_opts: deflate }),
  });
  access.check(dataset.resize([rows, ...inner]));
  return dataset;
}

/** A dim without coordinates; its elements are never written and take no room. */
function createBareDim(access: H5Access, name: string, size: number): H5Dataset {
  if (size <= 1) {
    return access.file.create_dataset({
      name,
      data: new Float32Array(size),
      shape: [size],
      dtype: "<f",
    });
  }
  const dataset = access.file.create_dataset({
    name,
    data: new Float32Array(0),
    shape: [0],
    maxshape: [size],
    chunks: [Math.min(size, CHUNK_BYTES)],
    dtype: "<f",
  });
  access.check(dataset.resize([size]));
  return dataset;
}

function chunkShapeOf(array: ChunkedArray): number[] {
  const chunk = [...array.shape];
  chunk[0] = chunkRowsOf(array);
  // a single row may still be too large
  for (let axis = 1; axis < chunk.length; axis++) {
    const bytes = elementCount(chunk) * itemBytes(array);
    if (bytes <= CHUNK_BYTES) break;
    chunk[axis] = Math.max(1, Math.floor(chunk[axis]! * CHUNK_BYTES / bytes));
  }
  return chunk;
}

function h5Type({ dtype }: ChunkedArray): string {
  return H5_TYPES[dtype as NumericType];
}

/** Zeros of the kind that h5wasm takes for the type. */
function zeros({ dtype }: ChunkedArray, shape: readonly number[]): NumericArray {
  const kind = dtype === "bool" ? "int8" : dtype === "float16" ? "float32" : dtype;
  return createElements(kind as NumericType, elementCount(shape));
}

function writeAttributes(
  object: H5Object,
  attributes: Record<string, unknown>,
  owner: string,
): void {
  const wanted = Object.entries(attributes).filter(([, value]) =>
    value !== null && value !== undefined
  );
  for (const [name, value] of wanted) writeAttribute(object, name, value);
  // h5wasm does not tell when one was refused
  const { attrs } = object;
  const missing = wanted.find(([name]) => !(name in attrs));
  if (missing) {
    throw new RangeError(
      `Cannot export "${owner}": its attribute "${missing[0]}" does not fit into the file`,
    );
  }
}

function writeAttribute(object: H5Object, name: string, value: unknown): void {
  const every = (kind: string) =>
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === kind);
  if (typeof value === "number") object.create_attribute(name, [value], [], "<d");
  else if (typeof value === "boolean") object.create_attribute(name, [Number(value)], [], "<b");
  else if (every("number")) {
    object.create_attribute(name, value, [(value as number[]).length], "<d");
  } else if (every("string")) {
    object.create_attribute(name, value, [(value as string[]).length], "S");
  } else {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    // deno-lint-ignore no-control-regex
    const isShort = /^[\x01-\x7f]+$/.test(text) && text.length <= SHORT_TEXT;
    object.create_attribute(name, [text], [], isShort ? `A${text.length}` : "S");
  }
}
