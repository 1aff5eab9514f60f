/**
 * What spikes with features tell of places: kernel densities over both, by electrode, in f64 on the host.
 *
 * Source: the clusterless KDE models of non_local_detector (Denovellis et al. 2021).
 *
 * @module
 */

import { markEntry, NO_TIME } from "../kernels/mark_intensity.ts";
import type { EncodedPoints, EncodingOptions, Training } from "./sorted_spikes.ts";
import { NO_RATIO, RATE_FLOOR, trainOn } from "./sorted_spikes.ts";
import { binCenter } from "./state_bins.ts";

/** An encoding of spikes with features. */
export interface MarkEncoding
  extends Pick<Training, "exposureSeconds" | "intervals" | "mergedStamps" | "encodingSamples"> {
  /** [interior bins] f64, Hz: spikes a second of all electrodes together; at least 5e-13. */
  ground: Float64Array;
  featureCount: number;
  waveformStd: number;
  encodingSpikes: number;
  /** [features] f64, what kernels take features relative to: they lose digits where they are far from 0. */
  featureMeans: Float64Array;
  /** With features; missing where an earlier version stored it. */
  points?: EncodedPoints;
  /** As `mark_intensity` takes them. */
  tables: {
    /** So many of every electrode each; one at least. */
    blocks: {
      /** [electrodes + 1] */
      electrodeStarts: Uint32Array<ArrayBuffer>;
      /** [encoding spikes, features + 3] */
      encoding: Float32Array<ArrayBuffer>;
    }[];
    /** [interior bins] along each dimension, from the middle of the grid, in kernels. */
    places: Float64Array[];
    /** [interior bins] logarithm of the sum of kernels over the time spent. */
    logTime: Float64Array;
  };
}

/** Encoding spikes of an electrode that a dispatch sums up, at most, and bytes of a block of all electrodes. */
const MOST_BLOCK_SPIKES = 4096;
const MOST_BLOCK_BYTES = 64 * 2 ** 20;

function blockSize(electrodes: number, entry: number): number {
  const fitting = Math.floor(MOST_BLOCK_BYTES / (4 * entry * electrodes));
  return Math.max(1, Math.min(MOST_BLOCK_SPIKES, fitting));
}

/** What is encoded of spikes with features. */
export interface MarkOptions extends EncodingOptions {
  /** [spikes, features] in the order of the spikes. */
  features: Float64Array;
  featureCount: number;
  waveformStd: number;
  /** What features are taken relative to; default: the means of those that are encoded. */
  featureMeans?: Float64Array;
}

/** [features] means of spikes, of all or of some. */
export function meansOf(
  features: Float64Array,
  featureCount: number,
  some: Iterable<number> = Array(features.length / featureCount).keys(),
): Float64Array {
  const sums = new Float64Array(featureCount);
  let count = 0;
  for (const spike of some) {
    count++;
    for (let f = 0; f < featureCount; f++) sums[f]! += features[featureCount * spike + f]!;
  }
  return count === 0 ? sums : sums.map((sum) => sum / count);
}

export function encodeMarks(options: MarkOptions): MarkEncoding {
  const { unitCount, grid, positionStd, features, featureCount, waveformStd } = options;
  const { dimensions } = grid;
  const { density, timeSpent, ...training } = trainOn(options);
  const { spikes, points, exposureSeconds } = training;
  const { spikePlaces: places, spikeWeights: weights } = points;
  const unitOf = (i: number) => points.spikeUnits[i]!;
  const order = Uint32Array.from(spikes.keys()).sort((a, b) => unitOf(a) - unitOf(b) || a - b);
  const placeScale = 1 / (Math.SQRT2 * positionStd);
  const markScale = 1 / (Math.SQRT2 * waveformStd);
  const middle = grid.edges.map((edges) => (edges[0]! + edges.at(-1)!) / 2);
  const entry = markEntry(featureCount);
  const { featureMeans = meansOf(features, featureCount, spikes) } = options;
  const own: number[][] = Array.from({ length: unitCount }, () => []);
  order.forEach((i) => own[unitOf(i)]!.push(i));
  let total = 0;
  order.forEach((i) => {
    density.add(places.subarray(i * dimensions, (i + 1) * dimensions), weights[i]!);
    total += weights[i]!;
  });
  const longest = own.reduce((most, { length }) => Math.max(most, length), 1);
  const blockSpikes = blockSize(unitCount, entry);
  const blocks = Array.from({ length: Math.ceil(longest / blockSpikes) }, (_, block) => {
    const parts = own.map((all) => all.slice(block * blockSpikes, (block + 1) * blockSpikes));
    const electrodeStarts = new Uint32Array(unitCount + 1);
    parts.forEach(({ length }, unit) =>
      electrodeStarts[unit + 1] = electrodeStarts[unit]! + length
    );
    // a binding cannot be empty
    const encoding = new Float32Array(Math.max(1, entry * electrodeStarts[unitCount]!));
    parts.flat().forEach((i, at) => {
      for (let feature = 0; feature < featureCount; feature++) {
        const value = features[featureCount * spikes[i]! + feature]! - featureMeans[feature]!;
        encoding[entry * at + feature] = value * markScale;
      }
      for (let d = 0; d < dimensions; d++) {
        const value = places[i * dimensions + d]! - middle[d]!;
        encoding[entry * at + featureCount + d] = value * placeScale;
      }
      encoding[entry * at + featureCount + 2] = Math.log(weights[i]!);
    });
    return { electrodeStarts, encoding };
  });
  const atSpikes = density.takeInterior();
  const { exposureSeconds: seconds, intervals, mergedStamps, encodingSamples } = training;
  return {
    ...{ exposureSeconds: seconds, intervals, mergedStamps, encodingSamples },
    ground: timeSpent.map((spent, bin) =>
      Math.max(
        RATE_FLOOR,
        spent > 0 ? atSpikes[bin]! / spent : NO_RATIO * total / exposureSeconds,
      )
    ),
    ...{ featureCount, featureMeans, waveformStd, encodingSpikes: spikes.length },
    points: {
      ...points,
      spikeFeatures: Float64Array.from(
        { length: featureCount * spikes.length },
        (_, i) =>
          features[featureCount * spikes[Math.floor(i / featureCount)]! + i % featureCount]!,
      ),
    },
    tables: {
      blocks,
      places: grid.edges.map((_, d) =>
        Float64Array.from(
          grid.interiorIndex,
          (bin) => (binCenter(grid, bin, d) - middle[d]!) * placeScale,
        )
      ),
      logTime: timeSpent.map((spent) => spent > 0 ? Math.log(spent) : NO_TIME),
    },
  };
}

/** Logarithm of what a Gaussian of features integrates to, which is 1 at its middle. */
export function logVolume(featureCount: number, waveformStd: number): number {
  return featureCount * Math.log(waveformStd * Math.sqrt(2 * Math.PI));
}
