/**
 * Parquet files through hyparquet, an optional package that is loaded when it is first needed; other
 * compressions than snappy through hyparquet-compressors.
 *
 * @module
 */

import type { FileMetaData, SchemaTree } from "hyparquet";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import { formatBytes, wantedNames } from "../math/format.ts";
import type { NumericArray } from "../types.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { createElements, elementBytes, elementCount } from "../zarr/data_types.ts";
import type { ByteSource } from "./byte_source.ts";
import { readExactly } from "./byte_source.ts";

/** A column whose values are numbers, or lists of numbers. */
export interface ParquetColumn {
  name: string;
  /** Of the numbers; `undefined` of other columns. */
  dtype: NumericType | undefined;
  /** What it holds, in the words of the format. */
  stored: string;
  /** How deep lists are nested in it. */
  levels: number;
}

/** Rows whose numbers take more are decoded together, and held. */
const MOST_GROUP_BYTES = 2 ** 30;

/** Directories of more describe some hundred thousand groups of columns. */
const MOST_DIRECTORY_BYTES = 2 ** 26;
/** `PAR1`, which such files end with. */
const MAGIC = 0x31524150;

const INTEGERS: Record<string, NumericType> = {
  INT_8: "int8",
  INT_16: "int16",
  INT_32: "int32",
  INT_64: "int64",
  UINT_8: "uint8",
  UINT_16: "uint16",
  UINT_32: "uint32",
  UINT_64: "uint64",
};
const PLAIN: Record<string, NumericType> = {
  BOOLEAN: "bool",
  INT32: "int32",
  INT64: "int64",
  FLOAT: "float32",
  DOUBLE: "float64",
};

/** A parquet file whose directory has been read. */
export class ParquetFile {
  readonly metadata: FileMetaData;
  readonly columns: readonly ParquetColumn[];
  readonly #source: ByteSource;
  readonly #library: typeof import("hyparquet");
  readonly #compressors: object | undefined;

  private constructor(
    source: ByteSource,
    library: typeof import("hyparquet"),
    compressors: object | undefined,
    metadata: FileMetaData,
    columns: readonly ParquetColumn[],
  ) {
    this.#source = source;
    this.#library = library;
    this.#compressors = compressors;
    this.metadata = metadata;
    this.columns = columns;
  }

  /**
   * @throws {TypeError} If a package is missing that it needs; says which.
   * @throws {ChunkError} If it is no parquet file.
   */
  static async open(source: ByteSource): Promise<ParquetFile> {
    const library = await import("hyparquet").catch((error) => {
      throw missing("hyparquet", "parquet files", error);
    });
    let metadata: FileMetaData;
    let columns: ParquetColumn[];
    try {
      await checkDirectory(source);
      metadata = await library.parquetMetadataAsync(asyncBuffer(source));
      checkCounts(metadata, source.bytes);
      columns = library.parquetSchema(metadata).children.map(columnOf);
    } catch (error) {
      throw cannotRead(source, error);
    }
    const codecs = new Set(
      metadata.row_groups.flatMap(({ columns }) => columns.map((one) => one.meta_data?.codec)),
    );
    const [packed] = [...codecs].filter((one) => one && !["UNCOMPRESSED", "SNAPPY"].includes(one));
    if (packed === undefined) return new ParquetFile(source, library, undefined, metadata, columns);
    const { compressors } = await import("hyparquet-compressors").catch((error) => {
      throw missing("hyparquet-compressors", `parquet files compressed by ${packed}`, error);
    });
    return new ParquetFile(source, library, compressors, metadata, columns);
  }

