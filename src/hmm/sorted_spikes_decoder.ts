/**
 * Decodes position from sorted spikes with a hidden Markov model, out of core.
 *
 * @module
 */

import type { SaveEncodingOptions, SortedSpikesOptions } from "./decode_options.ts";
import { saveEncodingOptions, sortedSpikesOptions } from "./decode_options.ts";
import { encodeByGlm } from "./glm_encoding.ts";
import { gridOf } from "./recording_grid.ts";
import { localFittedRows, localSortedRows } from "./observation/local.ts";
import { poissonObservation, poissonRows } from "./observation/poisson.ts";
import { validateRecording } from "./recording.ts";
import type { RowSpikes } from "./recording_decoder.ts";
import { RecordingDecoder } from "./recording_decoder.ts";
import type { Encoding } from "./sorted_spikes.ts";
import { encodeSortedSpikes, rateTable } from "./sorted_spikes.ts";
import { refuseGroups } from "./states.ts";
import type { TimeGrid } from "./time_grid.ts";
import { binSpikes, rowSeconds } from "./time_grid.ts";

/**
 * Builds a decoder for sorted spikes: place fields by kernel density or fitted, Poisson spikes, a hidden Markov
 * model over position bins and discrete states. Everything here happens on the host in f64.
 *
 * Source: Denovellis et al. 2021, and the package non_local_detector.
 *
 * @throws {TypeError | RangeError} If the recording is not what the fields say, stamps are too coarse, or
 * position and spikes are on different clocks; the message names the entry, or both ranges and a remedy.
 */
export function sortedSpikes(given: SortedSpikesOptions): SortedSpikesDecoder {
  const options = sortedSpikesOptions.check(given);
  if (options.states) refuseGroups(options.states);
  const recording = validateRecording(options.position, options.spikes, options);
  const grid = gridOf(recording, options);
  const training = {
    ...recording,
    grid,
    positionStd: options.positionStd,
    ...(options.train && { train: options.train }),
    ...(options.intervals && { intervals: options.intervals }),
    ...(options.minSpeed !== undefined && { minSpeed: options.minSpeed }),
  };
  const { placeFields, knotSpacing, fieldPenalty: penalty } = options;
  if (placeFields === "kde") {
    const stray = knotSpacing !== undefined ? "knotSpacing" : penalty && "fieldPenalty";
    if (stray) {
      throw new RangeError(
        `Cannot make a decoder: ${stray} is for placeFields "glm", and they are "kde", wanted "glm" or none of it`,
      );
    }
    return new SortedSpikesDecoder(recording, grid, encodeSortedSpikes(training), options);
  }
  const { warnings, ...encoding } = encodeByGlm({
    ...training,
    ...(knotSpacing !== undefined && { knotSpacing }),
    ...(penalty !== undefined && { penalty }),
  });
  const told = { ...recording, warnings: [...recording.warnings, ...warnings] };
  return new SortedSpikesDecoder(told, grid, encoding, options);
}

/** A decoder of sorted spikes, ready to plan. Made by {@link sortedSpikes}. */
export class SortedSpikesDecoder extends RecordingDecoder<Encoding> {
  /**
   * Stores the place fields, from which `openEncoding()` makes decoders of other spikes.
   *
   * @throws {OutputConflictError} If the place holds something else.
   */
  async saveEncoding(place: string, given: SaveEncodingOptions = {}): Promise<void> {
    const { grid, encoding, unitIds } = this;
    const options = saveEncodingOptions.check(given);
    const { storeEncoding } = await import("./stored_encoding.ts");
    await storeEncoding(place, { model: "sortedSpikes", grid, encoding, unitIds }, options);
  }

  protected spikesOf(time: TimeGrid, missing: Uint8Array | undefined): RowSpikes {
    const rates = rateTable(this.encoding, rowSeconds(time));
    const spikes = binSpikes(this.recording.spikes, time, missing);
    const bins = this.grid.interiorIndex.length;
    return {
      spikes,
      observationOf: (lanes, recursion) =>
        poissonObservation(rates, { spikes, time, lanes, recursion, bins }),
      logRows: () => poissonRows(rates, spikes, bins),
      localRows: (path) =>
        this.encoding.glm
          ? localFittedRows(this.encoding.glm, { spikes, time, path })
          : localSortedRows(this.encoding, { spikes, time, path }),
    };
  }
}
