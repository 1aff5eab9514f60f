/**
 * Opens encodings, and makes decoders of them: encoded once, decoded often.
 *
 * @module
 */

import { checkedFeatures, ClusterlessDecoder } from "./clusterless_decoder.ts";
import type { EncodedOptions } from "./decoder_options.ts";
import { encodedOptions } from "./decoder_options.ts";
import { EnvironmentsDecoder } from "./environments_decoder.ts";
import { checkIntervals, trackingIntervals } from "./exposure.ts";
import type { Grid } from "./grid.ts";
import type { SpikeInput } from "./recording.ts";
import { numberedAs, validateRecording, validateSpikes } from "./recording.ts";
import type { DecodedRecording } from "./recorded_rows.ts";
import { mergeStamps } from "./sorted_spikes.ts";
import { SortedSpikesDecoder } from "./sorted_spikes_decoder.ts";
import { refuseGroups } from "./states.ts";
import type { EncodedWorld } from "./stored_encoding.ts";
import type { Interval } from "./time_grid.ts";

/** An encoding that was stored. All of it is in memory. */
export class StoredEncoding {
  readonly #world: EncodedWorld;

  constructor(world: EncodedWorld) {
    this.#world = world;
  }

  /** Whether spikes are sorted, or have features; `environments` where there are several, of either. */
  get model(): EncodedWorld["model"] {
    return this.#world.model;
  }

  get grid(): Grid {
    return this.#world.grid;
  }

  /** [units] What each unit, or electrode, is called. */
  get unitIds(): readonly number[] {
    return this.#world.unitIds;
  }

  get encoding(): EncodedWorld["encoding"] {
    return this.#world.encoding;
  }

  /**
   * A decoder of other spikes, or of the same ones in other states.
   *
   * @throws {TypeError | RangeError} If spikes are not of the kind that was encoded, a unit was not encoded,
   * features and dimensions are not as many, or states expect an environment or a group that was not encoded.
   */
  decoder(given: EncodedOptions): SortedSpikesDecoder | ClusterlessDecoder | EnvironmentsDecoder {
    const { spikes, position, intervals, ...options } = encodedOptions.check(given);
    const world = this.#world;
    const { grid, unitIds } = world;
    if (world.model !== "environments" && options.states) refuseGroups(options.states);
    const refuse = (is: string, wanted: string): never => {
      throw new RangeError(`Cannot use the spikes: ${is}, wanted ${wanted}`);
    };
    const marks = "features" in spikes ? spikes : undefined;
    const kind = world.model === "environments" ? world.encoding.model : world.model;
    if ((marks === undefined) !== (kind === "sortedSpikes")) {
      refuse(
        marks ? "they have features" : "they have no features",
        marks ? "units, as those that were encoded" : "features, as those that were encoded",
      );
    }
    const lists = !marks && !("times" in spikes);
    if (lists && (spikes as readonly unknown[]).length !== unitIds.length) {
      refuse(
        `there are lists of ${(spikes as readonly unknown[]).length} units`,
        `${unitIds.length}, as many as were encoded`,
      );
    }
    const flat = marks ? { times: marks.times, units: marks.electrodes } : spikes as SpikeInput;
    const recorded = position
      ? validateRecording(position, flat, options)
      : validateSpikes(flat, options);
    const grids = grid.environments?.map((own) => own.grid) ?? [grid];
    const wanted = Math.max(...grids.map(({ track, dimensions }) => track ? 2 : dimensions));
    if ("dimensions" in recorded && recorded.dimensions !== wanted) {
      throw new RangeError(
        `Cannot use the position: it has ${recorded.dimensions} dimensions, wanted ${wanted}, ` +
          "as what was encoded",
      );
    }
    const recording = numberedAs(recorded, unitIds);
    const tracked = trackedOf(recorded, intervals);
    if (world.model === "sortedSpikes") {
      return new SortedSpikesDecoder(recording, grid, { ...world.encoding, ...tracked }, options);
    }
    const features = marks && checkedFeatures(marks, recording);
    const featureCount = featuresOf(world);
    if (features && features.featureCount !== featureCount) {
      refuse(
        `they have ${features.featureCount} features`,
        `${featureCount}, as those that were encoded`,
      );
    }
    if (world.model === "clusterless") {
      const encoding = { ...world.encoding, ...tracked };
      return new ClusterlessDecoder(recording, grid, encoding, options, features!.features);
    }
    const encoding = { ...world.encoding, ...tracked };
    return new EnvironmentsDecoder(recording, grid, encoding, options, features?.features);
  }
}

/** Of a spike, of those that have some. */
function featuresOf({ model, encoding }: EncodedWorld): number | undefined {
  if (model === "clusterless") return encoding.featureCount;
  return model === "environments" && encoding.model === "clusterless"
    ? encoding.parts[0]!.encoding.featureCount
    : undefined;
}

/** Where the animal is tracked in what is decoded: another stretch, perhaps, than the one that was encoded. */
function trackedOf(
  { position, dimensions }: DecodedRecording,
  given: readonly Interval[] | undefined,
): { intervals?: readonly Interval[] } {
  if (given) checkIntervals(given, "use the intervals");
  if (!position || !dimensions) {
    if (!given) return {};
    throw new RangeError(
      "Cannot use the intervals: there is no position, wanted one that is tracked in them",
    );
  }
  return { intervals: given ?? trackingIntervals(mergeStamps(position, dimensions).times) };
}

/**
 * Opens an encoding that `saveEncoding()` stored.
 *
 * @example Decode another stretch, in other states, without where the animal was
 * ```ts
 * const encoding = await decoder.openEncoding("run.encoding.zarr");
 * const model = encoding.decoder({ spikes, states: decoder.contFrag() });
 * await model.smooth(gpu, { time: { start: 3600, stop: 5400 }, out: "sleep.zarr" }).run();
 * ```
 *
 * @throws {ChunkError} If there is none, or a newer version wrote it.
 */
export async function openEncoding(place: string): Promise<StoredEncoding> {
  // pages that only decode do not load it
  const { readEncoding } = await import("./stored_encoding.ts");
  return new StoredEncoding(await readEncoding(place));
}
