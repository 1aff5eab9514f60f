/**
 * Which rows are tokens of which sample, and which of them count: what masks and offsets say.
 *
 * @module
 */

import { binaryOf, shownLabel } from "../math/classification.ts";
import type { NumericArray } from "../types.ts";

/** A mask of 0 and 1, or of booleans. */
export type Mask = NumericArray | readonly (boolean | number)[];

/** Tokens of samples. */
export interface SourceTokens {
  /** `[samples + 1]`: number of the first token of each sample, and of all; padding is none. */
  readonly offsets: Float64Array;
  /** `[tokens]` of 0 and 1: those that count; all of them when not given. */
  readonly detected: Uint8Array | undefined;
  /** Rows of tokens [from, to) of a sample, counted in the sample. */
  stretches(sample: number, from: number, to: number): Iterable<readonly [number, number]>;
}

/** How tokens are told, by whoever has activations with an axis s. */
export interface TokenChoices {
  /** `[samples + 1]`, where samples lie one after the other. */
  offsets?: ArrayLike<number | bigint> | undefined;
  /** `[samples, tokens]`: 1 for tokens, 0 for padding, on whichever side. */
  attentionMask?: Mask | undefined;
  /** `[samples, tokens]`, or `[tokens]` with offsets: 1 for the tokens that count. */
  detectionMask?: Mask | undefined;
}

const ACTION = "collect activations";

/**
 * Of rows `[tokens]`, sample by sample.
 *
 * @throws {RangeError} If offsets do not ascend from 0 to the number of rows, or a mask has another length.
 */
export function raggedTokens(
  rows: number,
  { offsets: given, attentionMask, detectionMask }: TokenChoices,
): SourceTokens {
  if (attentionMask) {
    throw new TypeError(
      `Cannot ${ACTION}: offsets and attentionMask are both given, wanted offsets where samples lie ` +
        "one after the other, attentionMask where they are padded",
    );
  }
  const offsets = Float64Array.from(given as ArrayLike<number>, Number);
  const [first, last] = [offsets[0], offsets.at(-1)];
  if (first !== 0 || last !== rows) {
    throw new RangeError(
      `Cannot ${ACTION}: offsets go from ${first ?? "nothing"} to ${
        last ?? "nothing"
      }, wanted from 0 ` +
        `to the ${rows} tokens`,
    );
  }
  const fall = offsets.findIndex((offset, i) =>
    !Number.isInteger(offset) || (i > 0 && !(offset >= offsets[i - 1]!))
  );
  if (fall >= 0) {
    throw new RangeError(
      `Cannot ${ACTION}: offset ${fall} is ${offsets[fall]} after ${offsets[fall - 1]}, wanted ` +
        "whole numbers that ascend",
    );
  }
  const detected = detectionMask && maskOf(detectionMask, "detectionMask", [rows]);
  return {
    offsets,
    detected,
    stretches: (sample, from, to) => [[offsets[sample]! + from, offsets[sample]! + to]],
  };
}

/**
 * Of rows `[samples, tokens]` that are padded.
 *
 * @throws {RangeError} If a mask has another length, or other values than 0 and 1.
 * @throws {TypeError} If nothing says which tokens are padding.
 */
export function paddedTokens(
  samples: number,
  length: number,
  { attentionMask, detectionMask }: TokenChoices,
): SourceTokens {
  if (!attentionMask && !detectionMask) {
    throw new TypeError(
      `Cannot ${ACTION}: nothing says which of the ${length} tokens of a sample are padding, wanted ` +
        `attentionMask [${samples}, ${length}], or offsets; ones where there is no padding`,
    );
  }
  const shape = [samples, length];
  const real = attentionMask && maskOf(attentionMask, "attentionMask", shape);
  const scored = detectionMask && maskOf(detectionMask, "detectionMask", shape);
  const offsets = new Float64Array(samples + 1);
  for (let sample = 0; sample < samples; sample++) {
    let count = length;
    if (real) {
      count = 0;
      for (let i = sample * length; i < (sample + 1) * length; i++) count += real[i]!;
    }
    offsets[sample + 1] = offsets[sample]! + count;
  }
  return {
    offsets,
    detected: scored && (real ? scored.filter((_, i) => real[i] === 1) : scored),
    *stretches(sample, from, to) {
      const start = sample * length;
      if (!real) {
        yield [start + from, start + to];
        return;
      }
      // tokens follow each other but where padding lies between
      for (let row = start, token = 0; token < to;) {
        while (real[row] !== 1) row++;
        let end = row;
        while (end < start + length && real[end] === 1 && token < to) {
          if (token++ < from) row++;
          end++;
        }
        if (end > row) yield [row, end];
        row = end;
      }
    },
  };
}

/** A mask as bytes of 0 and 1. */
export function maskOf(mask: Mask, name: string, shape: readonly number[]): Uint8Array {
  const length = shape.reduce((product, size) => product * size, 1);
  if (mask.length !== length) {
    throw new RangeError(
      `Cannot ${ACTION}: ${name} has ${mask.length} elements, wanted ${length}, [${
        shape.join(", ")
      }]`,
    );
  }
  return Uint8Array.from({ length }, (_, i) => {
    const value = binaryOf(mask[i]);
    if (value === 0 || value === 1) return value;
    throw new RangeError(
      `Cannot ${ACTION}: ${name}[${i}] is ${shownLabel(mask[i])}, wanted 0 or 1`,
    );
  });
}
