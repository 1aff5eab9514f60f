/**
 * Files that are written and read at once, without waiting.
 *
 * @module
 */

import type { SyncAccessHandle } from "../store/opfs_files.ts";

/** What a browser's sync access handle can do. */
export type SyncFile = SyncAccessHandle;

/** A file that is being written, unseen until it is whole. */
export interface OutputFile {
  /** Where it will be. */
  place: string;
  file: SyncFile;
  /** Closes it and puts it in its place. */
  finish(): Promise<void>;
  /** Closes and removes it. */
  discard(): Promise<void>;
}
