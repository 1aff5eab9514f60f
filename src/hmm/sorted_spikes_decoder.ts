/**
 * Decodes position from sorted spikes with a hidden Markov model, out of core.
 *
 * @module
 */

import type { SaveEncodingOptions, SortedSpikesOptions } from "./encoding_options.ts";
import { saveEncodingOptions, sortedSpikesOptions } from "./encoding_options.ts";
import { gridOf } from "./recording_grid.ts";
import type { EncodedRows, RowsToDecode } from "./observation/encoded_rows.ts";
import { sortedRows } from "./observation/encoded_rows.ts";
import type { GlmOptions } from "./glm_encoding.ts";
import { encodePlaceFields } from "./place_fields.ts";
import { validateRecording } from "./recording.ts";
import { RecordingDecoder } from "./recording_decoder.ts";
import type { Encoding } from "./sorted_spikes.ts";
import { isEnough } from "./sorted_spikes.ts";
import { refuseGroups } from "./states.ts";

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
  const decoderOf = (own: GlmOptions): SortedSpikesDecoder => {
    const { encoding, warnings } = encodePlaceFields(own, options);
    const told = { ...recording, warnings: [...recording.warnings, ...warnings] };
    return new SortedSpikesDecoder(told, grid, encoding, options, (weightAt) => {
      const weighed = { ...training, weightAt };
      return isEnough(weighed) ? decoderOf(weighed) : undefined;
    });
  };
  return decoderOf(training);
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

  protected rowsOf(rows: RowsToDecode): EncodedRows {
    return sortedRows([this], this.recording.spikes, rows);
  }
}
