/**
 * HDF5 files through h5wasm, an optional package that is loaded when it is first needed. It reads and
 * writes a {@link SyncFile} in place: its memory does not grow with the file.
 *
 * @module
 */

import type { SyncFile } from "./output_file.ts";

/** Elements of a dataset, as HDF5 sees them. */
export interface H5Metadata {
  shape: number[] | null;
  chunks: number[] | null;
  /** Class: 0 whole numbers, 1 floats, 3 strings, 8 names of whole numbers; the others in {@link CLASSES}. */
  type: number;
  /** Bytes of an element. */
  size: number;
  signed: boolean;
  enum_type?: { members: Record<string, number> };
  compound_type?: { members: { name: string }[] };
  /** Other datasets that it is put together from. */
  virtual_sources?: unknown[];
}

/** What elements are, by the class of their type. */
export const CLASSES: Record<number, string> = {
  2: "times",
  3: "texts",
  4: "bit fields",
  5: "opaque bytes",
  6: "records",
  7: "references",
  9: "lists",
  10: "arrays",
};

export interface H5Object {
  /** @param dtype `<f` and the like; `S` for strings of any length, `A4` for 4 ASCII characters. */
  create_attribute(
    name: string,
    data: unknown,
    shape: readonly number[] | null,
    dtype: string,
  ): void;
  readonly attrs: Record<string, { value: unknown }>;
}

export interface H5Dataset extends H5Object {
  readonly path: string;
  readonly metadata: H5Metadata;
  /** How chunks are compressed and checked, in the order of writing. */
  readonly filters: readonly { id: number; name: string }[];
  /** All of it: for single values. */
  readonly value: unknown;
  /** A block of it, from and to along each axis: for strings, which `read` does not know. */
  slice(ranges: readonly (readonly [from: number, to: number])[]): unknown;
  resize(shape: readonly number[]): number;
  make_scale(name: string): void;
  attach_scale(axis: number, path: string): void;
  /** Paths. */
  get_attached_scales(axis: number): string[];
  /** `null` if it is no scale. */
  get_scale_name(): string | null;
}

export interface H5Group extends H5Object {
  readonly path: string;
  keys(): string[];
  /** A dataset, a group, or a link that leads nowhere or out of the file; `null` if there is nothing. */
  get(name: string): unknown;
}

export interface H5File extends H5Group {
  readonly file_id: bigint;
  create_dataset(options: {
    name: string;
    data: unknown;
    shape: readonly number[];
    dtype: string;
    maxshape?: readonly number[];
    chunks?: readonly number[];
    compression?: "gzip";
    compression_opts?: number;
  }): H5Dataset;
  close(): number;
}

type Transfer = (
  file: bigint,
  path: string,
  count: readonly bigint[],
  offset: readonly bigint[],
  strides: readonly bigint[],
  address: bigint,
) => number;

interface H5Module {
  FS: EmscriptenFs;
  HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
  create_object_reference(file: bigint, path: string): Uint8Array;
  get_dataset_data: Transfer;
  set_dataset_data: Transfer;
}

interface H5wasm {
  ready: Promise<H5Module>;
  File: new (path: string, mode: "r" | "w", options: { track_order: boolean }) => H5File;
  Dataset: abstract new () => H5Dataset;
  Group: abstract new () => H5Group;
}

interface FsNode {
  node_ops: Record<string, unknown>;
  stream_ops: Record<string, unknown>;
}

interface FsStream {
  position: number;
}

/** The parts of Emscripten's file system that a mount needs. */
interface EmscriptenFs {
  mkdir(path: string): void;
  rmdir(path: string): void;
  mount(type: { mount(): FsNode }, options: object, path: string): FsNode;
  unmount(path: string): void;
  createNode(parent: FsNode | null, name: string, mode: number, device: number): FsNode;
  ErrnoError: new (errno: number) => Error;
}

const DIRECTORY_MODE = 0o40777;
const FILE_MODE = 0o100666;
const EIO = 29;
const EINVAL = 28;
const ENOENT = 44;

let mounts = 0;

/** Loads h5wasm. @throws {TypeError} If the package is not installed. */
async function load(): Promise<H5wasm> {
  try {
    return await import("h5wasm") as unknown as H5wasm;
  } catch (error) {
    throw new TypeError(
      "Cannot use HDF5 files (NetCDF-4, NWB, MATLAB 7.3): the optional package h5wasm is not there, " +
        "install it with npm i h5wasm",
      { cause: error },
    );
  }
}

/** An HDF5 file that is open. Whoever opened the {@link SyncFile} closes it. */
export class H5Access {
  readonly file: H5File;
  readonly #library: H5wasm;
  readonly #module: H5Module;
  readonly #folder: string;
  readonly #failure: { error?: unknown };
  #scratch = { address: 0, bytes: 0 };

  private constructor(
    library: H5wasm,
    module: H5Module,
    file: H5File,
    folder: string,
    failure: { error?: unknown },
  ) {
    this.#library = library;
    this.#module = module;
    this.file = file;
    this.#folder = folder;
    this.#failure = failure;
  }

  /**
   * @param mode `w` begins an empty file.
   * @throws {RangeError} If HDF5 cannot read it.
   */
  static async open(file: SyncFile, mode: "r" | "w"): Promise<H5Access> {
    const library = await load();
    const module = await library.ready;
    const number = ++mounts;
    const folder = `/sluice${number}`;
    const failure: { error?: unknown } = {};
    module.FS.mkdir(folder);
    mountFile(module.FS, folder, { file, number, failure });
    // keeps the order of arrays and attributes, and netCDF wants it of files it is to change
    const opened = new library.File(`${folder}/file`, mode, { track_order: true });
    const access = new H5Access(library, module, opened, folder, failure);
    if (opened.file_id >= 0n) return access;
    access.#unmount();
    throw failure.error ?? new RangeError("it is no HDF5 file, or is cut short");
  }

