/**
 * NetCDF-4 files: written from zarr groups, as xarray would, and read back.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../array/chunked_array.ts";
import { checkRows } from "../array/chunked_array.ts";
import type { ZarrGroup, ZarrVariable } from "../array/group.ts";
import { openZarrGroup } from "../array/group.ts";
import { ChunkError, QuotaError } from "../errors.ts";
import type { NumericType } from "../store/data_types.ts";
import { createElements, elementBytes, elementCount, isFloat } from "../store/data_types.ts";
import { splitPlace } from "../store/place.ts";
import { openStore } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import type { H5Dataset, H5Metadata, H5Object } from "./h5wasm.ts";
import { H5Access } from "./h5wasm.ts";
import { createFile, openFile } from "./sync_file.ts";

/** What an export reports while it goes. */
export interface ExportProgress {
  /** The variable being written. */
  variable: string;
  /** Position of that variable from 0, and how many there are. */
  variableIndex: number;
  variableCount: number;
  /** Share of all elements that is written, 0 to 1. */
  fraction: number;
  /** Bytes of elements written, before compression. */
  bytesWritten: number;
  elapsedSeconds: number;
}

export interface ExportOptions {
  /**
   * Expands arrays along `state_bins` to `full_state_bins` where `interior_index` says: NaN outside,
   * and in whole numbers the `_FillValue`, -1 or the highest there is; "" in strings. Default false.
   */
  expand?: boolean;
  /** Compression of chunks, from 0 (none, the default) to 9. */
  deflate?: number;
  /** Replaces a file that is already there. Default false. */
  overwrite?: boolean;
  signal?: AbortSignal;
  onProgress?: (progress: ExportProgress) => void;
}

/** What {@link exportNetcdf} wrote. */
export interface ExportResult {
  place: string;
  variables: number;
  /** Size of the file. */
  fileBytes: number;
  seconds: number;
}

/** Bytes copied at a time, and most of a chunk that is not the store's own. */
const PIECE_BYTES = 4 * 2 ** 20;
/** Arrays up to this size are stored in one piece, without chunks or compression. */
const SMALL_BYTES = 64 * 2 ** 10;
/** Text attributes up to this length have a fixed length, which every reader of NetCDF knows. */
const SHORT_TEXT = 32 * 2 ** 10;

const EXPANDED = { dim: "state_bins", full: "full_state_bins", index: "interior_index" } as const;

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

/**
 * Writes every array of a zarr group into a NetCDF-4 file that xarray, netCDF4 and h5netcdf open with
 * the same names, dims, coordinates and attributes. Rows are copied a few chunks at a time, so memory
 * does not grow with the file.
 *
 * Attributes that NetCDF cannot hold become text: objects as JSON. Numbers become f64, `true` and
 * `false` 1 and 0; `null` is left out. Half floats become f32, booleans i8 with the attribute `dtype` of
 * "bool", which xarray understands. The file is unseen until it is whole.
 *
 * Needs the optional package `h5wasm`. In browsers a file in `opfs:` can be written in a dedicated worker
 * alone, and one in `memory:` anywhere. Groups behind `http:` cannot be listed and are refused.
 *
 * @param place Of a zarr group, version 3 or 2.
 * @param file Place of the NetCDF file.
 * @throws {RangeError} If arrays disagree on the size of a dim, or cannot be expanded.
 * @throws {ChunkError} If there is no such group, it is unfinished, or a chunk cannot be read.
 * @throws {OutputConflictError} If the file is there already and `overwrite` is not set.
 * @throws {QuotaError} If there is too little room: before anything is written, unless compressed.
 */
