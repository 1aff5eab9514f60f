/**
 * Zarr groups as NetCDF-4 files, rows copied a few at a time.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { LongAxis } from "../array/expand.ts";
import { expand } from "../array/expand.ts";
import type { ZarrVariable } from "../zarr/group.ts";
import { firstHole } from "../zarr/check.ts";
import { openZarrGroup } from "../zarr/group.ts";
import { readGroupAttributes } from "../zarr/metadata.ts";
import type { Packing } from "../array/unpack.ts";
import { scaleName, unpack } from "../array/unpack.ts";
import { ChunkError } from "../errors.ts";
import { elementCount } from "../zarr/data_types.ts";
import type { OptionsOf } from "../options.ts";
import { declare, flag, oneOf, signal, told, whole } from "../options.ts";
import { openStore } from "../store/open_store.ts";
import { nextTurn } from "../turns.ts";
import { H5Access } from "../files/h5wasm.ts";
import type { NetcdfVariable } from "./netcdf_file.ts";
import { chunkRowsOf, createVariables, storedBytes } from "./netcdf_file.ts";
import { createFile } from "../files/sync_file.ts";
import { withReferenceNames } from "./reference_names.ts";

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

export const exportOptions = declare("export", {
  /**
   * Gives `state_bins` every bin of the box, those outside the track too, as non_local_detector stores
   * it: probabilities there are NaN, coordinates are those of the bins. Default false.
   */
  expand: flag({
    default: false,
    says: "give state_bins every bin of the box, NaN outside the track",
  }),
  /**
   * `reference`: a decode as non_local_detector saves it, which its `load_results()` opens: `expand`, its variables and
   * coordinates alone, `environments` and `encoding_groups`, and no dim for a single state. Default `own`.
   */
  names: oneOf(["own", "reference"], {
    default: "own",
    says: "own, or reference: a decode as non_local_detector saves it, with all bins of the box",
  }),
  /** Compression of chunks, from 0 (none, the default) to 9. */
  deflate: whole({
    default: 0,
    from: 0,
    to: 9,
    says: "compression, 1 (fast) to 9 (small); posteriors get little smaller",
  }),
  /** Replaces a file that is already there. Default false. */
  overwrite: flag({ default: false, stored: false, says: "replace a file that is already there" }),
  signal,
  onProgress: told<(progress: ExportProgress) => void>("told how far it is"),
});

export type ExportOptions = OptionsOf<typeof exportOptions>;

/** What {@link exportNetcdf} wrote. */
export interface ExportResult {
  place: string;
  variables: number;
  /** Size of the file. */
  fileBytes: number;
  seconds: number;
}

/** The axis that is expanded, its long form, and where its elements lie there. */
const SHORT_DIM = "state_bins";
const LONG_DIM = "full_state_bins";
const INDEX = "interior_index";
/** What a coordinate of the short axis is called that has been made for the long one. */
const LONG_PREFIX = "full_";

/**
 * Writes every array of a zarr group into a NetCDF-4 file that xarray, netCDF4 and h5netcdf open with
 * the same names, dims, coordinates and attributes. Memory does not grow with the file, which
 * appears under its name once it is whole.
 *
 * Probabilities are written as f32, whatever they were stored as, so that readers need to know of no
 * scales. Of other types that NetCDF lacks, half floats become f32, booleans i8 with the attribute `dtype` of "bool",
 * which xarray understands. What version 2 has as `fill_value` becomes `_FillValue`. Attributes that are objects become JSON, numbers f64, `true` and `false` 1
 * and 0; `null` is left out.
 *
 * Needs the optional package `h5wasm`. In browsers a file in `opfs:` can only be written in a dedicated
 * worker, one in `memory:` anywhere. Groups behind `http:` cannot be listed and are refused.
 *
 * @param place Of a zarr group, version 3 or 2.
 * @param file Place of the NetCDF file.
 * @throws {RangeError} If arrays disagree on the size of a dim, or cannot be expanded.
 * @throws {ChunkError} If there is no such group, it is unfinished, or a chunk cannot be read; if it is no decode, and was to
 * have the names of one.
 * @throws {OutputConflictError} If the file is there already and `overwrite` is not set.
 * @throws {QuotaError} If there is too little room: before anything is written, unless compressed.
 */