  /** A dataset by its path; `undefined` if there is none. */
  dataset(name: string): H5Dataset | undefined {
    const found = this.file.get(name);
    return found instanceof this.#library.Dataset ? found : undefined;
  }

  /** A group by its path; `undefined` if there is none. */
  group(name: string): H5Group | undefined {
    const found = this.file.get(name);
    return found instanceof this.#library.Group ? found : undefined;
  }

  /** Where the header of an object lies, from the base of the file. */
  addressOf({ path }: { path: string }): number {
    const reference = this.#module.create_object_reference(this.file.file_id, path);
    return reference.reduceRight((sum, byte) => 256 * sum + byte, 0);
  }

  /** Reads a block of a dataset: `count` elements along each axis, from `offset`. */
  read(path: string, offset: readonly number[], count: readonly number[], into: Uint8Array): void {
    const address = this.#reserve(into.byteLength);
    this.#transfer("get_dataset_data", path, offset, count);
    into.set(this.#module.HEAPU8.subarray(address, address + into.byteLength));
  }

  /** Writes a block of a dataset. */
  write(
    path: string,
    offset: readonly number[],
    count: readonly number[],
    bytes: Uint8Array,
  ): void {
    const address = this.#reserve(bytes.byteLength);
    this.#module.HEAPU8.set(bytes, address);
    this.#transfer("set_dataset_data", path, offset, count);
  }

  /** Throws what went wrong in the file: HDF5 itself only tells that something did. */
  check(status = 0): void {
    if (this.#failure.error !== undefined) throw this.#failure.error;
    if (!(status >= 0)) throw new Error(`HDF5 failed with status ${status}`);
  }

  close(): void {
    const status = this.file.close();
    this.#unmount();
    this.check(status);
  }

  #unmount(): void {
    const { FS, _free } = this.#module;
    if (this.#scratch.bytes > 0) _free(this.#scratch.address);
    this.#scratch = { address: 0, bytes: 0 };
    FS.unmount(this.#folder);
    FS.rmdir(this.#folder);
  }

  #reserve(bytes: number): number {
    if (bytes > this.#scratch.bytes) {
      if (this.#scratch.bytes > 0) this.#module._free(this.#scratch.address);
      const address = this.#module._malloc(bytes);
      this.#scratch = { address, bytes: address === 0 ? 0 : bytes };
      if (address === 0) throw new RangeError(`HDF5 has no ${bytes} bytes of memory left`);
    }
    return this.#scratch.address;
  }

  #transfer(
    kind: "get_dataset_data" | "set_dataset_data",
    path: string,
    offset: readonly number[],
    count: readonly number[],
  ): void {
    const status = this.#module[kind](
      this.file.file_id,
      path,
      count.map(BigInt),
      offset.map(BigInt),
      count.map(() => 1n),
      BigInt(this.#scratch.address),
    );
    this.check(status);
  }
}

/** Puts a file named `file` into a folder. What goes wrong in it is kept in `failure`. */
function mountFile(
  FS: EmscriptenFs,
  folder: string,
  { file, number, failure }: { file: SyncFile; number: number; failure: { error?: unknown } },
): void {
  // what is thrown must be an error number to pass through HDF5
  const guard = <Result>(action: () => Result): Result => {
    try {
      return action();
    } catch (error) {
      failure.error ??= error;
      throw new FS.ErrnoError(EIO);
    }
  };
  const attributes = (mode: number, size: number) => ({
    dev: 1,
    // HDF5 takes files of one device and number for one
    ino: number,
    mode,
    nlink: 1,
    uid: 0,
    gid: 0,
    rdev: 0,
    size,
    atime: new Date(0),
    mtime: new Date(0),
    ctime: new Date(0),
    blksize: 4096,
    blocks: Math.ceil(size / 4096),
  });
  const part = (buffer: Uint8Array, offset: number, length: number) =>
    new Uint8Array(buffer.buffer, buffer.byteOffset + offset, length);

  const type = {
    mount() {
      const root = FS.createNode(null, "/", DIRECTORY_MODE, 0);
      root.node_ops = {
        getattr: () => attributes(DIRECTORY_MODE, 0),
        setattr: () => {},
        lookup: () => {
          throw new FS.ErrnoError(ENOENT);
        },
      };
      root.stream_ops = {};
      return root;
    },
  };
  // a node belongs to the mount its folder has by then
  const node = FS.createNode(FS.mount(type, {}, folder), "file", FILE_MODE, 0);
  node.node_ops = {
    getattr: () => attributes(FILE_MODE, guard(() => file.getSize())),
    setattr: (_: FsNode, { size }: { size?: number }) => {
      if (size !== undefined) guard(() => file.truncate(size));
    },
  };
  node.stream_ops = {
    read: (_: FsStream, buffer: Uint8Array, offset: number, length: number, at: number) =>
      guard(() => file.read(part(buffer, offset, length), { at })),
    write: (_: FsStream, buffer: Uint8Array, offset: number, length: number, at: number) =>
      guard(() => file.write(part(buffer, offset, length), { at })),
    llseek: (stream: FsStream, offset: number, whence: number) => {
      const from = whence === 1 ? stream.position : whence === 2 ? file.getSize() : 0;
      if (from + offset < 0) throw new FS.ErrnoError(EINVAL);
      return from + offset;
    },
  };
}
