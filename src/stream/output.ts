/**
 * What a task stores: arrays that are written row by row while passes run, or at the end, and attributes.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { Account } from "../gpu/ledger.ts";
import type { Claim } from "../store/journal.ts";
import type { NumericArray } from "../types.ts";
import type { StoredChunk } from "../zarr/chunk_writer.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { elementBytes, elementCount } from "../zarr/data_types.ts";
import type { Store } from "../store/store.ts";
import type { FileSums } from "../zarr/checksums.ts";
import type { ZarrArraySpec, ZarrFormat } from "../zarr/metadata.ts";
import type { Tile } from "./pass.ts";

/** An array that is there before the first row is computed. */
export interface Coordinate {
  spec: ZarrArraySpec;
  /** Values, or what makes them: those of rows are not held while a task runs. */
  data: NumericArray | readonly string[] | (() => NumericArray);
}

/** What is written beside a result at its end, which makes it a file of another format, too: of zarr version 2. */
export interface Companion {
  /** Of the group, once all is there. */
  attributes: Record<string, unknown>;
  /** On disk, about. */
  bytes: number;
  /**
   * Gives what files of JSON that it wrote hold, by key without the first slash.
   *
   * @param sums Takes the checksums of all others.
   */
  write(store: Store, sums: FileSums): Promise<Record<string, unknown>>;
}

/** The arrays and attributes of a task's result, and where they go. */
export interface OutputSpec {
  /** What it is: `kmeans`, `pca`, `decode`. The attribute `format` is `sluice.<kind>`. */
  kind: string;
  /** Version of the layout; a reader refuses a newer one. */
  formatVersion: number;
  /** A path, `file:`, `opfs:` or `memory:` place. Results are only returned when not given. */
  place?: string | undefined;
  /** Replaces a result that is already there. */
  overwrite?: boolean | undefined;
  /** Adapter whose numbers these are. */
  adapter: string;
  /** Goes on with an unfinished result that another adapter began. */
  allowAdapterChange?: boolean | undefined;
  /** Written row by row, along the first axis. */
  streamed: readonly ZarrArraySpec[];
  /** Written at the end. */
  whole: readonly ZarrArraySpec[];
  /**
   * Row of a pass by which all rows before this one of a streamed array are there, and no later one, where
   * rows of arrays are not those of passes: a run goes on no later than there. Without lanes.
   */
  passRow?(arrayRow: number): number;
  coordinates?: readonly Coordinate[];
  /** What is known beforehand. */
  attributes: Record<string, unknown>;
  /** What the end of a run will add, at its longest. */
  longest?: Record<string, unknown>;
  zarrFormat?: ZarrFormat;
  companion?: Companion;
  /** Whether rows come from the last to the first. */
  descending?: boolean;
  /** Stretches of rows that are written side by side, and the rows of one. */
  lanes?: { count: number; rows: number };
}

/** What a task makes of all it computed: arrays and facts that are stored as they are. */
export interface Outcome {
  /** By the names of {@link OutputSpec.whole}. */
  values?: Record<string, NumericArray>;
  /** Attributes, by their names in the store. */
  facts?: Record<string, unknown>;
}

/** What was stored, or is held in memory where no place was named. */
export interface Stored {
  /** `undefined` for a result that is only returned. */
  place: string | undefined;
  attributes: Record<string, unknown>;
  /** Opens an array; one that lies in memory has its `values`. */
  open(name: string): Promise<ChunkedArray>;
  /** All of an array. */
  read(name: string): Promise<NumericArray>;
}

/** Chunks that are stored for good, by array. */
export type StoredChunks = Record<string, StoredChunk[]>;

/** A line of the memory table. */
export interface OutputItem {
  what: string;
  kind: "host" | "disk";
  bytes: number;
}

/** What a place holds, before any work. */
export interface Found {
  kind: "nothing" | "unfinished" | "finished";
  /** Hash of the plan whose finished result may be replaced. */
  replaces?: string;
}

/** What a run asks of an output, stored or not. */
export interface Output {
  memory(): OutputItem[];
  /**
   * Looks at the place.
   *
   * @param claim Of the journal beside it.
   * @throws {OutputConflictError} If something else is there.
   */
  check(
    hash: string,
    claim: Claim | undefined,
    hashFor: (adapter: string) => Promise<string>,
  ): Promise<Found>;
  /** Why stored files are not what earlier checkpoints told; `undefined` if they are. */
  verify(chunks: StoredChunks): Promise<Error | undefined>;
  /** Takes the place, or goes on where checkpoints end. */
  begin(account: Account, hash: string, adapter: string, chunks?: StoredChunks): Promise<void>;
  /** Takes rows from `start` on. */
  write(name: string, start: number, values: NumericArray, signal: AbortSignal): Promise<void>;
  /** Makes safe what is complete; tells up to where, counted in a lane, a tile's rows are. */
  commit(tile: Tile, forward: boolean): Promise<{ storedTo: number; chunks: StoredChunks }>;
  /** Makes safe what is complete, between two passes; tells whether that is all that came. */
  settle(): Promise<{ isWhole: boolean; chunks: StoredChunks }>;
  /** Which rows of arrays that one pass writes may come again. */
  redo(names: readonly string[], rows: "all" | "begun" | "none"): void;
  finish(outcome: Outcome): Promise<Stored>;
  /** Lets go of the place. What is there stays. */
  release(): Promise<void>;
}

/** Rows of a chunk of small arrays, in bytes. */
const CHUNK_BYTES = 4 * 2 ** 20;
/** A variable in chunks of at most 4 MiB. */
export function variable(
  name: string,
  dtype: NumericType,
  shape: readonly number[],
  dims: readonly string[],
): ZarrArraySpec {
  const rowBytes = elementBytes(dtype) * elementCount(shape.slice(1));
  const rows = Math.max(1, Math.min(shape[0]!, Math.floor(CHUNK_BYTES / rowBytes)));
  return { name, dtype, shape, dims, chunkShape: [rows, ...shape.slice(1)] };
}
