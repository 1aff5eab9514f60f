/**
 * Which samples make a batch, and in which order an epoch goes through batches: functions of a seed, so that a
 * run that goes on needs to know its epoch alone.
 *
 * @module
 */

import { permutation } from "../feed/order.ts";

/** Samples that the device takes at once: a batch, or a part of one that is too large for that. */
export interface Piece {
  samples: Uint32Array;
  /** As {@link Batch.longest}. */
  longest?: number;
  /** The update it leads to, from 1; not given where it validates. */
  step?: number;
  /** Part of that update's gradient, or of the validation. */
  scale: number;
  /** Whether it goes on with an update, or with the validation. */
  adds: boolean;
  /** Whether an update, or the validation, ends with it. */
  ends: boolean;
}

/** Pieces of every epoch: those that train first, then those that validate. */
export interface Batches {
  readonly rows: number;
  readonly trainingRows: number;
  at(epoch: number, row: number): Piece;
  /** The most that so many pieces after one another may have of something that samples have. */
  most(pieces: number, ofSample: (sample: number) => number): number;
}

// what keeps uses of one seed apart
const STREAMS = { split: 0x5e1, order: 0x5e2, rows: 0x5e3 };

export interface ShuffledOptions {
  seed: number;
  /** Samples of a batch at most. */
  batchSamples: number;
  /** Batches whose gradients make an update together. Default 1. */
  accumulate?: number;
}

export interface LengthOptions extends ShuffledOptions {
  /** Rows of every sample, and those that are read of it. */
  lengthOf(sample: number): number;
  rowsOf(sample: number): number;
  /** Part of the samples that validates: at least one does. */
  validationShare: number;
  /** Samples of a batch times the longest of them, at most; a sample that is longer is a batch. */
  maxPaddedTokens?: number | undefined;
  /** Rows that the device takes at once, at most; a sample with more is taken alone. */
  pieceRows: number;
}

/**
 * Samples of like length together, the longest first. What a batch is made of is the same in every epoch, only
 * the order of batches is drawn anew.
 *
 * @throws {RangeError} If there are fewer samples than two.
 */
export function batchesByLength(count: number, options: LengthOptions, action: string): Batches {
  if (count < 2) {
    throw new RangeError(
      `Cannot ${action}: there is ${count} sample, wanted one to validate and one to train at least`,
    );
  }
  const { seed, batchSamples, validationShare, accumulate = 1 } = options;
  const validating = Math.min(count - 1, Math.max(1, Math.floor(validationShare * count)));
  const { at } = permutation(count, seed, 0, STREAMS.split);
  const drawn = Uint32Array.from({ length: count }, (_, i) => at(i));
  const most = Math.min(batchSamples, count - validating);
  const cut = (samples: Uint32Array) =>
    ofLikeLength(samples, { ...options, batchSamples: most })
      .map((batch) => cutInPieces(batch, options));
  const training = cut(drawn.subarray(validating));
  const held = cut(drawn.subarray(0, validating)).flat();
  const validation = held.map((samples, i) => ({
    samples,
    scale: samples.length / validating,
    adds: i > 0,
    ends: i === held.length - 1,
  }));
  const updates = Math.ceil(training.length / accumulate);
  const inOrder = (epoch: number): Piece[] => {
    const order = permutation(training.length, seed, epoch, STREAMS.order);
    return training.flatMap((_, place) => {
      const batch = training[order.at(place)]!;
      const whole = batch.reduce((sum, { length }) => sum + length, 0);
      return batch.map((samples, i) => ({
        samples,
        step: epoch * updates + Math.floor(place / accumulate) + 1,
        scale: samples.length / whole / accumulate,
        adds: i > 0 || place % accumulate > 0,
        ends: i === batch.length - 1 &&
          ((place + 1) % accumulate === 0 || place === training.length - 1),
      }));
    });
  };
  let known: { epoch: number; pieces: Piece[] } | undefined;
  const trainingRows = training.flat().length;
  return {
    rows: trainingRows + validation.length,
    trainingRows,
    at(epoch, row) {
      if (known?.epoch !== epoch) known = { epoch, pieces: inOrder(epoch) };
      return row < trainingRows ? known.pieces[row]! : validation[row - trainingRows]!;
    },
    most: (pieces, ofSample) =>
      Float64Array.from(
        [...training.flat(), ...held],
        (samples) => samples.reduce((sum, sample) => sum + ofSample(sample), 0),
      ).sort().reverse().subarray(0, pieces).reduce((sum, size) => sum + size, 0),
  };
}

/** Samples by length, the longest first, in batches. */
export function ofLikeLength(
  samples: Uint32Array,
  { lengthOf, batchSamples, maxPaddedTokens = Infinity }: Pick<
    LengthOptions,
    "lengthOf" | "batchSamples" | "maxPaddedTokens"
  >,
): Uint32Array[] {
  // sorting is stable: equal lengths stay as they were drawn
  const sorted = samples.slice().sort((a, b) => lengthOf(b) - lengthOf(a));
  const batches: Uint32Array[] = [];
  for (let start = 0; start < sorted.length;) {
    const longest = lengthOf(sorted[start]!);
    const allowed = longest === 0 ? Infinity : Math.max(1, Math.floor(maxPaddedTokens / longest));
    const end = Math.min(sorted.length, start + Math.min(batchSamples, allowed));
    batches.push(sorted.subarray(start, end));
    start = end;
  }
  return batches;
}

function cutInPieces(
  batch: Uint32Array,
  { rowsOf, pieceRows }: Pick<LengthOptions, "rowsOf" | "pieceRows">,
): Uint32Array[] {
  const pieces: Uint32Array[] = [];
  for (let start = 0; start < batch.length;) {
    let end = start + 1;
    let rows = rowsOf(batch[start]!);
    while (end < batch.length && rows + rowsOf(batch[end]!) <= pieceRows) {
      rows += rowsOf(batch[end++]!);
    }
    pieces.push(batch.subarray(start, end));
    start = end;
  }
  return pieces;
}

/** All samples, which are alike, in an order drawn anew for every epoch; none validates. */
export function shuffledBatches(
  count: number,
  { seed, batchSamples, accumulate = 1 }: ShuffledOptions,
): Batches {
  const rows = Math.ceil(count / batchSamples);
  const updates = Math.ceil(rows / accumulate);
  let known: { epoch: number; at: (position: number) => number } | undefined;
  return {
    rows,
    trainingRows: rows,
    at(epoch, row) {
      if (known?.epoch !== epoch) {
        known = { epoch, at: permutation(count, seed, epoch, STREAMS.rows).at };
      }
      const { at } = known;
      const first = row * batchSamples;
      const length = Math.min(batchSamples, count - first);
      return {
        samples: Uint32Array.from({ length }, (_, i) => at(first + i)),
        step: epoch * updates + Math.floor(row / accumulate) + 1,
        scale: 1 / accumulate,
        adds: row % accumulate > 0,
        ends: (row + 1) % accumulate === 0 || row === rows - 1,
      };
    },
    most: (pieces, ofSample) => Math.min(count, pieces * batchSamples) * ofSample(0),
  };
}
