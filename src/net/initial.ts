/**
 * What parameters begin with, drawn from a seed: the same numbers in every runtime.
 *
 * @module
 */

import type { Random } from "../math/random.ts";
import type { Parameter } from "./value.ts";

type Shape = Pick<Parameter, "shape">;

export const constant = ({ shape }: Shape, value: number): Float32Array<ArrayBuffer> =>
  new Float32Array(elements(shape)).fill(value);

/** Normal, so that values keep their variance on their way there and back. */
export function xavierNormal({ shape }: Shape, random: Random, gain = 1) {
  const deviation = gain * Math.sqrt(2 / (shape[0]! + shape[1]!));
  return Float32Array.from({ length: elements(shape) }, () => deviation * random.normal());
}

export function xavierUniform({ shape }: Shape, random: Random) {
  return uniform({ shape }, random, Math.sqrt(6 / (shape[0]! + shape[1]!)));
}

/** Between -bound and bound. */
export function uniform({ shape }: Shape, random: Random, bound: number) {
  return Float32Array.from({ length: elements(shape) }, () => bound * (2 * random.uniform() - 1));
}

/** Normal, of mean 0 and variance 1. */
export function standardNormal({ shape }: Shape, random: Random) {
  return Float32Array.from({ length: elements(shape) }, () => random.normal());
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
