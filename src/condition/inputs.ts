/**
 * What frames come from, and what is known of them.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../array/array.ts";
import type { Id, IdKind, Utterance } from "./rows.ts";

/** What is kept beside results, as times and file numbers would make equal results differ. */
export interface InputRecord {
  /** Of all files. */
  stamp: string;
  /** Digest of the values in them. */
  contents: string;
}

/** A zarr store with a group for each utterance. */
export interface GroupsInput {
  /**
   * Its place. A group, named by the utterance, holds `x` `[frames, features]`, perhaps `energy` `[frames]`,
   * and the attribute `speaker_id`, perhaps `n_frames`.
   */
  latents: string;
  /**
   * A CSV, parquet or JSON table (a list of objects) with the column `utterance_id`, perhaps `speaker_id` and
   * `n_frames`, of all groups. What it says of one has to be what the group says.
   */
  index?: string;
}

/** One array of frames; `segments` and `speakers`, or `index`, tell whose they are. */
export interface FramesInput {
  /** `[frames, features]`, a place or an array. */
  frames: string | ChunkedArray;
  /** First frame of every utterance, ascending from 0; or the place of an array of them. */
  segments?: string | ArrayLike<number>;
  /** Speaker of every utterance; or the place of an array, or of a `.json` list. */
  speakers?: string | ArrayLike<Id>;
  /** A table as that of groups, with the columns `utterance_id`, `speaker_id` and `n_frames`, in order. */
  index?: string;
  /** `[frames]`. */
  energy?: string | ChunkedArray;
}

export type CorpusInput = GroupsInput | FramesInput;

/** Frames of all utterances. */
export interface Corpus {
  /** `[frames, features]`. */
  frames: ChunkedArray;
  /** `[frames]`. */
  energy: ChunkedArray | undefined;
  /** Ascending; each has a name of its own. */
  utterances: readonly Utterance[];
  /** What names are, where the input tells. */
  kinds: { speaker: IdKind; utterance: IdKind };
  /** Utterances that were left out, as they have no frames. */
  empty: number;
  /** Closes what was opened for it. */
  close(): Promise<void>;
}

/** A corpus of which all is known but its frames, which may not be readable yet. */
export interface OpenedCorpus extends Corpus {
  /**
   * Finds out which frames these are, and makes them readable.
   *
   * @throws {OutputConflictError} If results are there of what the input was before it changed.
   */
  identify(options: IdentifyOptions): Promise<IdentifiedCorpus>;
}

/** A corpus that can be told from any other. */
export interface IdentifiedCorpus extends Corpus {
  /** Of all that is read. */
  digest: string;
  /** What spares the next run to read all of it for a digest; `undefined` where files do not tell. */
  record: InputRecord | undefined;
  /** @throws {ChunkError} If files that are still to be read have changed. */
  checkUnchanged(): Promise<void>;
}

export interface IdentifyOptions extends ReadOptions {
  /** Where frames of groups are copied to; a copy that is there already is used. */
  copyTo: string;
  /** Copies what is copied already, and looks at no record. */
  overwrite: boolean;
  /** Of an earlier run. */
  record: InputRecord | undefined;
  /** Digest of the input that results are there of. */
  expected: string | undefined;
  /** Told which share of the frames is read, to be copied or to tell whether they have changed. */
  onRead?: (share: number, what: "copy" | "compare") => void;
}
