/** The real recording on a linear track: how it is decoded, and how far off the result is. */

import { expect } from "vitest";
import type { Gpu } from "../../src/gpu/device.ts";
import type { DecodeOptions, DecodeResult } from "../../src/hmm/decoder.ts";
import { contFrag, continuous, posteriorMean, sortedSpikes } from "../../src/hmm/decoder.ts";
import { smoothedSpeed } from "../../src/hmm/sorted_spikes.ts";
import { largestDifference } from "./hmm_problem.ts";
import type { TestRecording } from "./recordings.ts";

/** Pixels per second above which the animal counts as running, in encoding and in scoring. */
const RUNNING = 20;

export interface TrackCase {
  name: string;
  preset: "continuous" | "contFrag";
  step: number;
  movementVar: number;
  /** Median distance of the smoothed mean from the running animal that must be met, pixels. */
  mostPixels: number;
}

export const TRACK_CASES: readonly TrackCase[] = [
  {
    name: "continuous at 20 ms",
    preset: "continuous",
    step: 0.02,
    movementVar: 144,
    mostPixels: 30,
  },
  { name: "contFrag at 20 ms", preset: "contFrag", step: 0.02, movementVar: 144, mostPixels: 35 },
  {
    name: "continuous at 2 ms",
    preset: "continuous",
    step: 0.002,
    movementVar: 36,
    mostPixels: 45,
  },
];

export function trackDecoder(recording: TestRecording, { preset, movementVar }: TrackCase) {
  const states = preset === "continuous" ? continuous({ movementVar }) : contFrag({ movementVar });
  return sortedSpikes({
    ...recording,
    states,
    binSize: 6,
    positionStd: 12,
    minSpeed: RUNNING,
  });
}

export async function decodeTrack(
  gpu: Gpu,
  recording: TestRecording,
  track: TrackCase,
  options: DecodeOptions,
): Promise<DecodeResult> {
  const time = { step: track.step, ...options.time };
  return await trackDecoder(recording, track).smooth(gpu, { ...options, time }).run();
}

/** Largest difference between the posteriors of two decodes of the same rows, a chunk at a time. */
export async function posteriorDifference(one: DecodeResult, other: DecodeResult): Promise<number> {
  const [rows] = one.posterior.shape as [number];
  let largest = 0;
  for (let start = 0; start < rows; start += one.posterior.chunkRows) {
    const end = Math.min(rows, start + one.posterior.chunkRows);
    const [a, b] = await Promise.all(
      [one, other].map(({ posterior }) => posterior.read(start, end) as Promise<Float32Array>),
    );
    largest = Math.max(largest, largestDifference(a!, b!));
  }
  return largest;
}

/** Start of the stretch of so many seconds in which most spikes fell while the animal ran. */
export function runningStretch({ position, spikes }: TestRecording, seconds: number): number {
  const speed = smoothedSpeed(position.times, position.values, 2);
  let sample = 0;
  const running = spikes.times.filter((time) => {
    while (sample < position.times.length - 1 && position.times[sample + 1]! <= time) sample++;
    return speed[sample]! > RUNNING;
  });
  let best = running[0]!;
  let most = 0;
  let last = 0;
  running.forEach((time, first) => {
    while (last < running.length && running[last]! < time + seconds) last++;
    if (last - first > most) [most, best] = [last - first, time];
  });
  return best;
}

/** Median distance between the posterior mean and the animal while it runs, pixels. */
export async function medianError(
  { position }: TestRecording,
  result: DecodeResult,
): Promise<{ pixels: number; rows: number }> {
  const { times, values } = position;
  const speed = smoothedSpeed(times, values, 2);
  const [meanX, meanY] = await posteriorMean(result) as [Float64Array, Float64Array];
  const rows = await result.time.read(0, result.time.shape[0]!) as Float64Array;
  const distances: number[] = [];
  let sample = 0;
  rows.forEach((time, row) => {
    while (sample < times.length - 2 && times[sample + 1]! <= time) sample++;
    if (!(speed[sample]! > RUNNING)) return;
    const seconds = times[sample + 1]! - times[sample]!;
    const share = seconds > 0 ? Math.min(1, (time - times[sample]!) / seconds) : 0;
    const at = (d: number) => {
      const before = values[2 * sample + d]!;
      return before + share * (values[2 * sample + 2 + d]! - before);
    };
    distances.push(Math.hypot(at(0) - meanX[row]!, at(1) - meanY[row]!));
  });
  distances.sort((a, b) => a - b);
  return { pixels: distances[distances.length >> 1] ?? NaN, rows: distances.length };
}

/** Probabilities of so many rows, evenly spread: what runtimes are compared by. */
export async function sampleRows({ posterior }: DecodeResult, count: number): Promise<number[]> {
  const rows = posterior.shape[0]!;
  const sample: number[] = [];
  for (let i = 0; i < count; i++) {
    const row = Math.floor(i * (rows - 1) / Math.max(1, count - 1));
    sample.push(...await posterior.read(row, row + 1) as Float32Array);
  }
  return sample;
}

/** Largest deviation of a row's sum from 1, over all rows, one chunk at a time. */
export async function worstRowSum({ posterior }: DecodeResult): Promise<number> {
  const [rows, width] = posterior.shape as [number, number];
  let worst = 0;
  for (let start = 0; start < rows; start += posterior.chunkRows) {
    const end = Math.min(rows, start + posterior.chunkRows);
    const values = await posterior.read(start, end) as Float32Array;
    for (let row = 0; row < end - start; row++) {
      let sum = 0;
      for (let bin = 0; bin < width; bin++) sum += values[row * width + bin]!;
      const off = Math.abs(sum - 1);
      if (!(off <= worst)) worst = off;
    }
  }
  return worst;
}

/**
 * Decodes in several numbers of lanes, and holds each against one lane: posterior within 2e-5,
 * log-likelihood within 1e-5 a lane.
 */
export async function expectLanesAgree(
  gpu: Gpu,
  recording: TestRecording,
  track: TrackCase,
  counts: readonly number[],
  options: (lanes: number) => DecodeOptions,
): Promise<void> {
  const decode = (lanes: number) =>
    decodeTrack(gpu, recording, track, { ...options(lanes), lanes });
  const alone = await decode(1);
  for (const count of counts) {
    const result = await decode(count);
    const { lanes } = result;
    const difference = await posteriorDifference(alone, result);
    const nats = Math.abs(result.marginalLogLikelihood - alone.marginalLogLikelihood);
    console.log(
      `${track.name}, ${lanes.count} lanes of ${lanes.rows} rows, burn-in ${lanes.burnInRows}: ` +
        `posterior within ${difference.toExponential(1)}, log-likelihood within ` +
        `${nats.toExponential(1)}, largest distance ${lanes.largestDistance.toExponential(1)}, ` +
        `${lanes.redoneRows} rows run again, ${result.seconds.total!.toFixed(1)} s; one lane ` +
        `${alone.seconds.total!.toFixed(1)} s`,
    );
    expect(lanes.largestDistance).toBeLessThanOrEqual(1e-5);
    expect(difference).toBeLessThanOrEqual(2e-5);
    expect(nats).toBeLessThanOrEqual(lanes.count * 1e-5);
    await result.close();
  }
  await alone.close();
}
