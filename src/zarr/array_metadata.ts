/**
 * What a reader has to know of an array.
 *
 * @module
 */

import type { Decoder } from "./codec.ts";
import type { ZarrFormat } from "./metadata.ts";
import type { StoredType } from "./stored_types.ts";
import type { TextType } from "./stored_text.ts";

/** What elements are, how they lie in bytes, and what those are that are not stored. */
export type Elements =
  | { kind: "numbers"; type: StoredType; fill: number | bigint }
  | { kind: "text"; type: TextType; fill: string | undefined };

/** How the chunks of a file lie in it. */
export interface ShardLayout {
  /** Chunks of a file along each axis, in the order in which the file has the axes. */
  grid: readonly number[];
  /** Axis of the array, by axis of the file. */
  axes: readonly number[];
  isIndexAtStart: boolean;
  isIndexBigEndian: boolean;
  indexHasChecksum: boolean;
}

export interface ArrayMetadata {
  zarrFormat: ZarrFormat;
  shape: readonly number[];
  /** Elements that share a file: a shard's, or a chunk's where each has its own. */
  fileShape: readonly number[];
  /** Elements that are decoded together. */
  chunkShape: readonly number[];
  elements: Elements;
  /** What version 2 calls missing: its fill value, where it has one. */
  missing: number | bigint | string | undefined;
  /** Codecs between the elements of a chunk and its bytes, as they were applied. */
  decoders: readonly Decoder[];
  /** Axes of the array in the order in which the elements of a chunk lie, the fastest one last. */
  axisOrder: readonly number[];
  shards: ShardLayout | undefined;
  /** Of version 3; those of version 2 have a file of their own. */
  attributes: Record<string, unknown>;
  dimensionNames: readonly (string | null)[] | undefined;
  /** Name of a file within the array's folder, by its position in the grid of files. */
  fileName(position: readonly number[]): string;
}
