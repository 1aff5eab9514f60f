/**
 * Data sets of episodes, as people record them for imitation learning.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import { filePlace } from "../../files/file_place.ts";
import { wantedNames } from "../../math/format.ts";
import { openStore } from "../../store/open_store.ts";
import type { OpenArrayOptions } from "../array.ts";
import { arrayOptions } from "../array.ts";
import type { Segment } from "../window_view.ts";
import { openDemonstrations } from "./demonstrations.ts";
import { openExphil } from "./exphil.ts";
import { openLeRobot } from "./lerobot.ts";
import type { EpisodeParts } from "./parts.ts";

/** A data set that is open. Its arrays have a row for each frame, of all episodes after one another. */
export class Episodes {
  readonly kind: EpisodeParts["kind"];
  readonly place: string;
  readonly frames: number;
  readonly rate: number | undefined;
  /** As `windows()` takes them. */
  readonly segments: readonly Segment[];
  readonly parts: EpisodeParts["parts"];
  readonly tasks: EpisodeParts["tasks"];
  readonly #own: EpisodeParts;

  constructor(place: string, own: EpisodeParts) {
    this.place = place;
    this.kind = own.kind;
    this.frames = own.segments.at(-1)!.end;
    this.rate = own.rate;
    this.segments = own.segments;
    this.parts = own.parts;
    this.tasks = own.tasks;
    this.#own = own;
  }

  /** Names of the arrays that can be read. */
  get names(): string[] {
    return [...this.#own.arrays].filter(([, open]) => typeof open !== "string").map(([name]) =>
      name
    );
  }

  /**
   * Values of frames, [frames, ...].
   *
   * @throws {ChunkError} If there are no such ones, or they are video, pictures or texts.
   */
  async array(name: string): Promise<ChunkedArray> {
    const path = `${this.place}/${name}`;
    const open = this.#own.arrays.get(name);
    if (typeof open === "function") return await open();
    throw new ChunkError(
      `Cannot open "${path}": ${
        open ?? `there is no such array, ${wantedNames(name, this.names)}`
      }`,
      path,
    );
  }

  /** Closes its files; arrays cannot be read any more. */
  async close(): Promise<void> {
    await this.#own.close();
  }
}

/**
 * Opens a data set of episodes: the folder of a LeRobot data set (version 2 or 3), the HDF5 file of robomimic
 * or minari, or a folder of exphil with `embeddings.bin` and `labels.bin`.
 *
 * ```ts
 * const data = await openEpisodes("pusht");
 * const view = windows(
 *   {
 *     observation: await data.array("observation.state"),
 *     action: { values: await data.array("action"), offsets: [0, 1, 2, 3], outside: "zero" },
 *   },
 *   { size: 2, segments: data.segments, pad: { before: 1 } },
 * );
 * ```
 *
 * LeRobot needs the optional package `hyparquet`, HDF5 `h5wasm`.
 *
 * @throws {ChunkError} If there is none, it does not agree with itself, or is of a version that is not known.
 */
export async function openEpisodes(
  place: string,
  options: OpenArrayOptions = {},
): Promise<Episodes> {
  const reading = arrayOptions.check(options);
  const file = filePlace(place);
  if (file) {
    if (file.kind === "hdf5" && file.inside === "") {
      return new Episodes(place, await openDemonstrations(file.file));
    }
    throw new ChunkError(
      `Cannot open "${place}" as episodes: wanted an HDF5 file of robomimic or minari, or a folder`,
      place,
    );
  }
  const store = await openStore(place, reading);
  try {
    if (await store.size("/meta/info.json") !== undefined) {
      return new Episodes(place, await openLeRobot(store));
    }
    if (await store.size("/embeddings.bin") !== undefined) {
      return new Episodes(place, await openExphil(store));
    }
    throw new ChunkError(
      `Cannot open "${place}" as episodes: there is no meta/info.json, as LeRobot has it, and no ` +
        "embeddings.bin, as exphil has it",
      place,
    );
  } catch (error) {
    await store.close();
    throw error;
  }
}