export async function exportNetcdf(
  place: string,
  file: string,
  options: ExportOptions = {},
): Promise<ExportResult> {
  const { expand = false, deflate = 0, overwrite = false, signal, onProgress } = options;
  const started = performance.now();
  if (!Number.isInteger(deflate) || deflate < 0 || deflate > 9) {
    throw new RangeError(`Cannot export: deflate is ${deflate}, wanted a whole number from 0 to 9`);
  }
  signal?.throwIfAborted();
  const store = await openStore(place);
  try {
    const group = await openZarrGroup(store);
    if (group.attributes.complete === false) {
      throw new ChunkError(`Cannot export ${place}: it has not finished, run it again`, place);
    }
    const expansion = expand ? await readExpansion(group, place) : undefined;
    const variables = group.variables.map((variable) => outputOf(variable, expansion));
    const dims = dimsOf(variables);
    const totalBytes = variables.reduce((sum, { bytes }) => sum + bytes, 0);
    if (deflate === 0) await checkRoom(file, totalBytes);

    const output = await createFile(file, { overwrite });
    try {
      const access = await H5Access.open(output.file, "w");
      try {
        const progress = { bytes: 0 };
        const texts = new Map<string, string[]>();
        for (const { name, array, source } of variables) {
          if (!array) texts.set(name, await source.readText());
        }
        createAll(access, group, variables, { dims, texts, deflate, expansion });
        for (const [variableIndex, variable] of variables.entries()) {
          if (!variable.array) continue;
          await copyRows(access, variable, expansion, signal, (bytes) => {
            progress.bytes += bytes;
            onProgress?.({
              variable: variable.name,
              variableIndex,
              variableCount: variables.length,
              fraction: totalBytes === 0 ? 1 : progress.bytes / totalBytes,
              bytesWritten: progress.bytes,
              elapsedSeconds: (performance.now() - started) / 1000,
            });
          });
        }
      } catch (error) {
        try {
          access.close();
        } catch {
          // what went wrong first says more
        }
        throw error;
      }
      access.close();
      const fileBytes = output.file.getSize();
      await output.finish();
      const seconds = (performance.now() - started) / 1000;
      return { place: output.place, variables: variables.length, fileBytes, seconds };
    } catch (error) {
      await output.discard().catch(() => {});
      throw error;
    }
  } finally {
    await store.close();
  }
}

/** Where the elements of the short axis are on the long one. */
interface Expansion {
  index: Int32Array;
  size: number;
}

/** A variable of the file. */
interface OutputVariable {
  name: string;
  source: ZarrVariable;
  /** `undefined` for strings. */
  array: ChunkedArray | undefined;
  shape: readonly number[];
  dims: readonly string[];
  /** Axis that is expanded; -1 if none is. */
  expandedAxis: number;
  /** Bytes of its elements; 0 for strings. */
  bytes: number;
}

async function readExpansion({ variables }: ZarrGroup, place: string): Promise<Expansion> {
  const { dim, full, index } = EXPANDED;
  const positions = variables.find(({ name }) => name === index);
  const whole = variables.find(({ dims }) => dims.includes(full));
  if (positions?.dims.join() !== dim || !positions.array || whole === undefined) {
    throw new RangeError(
      `Cannot expand ${place}: wanted a coordinate "${index}" along "${dim}", and an array along ` +
        `"${full}"`,
    );
  }
  const size = whole.shape[whole.dims.indexOf(full)]!;
  const values = await positions.array.read(0, positions.shape[0]!);
  const outside = Array.from(values, Number).find((value) => !(value >= 0 && value < size));
  if (outside !== undefined) {
    throw new RangeError(
      `Cannot expand ${place}: "${index}" has ${outside}, "${full}" has ${size} elements`,
    );
  }
  return { index: Int32Array.from(values as ArrayLike<number>, Number), size };
}

function outputOf(source: ZarrVariable, expansion: Expansion | undefined): OutputVariable {
  const { name, array } = source;
  const expandedAxis = expansion ? source.dims.indexOf(EXPANDED.dim) : -1;
  const shape = source.shape.map((size, axis) => axis === expandedAxis ? expansion!.size : size);
  const dims = source.dims.map((dim, axis) => axis === expandedAxis ? EXPANDED.full : dim);
  const bytes = array ? elementCount(shape) * storedBytes(array.dtype as NumericType) : 0;
  return { name, source, array, shape, dims, expandedAxis, bytes };
}

function storedBytes(dtype: NumericType): number {
  return elementBytes(dtype === "float16" ? "float32" : dtype);
}

/** Sizes by name, in the order in which they are met. */
function dimsOf(variables: readonly OutputVariable[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, dims, shape } of variables) {
    for (const [axis, dim] of dims.entries()) {
      const size = sizes.get(dim) ?? shape[axis]!;
      if (size !== shape[axis] || (dim === name && dims.length > 1)) {
        throw new RangeError(
          `Cannot export "${name}": its dim "${dim}" has ${
            shape[axis]
          } elements, wanted ${size} as ` +
            "elsewhere, and no dim of the same name unless it is the only one",
        );
      }
      sizes.set(dim, size);
    }
  }
  return sizes;
}

