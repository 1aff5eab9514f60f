/**
 * What the pictures of a decoded session are drawn from: the true path at the times of the decode, the
 * posterior along one dimension, and the stretch worth looking at.
 */

import type { decoder } from "sluice";

export type Session = ReturnType<typeof decoder.simulateSession>;
export type Result = decoder.DecodeResult;

/** Cut where the animal counts as running, cm/s. */
const RUNNING_SPEED = 4;

/** Times of all rows, s. */
export async function readTimes(result: Result): Promise<Float64Array> {
  return await result.time.read(0, result.time.shape[0]!);
}

/** True position at each time along each dimension, linear between samples. */
export function truePath(session: Session, times: Float64Array): Float64Array[] {
  return [0, 1].map((dimension) => positionAt(session, times, dimension));
}

function positionAt(session: Session, times: Float64Array, dimension: number): Float64Array {
  const { times: sampled, values } = session.position;
  const at = new Float64Array(times.length);
  let sample = 0;
  times.forEach((time, row) => {
    while (sample < sampled.length - 2 && sampled[sample + 1]! <= time) sample++;
    const share = (time - sampled[sample]!) / (sampled[sample + 1]! - sampled[sample]!);
    const before = values[2 * sample + dimension]!;
    at[row] = before + Math.min(1, Math.max(0, share)) *
        (values[2 * sample + 2 + dimension]! - before);
  });
  return at;
}

/** Median distance between the true and the decoded path while the animal runs. */
export function medianError(
  times: Float64Array,
  truth: Float64Array[],
  means: Float64Array[],
): number {
  const errors: number[] = [];
  for (let row = 1; row < times.length; row++) {
    if (ground(truth, row) / (times[row]! - times[row - 1]!) < RUNNING_SPEED) continue;
    errors.push(Math.hypot(truth[0]![row]! - means[0]![row]!, truth[1]![row]! - means[1]![row]!));
  }
  const sorted = errors.sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** First row of the stretch of so many rows in which the animal covers most ground. */
export function busiestStretch(truth: Float64Array[], shown: number): number {
  const rows = truth[0]!.length;
  let [best, most] = [0, -1];
  for (let start = 0; start + shown <= rows; start += Math.max(1, Math.floor(shown / 4))) {
    let covered = 0;
    for (let row = start + 1; row < start + shown; row++) covered += ground(truth, row);
    if (covered > most) [most, best] = [covered, start];
  }
  return best;
}

/** Distance from the row before. */
function ground(truth: Float64Array[], row: number): number {
  return Math.hypot(
    truth[0]![row]! - truth[0]![row - 1]!,
    truth[1]![row]! - truth[1]![row - 1]!,
  );
}

/** Posterior summed over all but one dimension: `[shown, rows]`, and the edges of its bins. */
export async function marginalPosterior(
  result: Result,
  dimension: number,
  first: number,
  shown: number,
): Promise<{ values: Float64Array; rows: number; low: number; high: number }> {
  const centers = result.binCenters[dimension]!;
  const positions = [...new Set(centers)].sort((a, b) => a - b);
  const placeOf = Uint16Array.from(centers, (center) => positions.indexOf(center));
  const [rows, bins] = [positions.length, result.posterior.shape[1]!];
  const posterior = await result.posterior.read(first, first + shown);
  const values = new Float64Array(shown * rows);
  for (let row = 0; row < shown; row++) {
    for (let bin = 0; bin < bins; bin++) {
      values[row * rows + placeOf[bin]!]! += posterior[row * bins + bin]!;
    }
  }
  const half = (positions[1]! - positions[0]!) / 2;
  return { values, rows, low: positions[0]! - half, high: positions.at(-1)! + half };
}
