/**
 * Words that several layers share.
 *
 * @module
 */

/** Element types, by their numpy and zarr v3 names. */
export type DataType =
  | "bool"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "float16"
  | "float32"
  | "float64"
  | "string";

/**
 * What a read returns for a numeric {@link DataType}: the typed array of the same element type.
 * `bool` comes as `Uint8Array` of 0 and 1, `float16` as `Float32Array` (exact), `int64` and
 * `uint64` as `BigInt64Array` and `BigUint64Array`.
 */
export type NumericArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** Typed arrays by the {@link DataType} of which a read returns them. */
export interface ArrayOfType {
  bool: Uint8Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  float16: Float32Array;
  float32: Float32Array;
  float64: Float64Array;
}

/** Bytes by where they live: device and staging buffers, host memory, stored output. */
export interface MemoryBytes {
  gpu: number;
  host: number;
  disk: number;
}

/** What a long run reports while it goes. */
export interface Progress {
  /** Name of the plan, and of its pass that is running. */
  plan: string;
  pass: string;
  /** Position of that pass among the plan's passes, from 0, and how many there are. */
  passIndex: number;
  passCount: number;
  /** Rows this pass has finished, and its total. */
  rows: number;
  totalRows: number;
  /** Share of the whole plan that is done, 0 to 1. */
  fraction: number;
  bytesWritten: number;
  /** Rows per second the device did over the whole of this pass so far. */
  rowsPerSecond: number;
  elapsedSeconds: number;
  /** Expected seconds until the plan is done; `undefined` until it can be told. */
  etaSeconds: number | undefined;
  /** Highest ledger readings so far. */
  peakBytes: MemoryBytes;
}