async function checkRoom(file: string, neededBytes: number): Promise<void> {
  const store = await openStore(splitPlace(file).folder);
  const availableBytes = await store.availableBytes();
  await store.close();
  if (neededBytes > availableBytes) {
    throw new QuotaError(
      `Cannot export to ${file}: ${neededBytes} bytes are needed, ${availableBytes} are free`,
      { neededBytes, availableBytes },
    );
  }
}

interface Layout {
  dims: Map<string, number>;
  texts: Map<string, string[]>;
  deflate: number;
  expansion: Expansion | undefined;
}

/** Makes every dataset, scale and attribute; numbers are left to be written. */
function createAll(
  access: H5Access,
  group: ZarrGroup,
  variables: readonly OutputVariable[],
  { dims, texts, deflate, expansion }: Layout,
): void {
  const { file } = access;
  const datasets = new Map<string, H5Dataset>();
  for (const variable of variables) {
    const { name, source, shape, expandedAxis } = variable;
    const text = texts.get(name);
    datasets.set(
      name,
      text
        ? file.create_dataset({
          name,
          data: expandedAxis < 0
            ? text
            : expandAxis(text, source.shape, expandedAxis, expansion!, ""),
          shape,
          dtype: "S",
        })
        : createNumbers(access, variable, deflate),
    );
    access.check();
  }
  for (const [id, [dim, size]] of [...dims].entries()) {
    const isVariable = datasets.has(dim);
    const scale = datasets.get(dim) ?? createBareDim(access, dim, size);
    // what netCDF calls dims that have no variable
    scale.make_scale(
      isVariable
        ? dim
        : `This is a netCDF dimension but not a netCDF variable.${String(size).padStart(10)}`,
    );
    scale.create_attribute("_Netcdf4Dimid", [id], [], "<i");
  }
  const coordinates = coordinateNames(group, variables);
  for (const { name, source, array, dims: own, expandedAxis } of variables) {
    const dataset = datasets.get(name)!;
    if (!own.includes(name)) own.forEach((dim, axis) => dataset.attach_scale(axis, `/${dim}`));
    const attributes = { ...source.attributes };
    // a variable names those that lie along dims of its own
    if (!own.includes(name) && !coordinates.includes(name)) {
      const along = coordinates.filter((coordinate) =>
        variables.find((other) => other.name === coordinate)!.dims.every((dim) => own.includes(dim))
      );
      if (along.length > 0) attributes.coordinates = along.join(" ");
    }
    const fill = attributes._FillValue;
    delete attributes._FillValue;
    if (array?.dtype === "bool") attributes.dtype = "bool";
    else if (array) {
      const dtype = array.dtype as NumericType;
      const isData = !own.includes(name) && !coordinates.includes(name);
      if (typeof fill === "number" || expandedAxis >= 0 || (isData && isFloat(dtype))) {
        dataset.create_attribute("_FillValue", [fillOf(dtype, fill)], [], H5_TYPES[dtype]);
      }
    }
    writeAttributes(dataset, attributes, name);
    access.check();
  }
  writeAttributes(file, group.attributes, "/");
  access.check();
}

/** Names of coordinates that are not named after their dim. */
function coordinateNames(group: ZarrGroup, variables: readonly OutputVariable[]): string[] {
  const listed = [group.attributes, ...variables.map(({ source }) => source.attributes)]
    .flatMap(({ coordinates }) => typeof coordinates === "string" ? coordinates.split(/\s+/) : []);
  return [...new Set(listed)].filter((name) =>
    variables.some((variable) => variable.name === name && !variable.dims.includes(name))
  );
}

function createNumbers(
  access: H5Access,
  { name, array, shape, bytes }: OutputVariable,
  deflate: number,
): H5Dataset {
  const dtype = array!.dtype as NumericType;
  const base = { name, dtype: H5_TYPES[dtype] };
  if (bytes <= SMALL_BYTES) {
    const zeros = new Uint8Array(elementCount(shape) * storedBytes(dtype));
    return access.file.create_dataset({ ...base, data: typed(dtype, zeros), shape });
  }
  const [rows, ...inner] = shape as [number, ...number[]];
  const dataset = access.file.create_dataset({
    ...base,
    // made empty and then resized: h5wasm would want all of it at once
    data: typed(dtype, new Uint8Array(0)),
    shape: [0, ...inner],
    maxshape: shape,
    chunks: h5Chunks(shape, array!.chunkRows, storedBytes(dtype)),
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
    chunks: [Math.min(size, PIECE_BYTES)],
    dtype: "<f",
  });
  access.check(dataset.resize([size]));
  return dataset;
}