export async function exportNetcdf(
  place: string,
  file: string,
  options: ExportOptions = {},
): Promise<ExportResult> {
  const { expand: isExpanded, names, deflate, overwrite, signal } = exportOptions.check(options);
  const started = performance.now();
  signal?.throwIfAborted();
  const store = await openStore(place);
  try {
    const { complete } = (await readGroupAttributes(store))?.attributes ?? {};
    if (complete === false) {
      throw new ChunkError(`Cannot export ${place}: it has not finished, run it again`, place);
    }
    // elsewhere chunks that are missing are the fill value
    const hole = complete === true ? await firstHole(store) : undefined;
    if (hole) {
      throw new ChunkError(`Cannot export ${place}: ${hole}; see what sluice check says`, place);
    }
    const group = await openZarrGroup(store);
    const plain = withoutPacking(group.variables, place);
    const whole = isExpanded || names === "reference" ? await expanded(plain, place) : plain;
    const own = { variables: whole, attributes: group.attributes };
    const named = names === "reference" ? withReferenceNames(own, place) : own;
    const variables = await Promise.all(
      named.variables.map(async ({ readText, fillValue, ...source }) => ({
        ...source,
        attributes: withFill(source, fillValue),
        text: source.array ? undefined : await readText(),
        single: source.shape.length === 0 ? await source.array?.read(0, 1) : undefined,
      })),
    );
    const neededBytes = variables.reduce((sum, variable) => sum + storedBytes(variable), 0);
    const output = await createFile(file, {
      overwrite,
      neededBytes: deflate === 0 ? neededBytes : 0,
    });
    try {
      const access = await H5Access.open(output.file, "w");
      try {
        createVariables(access, variables, named.attributes, deflate);
        await copyVariables(access, variables, neededBytes, started, options);
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

/** Attributes of a variable with what version 2 calls missing, which xarray takes from there. */
function withFill(
  { attributes, array }: Pick<ZarrVariable, "attributes" | "array">,
  fillValue: unknown,
): Record<string, unknown> {
  const isSaid = attributes._FillValue !== undefined;
  if (isSaid || fillValue === undefined || fillValue === null) return attributes;
  if (!array || array.dtype === "bool") return attributes;
  return { ...attributes, _FillValue: fillValue };
}

/** Packed probabilities as they were meant, their scales left out. */
function withoutPacking(variables: readonly ZarrVariable[], place: string): ZarrVariable[] {
  const scales = new Set<string>();
  const plain = variables.map((variable): ZarrVariable => {
    const { packing, scale_factor: _, ...attributes } = variable.attributes;
    if (packing === undefined) return variable;
    const scale = variables.find(({ name }) => name === scaleName(variable.name));
    if (scale) scales.add(scale.name);
    if (packing !== "linear" && !(packing === "root" && scale?.array)) {
      throw new ChunkError(
        `Cannot export ${place}: "${variable.name}" has the packing "${packing}", wanted ` +
          `"linear", or "root" and its scales in "${scaleName(variable.name)}"`,
        place,
      );
    }
    const array = unpack(variable.array!, packing as Packing, scale?.array);
    // what was missing is NaN by now
    return { ...variable, attributes, array, fillValue: undefined };
  });
  return plain.filter(({ name }) => !scales.has(name));
}

/** The same variables with the long axis in place of the short one, under its name. */
async function expanded(
  variables: readonly ZarrVariable[],
  place: string,
): Promise<ZarrVariable[]> {
  const long = await readLongAxis(variables, place);
  const called = (name: string) =>
    name.startsWith(LONG_PREFIX) ? name.slice(LONG_PREFIX.length) : name;
  const complete = variables.filter(({ dims }) => dims.includes(LONG_DIM));
  const result: ZarrVariable[] = [];
  for (const variable of variables) {
    const { name, dims, shape, array } = variable;
    const axis = dims.indexOf(SHORT_DIM);
    if (complete.includes(variable)) {
      const renamed = dims.map((dim) => dim === LONG_DIM ? SHORT_DIM : dim);
      result.push({ ...variable, name: called(name), dims: renamed });
    } else if (axis < 0) result.push(variable);
    else if (name !== INDEX && !complete.some((other) => called(other.name) === name)) {
      if (!array) {
        throw new RangeError(
          `Cannot expand ${place}: there is no "${LONG_PREFIX}${name}" for the strings of "${name}"`,
        );
      }
      const view = expand(array, { ...long, axis });
      result.push({ ...variable, shape: shape.with(axis, long.size), array: view });
    }
  }
  return result;
}

async function readLongAxis(
  variables: readonly ZarrVariable[],
  place: string,
): Promise<LongAxis> {
  const index = variables.find(({ name }) => name === INDEX);
  const complete = variables.find(({ dims }) => dims.includes(LONG_DIM));
  if (index?.dims.join() !== SHORT_DIM || !index.array || complete === undefined) {
    throw new RangeError(
      `Cannot expand ${place}: wanted a coordinate "${INDEX}" along "${SHORT_DIM}", and an array ` +
        `along "${LONG_DIM}"`,
    );
  }
  const places = await index.array.read(0, index.shape[0]!);
  return {
    index: Int32Array.from(places as ArrayLike<number>, Number),
    size: complete.shape[complete.dims.indexOf(LONG_DIM)]!,
  };
}

async function copyVariables(
  access: H5Access,
  variables: readonly NetcdfVariable[],
  totalBytes: number,
  started: number,
  { signal, onProgress }: ExportOptions,
): Promise<void> {
  let bytesWritten = 0;
  for (const [variableIndex, { name, array, shape }] of variables.entries()) {
    if (!array || shape.length === 0 || elementCount(array.shape) === 0) continue;
    for await (const bytes of copyRows(access, name, array, signal)) {
      bytesWritten += bytes;
      onProgress?.({
        variable: name,
        variableIndex,
        variableCount: variables.length,
        fraction: bytesWritten / totalBytes,
        bytesWritten,
        elapsedSeconds: (performance.now() - started) / 1000,
      });
    }
  }
}

/** Copies all rows, a chunk of the file at a time; tells the bytes of each. */
async function* copyRows(
  access: H5Access,
  name: string,
  array: ChunkedArray,
  signal: AbortSignal | undefined,
): AsyncGenerator<number> {
  const [rows, ...inner] = array.shape as [number, ...number[]];
  const pieceRows = chunkRowsOf(array);
  // what is stored together is read once
  const readRows = Math.max(pieceRows, array.chunkRows);
  for (let start = 0; start < rows; start += readRows) {
    const end = Math.min(rows, start + readRows);
    const values = await array.read(start, end, signal ? { signal } : {});
    const rowElements = values.length / (end - start);
    for (let from = start; from < end;) {
      signal?.throwIfAborted();
      const to = Math.min(end, from - from % pieceRows + pieceRows);
      const part = values.subarray((from - start) * rowElements, (to - start) * rowElements);
      const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
      access.write(`/${name}`, [from, ...inner.map(() => 0)], [to - from, ...inner], bytes);
      yield bytes.byteLength;
      from = to;
      // compression takes its time: signals have their turn, as they do while rows are read
      if (from < end) await nextTurn();
    }
  }
}
