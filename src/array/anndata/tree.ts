/**
 * Groups and arrays by their paths, as AnnData keeps them in HDF5 and in zarr alike.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";

/** What stands at a path. */
export interface TreeNode {
  isGroup: boolean;
  /** Of an array: no axes if it is a single value. */
  shape: readonly number[];
  isText: boolean;
  /** Those that AnnData gives a meaning. */
  attributes: Readonly<Record<string, unknown>>;
}

/** Paths have no slash at either end; the root is "". */
export interface Tree {
  readonly place: string;
  node(path: string): Promise<TreeNode | undefined>;
  /** Names in a group, sorted. */
  keys(path: string): Promise<string[]>;
  /** An array of numbers; a single value is a row of one. Its `close` does nothing. */
  numbers(path: string): Promise<ChunkedArray>;
  /** All strings of an array; of a single one a list of one. */
  texts(path: string): Promise<string[]>;
  close(): Promise<void>;
}

/** Attributes that say how something is stored. */
export const ATTRIBUTES = [
  "encoding-type",
  "encoding-version",
  "shape",
  "column-order",
  "_index",
  "ordered",
  "h5sparse_format",
] as const;