/**
 * Chunks as the store has them along the first axis, several where they are small, and parts of them where
 * they are large.
 */
function h5Chunks(
  shape: readonly number[],
  storedRows: number,
  itemBytes: number,
): number[] {
  const chunks = [...shape];
  const rowBytes = elementCount(shape.slice(1)) * itemBytes;
  chunks[0] = pieceRows(shape[0]!, storedRows, rowBytes);
  // a row of its own may still be too large
  for (let axis = 1; axis < shape.length; axis++) {
    const bytes = elementCount(chunks) * itemBytes;
    if (bytes <= PIECE_BYTES) break;
    chunks[axis] = Math.max(1, Math.floor(shape[axis]! * PIECE_BYTES / bytes));
  }
  return chunks;
}

/** Rows that are copied at a time and make a chunk. */
function pieceRows(rows: number, storedRows: number, rowBytes: number): number {
  const storedBytes = storedRows * rowBytes;
  const size = storedBytes > PIECE_BYTES
    // parts of equal length, so that they end where the stored chunk ends, or little before it
    ? Math.ceil(storedRows / Math.ceil(storedBytes / PIECE_BYTES))
    : storedRows * Math.max(1, Math.floor(PIECE_BYTES / 4 / storedBytes));
  return Math.max(1, Math.min(rows, size));
}