  /** Rows as objects. Times are whole numbers, as they are stored. */
  async rows(
    range: { columns?: string[]; rowStart?: number; rowEnd?: number } = {},
  ): Promise<Record<string, unknown>[]> {
    const whole = (value: bigint | number) => value;
    try {
      return await this.#library.parquetReadObjects({
        file: asyncBuffer(this.#source),
        metadata: this.metadata,
        ...range,
        ...(this.#compressors && { compressors: this.#compressors }),
        parsers: {
          timestampFromMilliseconds: whole,
          timestampFromMicroseconds: whole,
          timestampFromNanoseconds: whole,
          dateFromDays: whole,
          stringFromBytes: (bytes) => bytes && textOf(bytes),
        },
      });
    } catch (error) {
      throw cannotRead(this.#source, error);
    }
  }

  /**
   * A column as an array: numbers [rows], or lists of equal lengths [rows, length]. A number that is missing
   * is NaN among floats. Closing it leaves the file open.
   *
   * @throws {ChunkError} If there is no such column, or it holds something else.
   */
  async array(name: string): Promise<ChunkedArray> {
    const path = `${this.#source.path}/${name}`;
    const refuse = (reason: string) => new ChunkError(`Cannot open "${path}": ${reason}`, path);
    const column = this.columns.find((column) => column.name === name);
    if (!column) {
      const names = this.columns.map(({ name }) => name);
      throw refuse(`there is no such column, ${wantedNames(name, names)}`);
    }
    const { dtype, stored, levels } = column;
    if (dtype === undefined) throw refuse(`it holds ${stored}, wanted numbers or lists of numbers`);
    const rows = Number(this.metadata.num_rows);
    const groups = this.metadata.row_groups.map(({ num_rows }) => Number(num_rows));
    const inner: number[] = [];
    if (levels > 0 && rows > 0) {
      const [first] = await this.rows({ columns: [name], rowStart: 0, rowEnd: 1 });
      for (let list = first![name], level = 0; level < levels; level++) {
        if (!isList(list)) throw refuse("its first row has no list");
        inner.push(list.length);
        list = list[0];
      }
    } else if (levels > 0) inner.push(...Array(levels).fill(0));
    const rowElements = elementCount(inner);
    const groupBytes = Math.max(1, ...groups) * rowElements * elementBytes(dtype);
    if (groupBytes > MOST_GROUP_BYTES) {
      throw refuse(
        `its rows are stored in groups of up to ${formatBytes(groupBytes)}, wanted at most ` +
          formatBytes(MOST_GROUP_BYTES),
      );
    }
    const shape = [rows, ...inner];
    const read = async (start: number, end: number, { signal }: ReadOptions = {}) => {
      signal?.throwIfAborted();
      checkRows(shape, start, end);
      const found = start === end
        ? []
        : await this.rows({ columns: [name], rowStart: start, rowEnd: end });
      signal?.throwIfAborted();
      const values = createElements(dtype, (end - start) * rowElements);
      for (let i = 0; i < end - start; i++) {
        const problem = putRow(values, i * rowElements, found[i]?.[name], inner, dtype);
        if (problem === undefined) continue;
        throw new ChunkError(`Cannot read row ${start + i} of "${path}": ${problem}`, path);
      }
      return values;
    };
    return {
      shape,
      dtype,
      dims: undefined,
      chunkRows: Math.max(1, groups[0] ?? 1),
      wholeChunks: true,
      read,
      close: () => Promise.resolve(),
    };
  }
}

/**
 * Looks at the end of a file, which says how long its directory is.
 *
 * @throws {RangeError} If that cannot be, or is more than anybody needs.
 */
async function checkDirectory(source: ByteSource): Promise<void> {
  const { bytes } = source;
  if (bytes < 12) throw new RangeError(`it has ${bytes} bytes, wanted 12 at least`);
  const end = await readExactly(source, bytes - 8, 8);
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  const length = view.getUint32(0, true);
  if (view.getUint32(4, true) !== MAGIC) {
    throw new RangeError("it does not end as parquet files do");
  }
  const most = Math.min(bytes - 12, MOST_DIRECTORY_BYTES);
  if (length > most) {
    throw new RangeError(`its directory is said to have ${length} bytes, wanted ${most} at most`);
  }
}

/** @throws {RangeError} If a directory declares what its file cannot hold, or does not agree with itself. */
function checkCounts({ num_rows, row_groups }: FileMetaData, fileBytes: number): void {
  const wrong = (what: string) => new RangeError(`its directory is damaged: ${what}`);
  const rows = row_groups.map((group) => Number(group.num_rows));
  const sum = rows.reduce((total, count) => total + count, 0);
  if (rows.some((count) => !(count >= 0)) || sum !== Number(num_rows)) {
    throw wrong(`${num_rows} rows in groups of ${rows.join(", ")}`);
  }
  for (const { columns } of row_groups) {
    for (const { meta_data: column } of columns) {
      const packed = Number(column?.total_compressed_size);
      const whole = Number(column?.total_uncompressed_size);
      const start = Number(column?.data_page_offset);
      const isInside = packed >= 0 && start >= 0 && start <= fileBytes && packed <= fileBytes;
      if (!isInside) throw wrong(`${packed} bytes at ${start} of ${fileBytes}`);
      if (!(whole >= 0 && whole <= MOST_GROUP_BYTES)) {
        throw new RangeError(
          `a group of its rows has ${formatBytes(whole)} of one column, wanted at most ` +
            formatBytes(MOST_GROUP_BYTES),
        );
      }
    }
  }
}

/** Writes a row's numbers, in order; says what is wrong with it, if anything is. */
function putRow(
  values: NumericArray,
  at: number,
  value: unknown,
  [length, ...inner]: readonly number[],
  dtype: NumericType,
): string | undefined {
  if (length !== undefined) {
    if (!isList(value)) return "it has no list";
    if (value.length !== length) {
      return `it has a list of ${value.length}, the first row has one of ${length}`;
    }
    const step = elementCount(inner);
    for (let i = 0; i < length; i++) {
      const problem = putRow(values, at + i * step, value[i], inner, dtype);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
  if (value === undefined || value === null) {
    if (!dtype.startsWith("float")) return "a number is missing";
    values[at] = NaN;
  } else values[at] = (dtype === "bool" ? Number(value) : value) as number;
  return undefined;
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

/** A column by its branch of the schema: `optional group x (LIST) { repeated group list { element } }`. */
function columnOf(tree: SchemaTree): ParquetColumn {
  const { name } = tree.element;
  let [leaf, levels] = [tree, 0];
  while (leaf.children.length === 1) {
    const [child] = leaf.children;
    const isListOf = leaf.element.converted_type === "LIST" ||
      leaf.element.logical_type?.type === "LIST";
    if (isListOf) levels++;
    else if (leaf.element.repetition_type !== "REPEATED") break;
    leaf = child!;
  }
  const { type, converted_type: converted, logical_type: logical, repetition_type } = leaf.element;
  const stored = leaf.children.length > 0
    ? "records"
    : [type, converted ?? logical?.type].filter((word) => word !== undefined).join(" ");
  const isPlain = leaf.children.length === 0 && converted === undefined && logical === undefined;
  const isInteger = leaf.children.length === 0 && INTEGERS[converted ?? ""] !== undefined &&
    (logical === undefined || logical.type === "INTEGER");
  // a list without a group of its own
  const isOwnList = levels === 0 && repetition_type === "REPEATED";
  return {
    name,
    stored,
    levels: isOwnList ? 1 : levels,
    dtype: isInteger ? INTEGERS[converted!] : isPlain ? PLAIN[type ?? ""] : undefined,
  };
}

/** @throws {RangeError} If bytes are no text: decoding would make different ones the same. */
function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new RangeError("a text in it is not UTF-8");
  }
}

function asyncBuffer(source: ByteSource) {
  return {
    byteLength: source.bytes,
    slice: async (start: number, end = source.bytes) =>
      (await readExactly(source, start, end - start)).slice().buffer as ArrayBuffer,
  };
}

function cannotRead({ path }: ByteSource, error: unknown): Error {
  if (error instanceof ChunkError) return error;
  return new ChunkError(`Cannot read "${path}": ${(error as Error).message}`, path, error);
}

function missing(name: string, what: string, cause: unknown): TypeError {
  return new TypeError(
    `Cannot use ${what}: the optional package ${name} is not there, install it with npm i ${name}`,
    { cause },
  );
}
