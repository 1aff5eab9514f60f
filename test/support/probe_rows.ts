/** Rows of which a plane tells two classes apart, more or less, by a seed. */

import { seeded } from "./random.ts";

export interface ProbeRows {
  /** `[rows, features]`. */
  values: Float64Array;
  labels: Uint8Array<ArrayBuffer>;
}

export interface ProbeRowsOptions {
  seed?: number;
  /** Directions that rows deviate in beside noise, the i-th by (1 + i)^-decay. */
  rank?: number;
  decay?: number;
  noise?: number;
  /** Of the log-odds, so that positives get rare. */
  threshold?: number;
  /** Log-odds by the first directions; large ones separate the classes. */
  strength?: number;
  /** Every feature's deviation, from 1e-6 to 1e6, and where they all lie. */
  scales?: boolean;
  offset?: number;
}

export function probeRows(
  rows: number,
  features: number,
  {
    seed = 1,
    rank = 16,
    decay = 1,
    noise = 0.05,
    threshold = 0,
    strength = 2,
    scales = false,
    offset = 0,
  }: ProbeRowsOptions = {},
): ProbeRows {
  const random = seeded(seed);
  const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
  const mix = Float64Array.from({ length: rank * features }, normal);
  const plane = Float64Array.from({ length: rank }, normal);
  const values = new Float64Array(rows * features);
  const labels = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    const own = Float64Array.from({ length: rank }, (_, i) => normal() / (1 + i) ** decay);
    const odds = own.reduce((sum, value, i) => sum + value * plane[i]!, 0);
    labels[row] = Number(strength * odds + 0.5 * normal() > threshold);
    for (let d = 0; d < features; d++) {
      let value = noise * normal();
      for (let i = 0; i < rank; i++) value += own[i]! * mix[i * features + d]!;
      const scale = scales ? 10 ** (12 * d / (features - 1) - 6) : 1;
      values[row * features + d] = offset + value * scale;
    }
  }
  return { values, labels };
}

/** Rows less their mean, over their deviation, by plain loops. */
export function standardized(values: Float64Array, features: number): Float64Array {
  const rows = values.length / features;
  const standard = values.slice();
  for (let d = 0; d < features; d++) {
    const own = Array.from({ length: rows }, (_, row) => values[row * features + d]!);
    // about the first value, lest an offset takes the digits
    const first = own[0]!;
    const mean = own.reduce((sum, value) => sum + (value - first), 0) / rows;
    const squares = own.reduce((sum, value) => sum + (value - first - mean) ** 2, 0);
    const deviation = Math.max(Math.sqrt(squares / rows), 1e-8);
    own.forEach((value, row) => standard[row * features + d] = (value - first - mean) / deviation);
  }
  return standard;
}

/** Distance of numbers from others, of the length of those. */
export function distance(from: ArrayLike<number>, to: ArrayLike<number>): number {
  const length = (vector: ArrayLike<number>) =>
    Math.sqrt(Array.from(vector).reduce((sum, value) => sum + value * value, 0));
  return length(Array.from(to, (value, i) => value - from[i]!)) / length(to);
}