async function copyRows(
  access: H5Access,
  { name, source, array, shape, bytes, expandedAxis }: OutputVariable,
  expansion: Expansion | undefined,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<void> {
  if (bytes === 0 || !array) return;
  const rows = source.shape[0]!;
  const expandRows = expandedAxis === 0;
  // rows of the source and of the file are the same, unless they are what is expanded
  const pieces = expandRows ? rows : pieceRows(rows, array.chunkRows, bytes / shape[0]!);
  const block = Math.max(pieces, expandRows ? rows : Math.min(rows, array.chunkRows));
  const fill = fillOf(array.dtype as NumericType, source.attributes._FillValue);
  for (let start = 0; start < rows; start += block) {
    const end = Math.min(rows, start + block);
    const values = await array.read(start, end, signal ? { signal } : {});
    const rowElements = values.length / (end - start);
    for (let from = start; from < end;) {
      signal?.throwIfAborted();
      // up to where a chunk of the file ends
      const to = Math.min(end, from - from % pieces + pieces);
      const part = values.subarray((from - start) * rowElements, (to - start) * rowElements);
      const partShape = [to - from, ...source.shape.slice(1)];
      const written = expandedAxis < 0
        ? part
        : expandAxis(part, partShape, expandedAxis, expansion!, fill);
      const count = expandRows ? shape : [to - from, ...shape.slice(1)];
      access.write(`/${name}`, [from, ...shape.slice(1).fill(0)], count, bytesOf(written));
      onBytes(written.byteLength);
      from = to;
      // compression takes its time: signals have their turn, as they do while rows are read
      if (from < end) await new Promise((resolve) => setTimeout(resolve));
    }
  }
}

function expandAxis<Values extends NumericArray | readonly string[]>(
  values: Values,
  shape: readonly number[],
  axis: number,
  { index, size }: Expansion,
  fill: number | bigint | string,
): Values {
  const inner = elementCount(shape.slice(axis + 1));
  const outer = elementCount(shape.slice(0, axis));
  const length = outer * size * inner;
  const source = values as unknown as unknown[];
  const expanded =
    (Array.isArray(values)
      ? new Array(length)
      : new (values.constructor as Float32ArrayConstructor)(length)) as unknown as unknown[];
  expanded.fill(fill);
  for (let o = 0; o < outer; o++) {
    for (let bin = 0; bin < index.length; bin++) {
      const from = (o * index.length + bin) * inner;
      const to = (o * size + index[bin]!) * inner;
      for (let i = 0; i < inner; i++) expanded[to + i] = source[from + i];
    }
  }
  return expanded as unknown as Values;
}

/** What stands for no value; what the store says, where it is a number. */
function fillOf(dtype: NumericType, given?: unknown): number | bigint {
  if (isFloat(dtype)) return typeof given === "number" ? given : NaN;
  if (typeof given === "number") return dtype.endsWith("int64") ? BigInt(given) : given;
  switch (dtype) {
    case "int64":
      return -1n;
    case "uint64":
      return 2n ** 64n - 1n;
    case "uint8":
    case "uint16":
    case "uint32":
      return 2 ** (8 * elementBytes(dtype)) - 1;
    case "bool":
      return 0;
    default:
      return -1;
  }
}

function typed(dtype: NumericType, bytes: Uint8Array): NumericArray {
  const { constructor } = createElements(dtype === "float16" ? "float32" : dtype, 0);
  return dtype === "bool"
    ? new Int8Array(bytes.buffer)
    : new (constructor as Float32ArrayConstructor)(bytes.buffer as ArrayBuffer);
}

function bytesOf(values: NumericArray): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
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

/**
 * Opens a variable of a NetCDF-4 or HDF5 file as an array, read in place.
 *
 * Needs the optional package `h5wasm`. In browsers a file in `opfs:` can be read in a dedicated worker alone.
 * Packed values (`scale_factor`) come as they are stored.
 *
 * @param file Place of the file.
 * @param variable Its name, or its path in the file.
 * @throws {ChunkError} If there is no such file or variable, or it does not hold numbers.
 */
export async function openNetcdf(file: string, variable: string): Promise<ChunkedArray> {
  const bytes = await openFile(file);
  let access: H5Access | undefined;
  try {
    access = await openAccess(file, bytes);
    return arrayOf(access, file, variable, () => bytes.close());
  } catch (error) {
    access?.close();
    bytes.close();
    throw error;
  }
}

async function openAccess(
  file: string,
  bytes: Awaited<ReturnType<typeof openFile>>,
): Promise<H5Access> {
  try {
    return await H5Access.open(bytes, "r");
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ChunkError(`Cannot open ${file}: ${error.message}`, file, error);
  }
}

function arrayOf(
  access: H5Access,
  file: string,
  variable: string,
  closeFile: () => void,
): ChunkedArray {
  const full = `${file}/${variable}`;
  const dataset = access.dataset(variable);
  if (!dataset) throw new ChunkError(`Cannot open "${full}": there is no such variable`, full);
  const { shape, chunks, size } = dataset.metadata;
  const stored = numericType(dataset.metadata);
  if (stored === undefined || !shape || shape.length === 0) {
    throw new ChunkError(`Cannot open "${full}": wanted numbers along at least one axis`, full);
  }
  const isBool = stored === "int8" && dataset.attrs.dtype?.value === "bool";
  const rowElements = elementCount(shape.slice(1));
  const chunkRows = chunks?.[0] ?? pieceRows(shape[0]!, 1, rowElements * size);
  let open = true;
  return {
    shape,
    dtype: isBool ? "bool" : stored,
    dims: dimNames(dataset, shape.length),
    chunkRows,
    // async, so that what is wrong rejects
    async read(start: number, end: number, { signal }: ReadOptions = {}): Promise<NumericArray> {
      signal?.throwIfAborted();
      checkRows(shape, start, end);
      if (!open) throw new ChunkError(`Cannot read "${full}": it was closed`, full);
      const values = createElements(isBool ? "uint8" : stored, (end - start) * rowElements);
      const bytes = bytesOf(values);
      for (let from = start; from < end;) {
        const to = Math.min(end, from - from % chunkRows + chunkRows);
        const part = bytes.subarray(
          (from - start) * rowElements * size,
          (to - start) * rowElements * size,
        );
        try {
          access.read(
            dataset.path,
            [from, ...shape.slice(1).fill(0)],
            [to - from, ...shape.slice(1)],
            part,
          );
        } catch (error) {
          throw new ChunkError(
            `Cannot read rows ${from} to ${to} of "${full}": ${(error as Error).message}`,
            full,
            error,
          );
        }
        from = to;
      }
      return values;
    },
    async close() {
      if (!open) return;
      open = false;
      access.close();
      closeFile();
    },
  };
}

function numericType({ type, size, signed }: H5Metadata): NumericType | undefined {
  if (type === 0 && [1, 2, 4, 8].includes(size)) {
    return `${signed ? "" : "u"}int${8 * size}` as NumericType;
  }
  return type === 1 && (size === 4 || size === 8) ? `float${8 * size}` as NumericType : undefined;
}

function dimNames(dataset: H5Dataset, axes: number): string[] | undefined {
  const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  if (dataset.get_scale_name() !== null) return axes === 1 ? [nameOf(dataset.path)] : undefined;
  const names = Array.from({ length: axes }, (_, axis) => dataset.get_attached_scales(axis)[0]);
  return names.every((name) => name !== undefined) ? names.map(nameOf) : undefined;
}
