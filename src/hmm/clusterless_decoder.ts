/**
 * Decodes position from spikes that no one sorted: from their features, electrode by electrode.
 *
 * @module
 */

import type { MarkEncoding, MarkOptions } from "./clusterless_encoding.ts";
import { encodeMarks } from "./clusterless_encoding.ts";
import type { SaveEncodingOptions } from "./encoding_options.ts";
import type { ClusterlessOptions } from "./decoder_options.ts";
import { saveEncodingOptions } from "./encoding_options.ts";
import { clusterlessOptions } from "./decoder_options.ts";
import type { Grid } from "./grid.ts";
import { gridOf } from "./recording_grid.ts";
import type { EncodedRows, RowsToDecode } from "./observation/encoded_rows.ts";
import { markedRows } from "./observation/encoded_rows.ts";
import type { MarkInput, RecordedSpikes } from "./recording.ts";
import { validateRecording } from "./recording.ts";
import type { DecodedRecording } from "./recorded_rows.ts";
import type { EncodeAgain, ModelChoices } from "./recording_decoder.ts";
import { RecordingDecoder } from "./recording_decoder.ts";
import { isEnough } from "./sorted_spikes.ts";
import { refuseGroups } from "./states.ts";

/**
 * Builds a decoder for spikes with features: kernel density over features and places of the encoded spikes of the
 * same electrode, a marked Poisson process, and the hidden Markov model of {@link sortedSpikes}.
 *
 * Source: Denovellis et al. 2021, and the package non_local_detector (`clusterless_kde`).
 *
 * @throws {TypeError | RangeError} As {@link sortedSpikes} does, and if features are no numbers, or not as many
 * of each spike.
 */
export function clusterless(given: ClusterlessOptions): ClusterlessDecoder {
  const options = clusterlessOptions.check(given);
  if (options.states) refuseGroups(options.states);
  const { times, electrodes } = options.spikes;
  const recording = validateRecording(options.position, { times, units: electrodes }, options);
  const { features, featureCount } = checkedFeatures(options.spikes, recording);
  const grid = gridOf(recording, options);
  const training: MarkOptions = {
    ...recording,
    ...{ grid, features, featureCount },
    positionStd: options.positionStd,
    waveformStd: options.waveformStd,
    ...(options.train && { train: options.train }),
    ...(options.intervals && { intervals: options.intervals }),
    ...(options.minSpeed !== undefined && { minSpeed: options.minSpeed }),
  };
  const decoderOf = (own: MarkOptions): ClusterlessDecoder =>
    new ClusterlessDecoder(recording, grid, encodeMarks(own), options, features, (weightAt) => {
      const weighed = { ...training, weightAt };
      return isEnough(weighed) ? decoderOf(weighed) : undefined;
    });
  return decoderOf(training);
}

/** A decoder of spikes with features, ready to plan. Made by {@link clusterless}. */
export class ClusterlessDecoder extends RecordingDecoder<MarkEncoding> {
  /** [spikes, features] f64, in order of time. */
  readonly #features: Float64Array;

  constructor(
    recording: DecodedRecording,
    grid: Grid,
    encoding: MarkEncoding,
    model: ModelChoices,
    features: Float64Array,
    again?: EncodeAgain,
  ) {
    super(recording, grid, encoding, model, again);
    this.#features = features;
  }

  /**
   * Stores what was learnt of spikes, from which `openEncoding()` makes decoders of others.
   *
   * @throws {OutputConflictError} If the place holds something else.
   */
  async saveEncoding(place: string, given: SaveEncodingOptions = {}): Promise<void> {
    const { grid, encoding, unitIds } = this;
    const options = saveEncodingOptions.check(given);
    const { storeEncoding } = await import("./stored_encoding.ts");
    await storeEncoding(place, { model: "clusterless", grid, encoding, unitIds }, options);
  }

  protected rowsOf(rows: RowsToDecode): EncodedRows {
    return markedRows([this], { ...this.recording.spikes, features: this.#features }, rows);
  }
}

/** Features in the order of the recording's spikes. */
export function checkedFeatures(
  { features, times }: MarkInput,
  { spikes: { order } }: RecordedSpikes,
): { features: Float64Array; featureCount: number } {
  const featureCount = features.length / times.length;
  if (!(Number.isInteger(featureCount) && featureCount >= 1)) {
    throw new RangeError(
      `Cannot use the spikes: ${times.length} times and ${features.length} features, wanted as many of ` +
        "each spike, at least one",
    );
  }
  const values = Float64Array.from({ length: features.length }, (_, i) => {
    const spike = Math.floor(i / featureCount);
    return features[(order?.[spike] ?? spike) * featureCount + i % featureCount]!;
  });
  const wrong = values.findIndex((value) => !(Math.abs(value) <= MOST_FEATURE));
  if (wrong >= 0) {
    const spike = Math.floor(wrong / featureCount);
    throw new RangeError(
      `Cannot use the spikes: feature ${wrong % featureCount} of spike ${
        order?.[spike] ?? spike
      } is ${values[wrong]}, wanted numbers up to ${MOST_FEATURE.toExponential(0)}`,
    );
  }
  return { features: values, featureCount };
}

/** Squares of larger ones, in kernels, have no room in f32. */
const MOST_FEATURE = 1e12;
