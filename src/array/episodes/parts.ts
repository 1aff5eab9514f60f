/**
 * What data sets of episodes are made of, whatever their kind.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";
import type { Segment } from "../window_view.ts";

/** What a kind of data set says of itself. */
export interface EpisodeParts {
  kind: "LeRobot" | "robomimic" | "minari" | "exphil";
  /** Frames a second, where that is told. */
  rate: number | undefined;
  /** Where episodes lie among frames, with their ids. */
  segments: readonly Segment[];
  /** Ids of the episodes of each part that the data set names, such as `train` and `valid`. */
  parts: Readonly<Record<string, readonly (number | string)[]>>;
  /** What each episode is about, in words, where that is told. */
  tasks: readonly (readonly string[])[] | undefined;
  /** Arrays of frames, each opened when it is asked for; a text says why one cannot be. */
  arrays: ReadonlyMap<string, (() => Promise<ChunkedArray>) | string>;
  close(): Promise<void> | void;
}
