/**
 * Speakers apart: those that models are fitted to, and others.
 *
 * @module
 */

import { Pcg64 } from "../math/pcg64.ts";
import type { Utterance } from "./rows.ts";

/** Utterances by split, ascending. */
export interface Splits {
  train: Utterance[];
  /** Of train speakers, and not fitted to. */
  holdout: Utterance[];
  /** Of other speakers. */
  eval: Utterance[];
}

export interface SplitOptions {
  seed: number;
  /** Share of the speakers that are train, rounded down. */
  trainShare: number;
  /** Share of their utterances that are held out, rounded down. */
  holdout: number;
  /** Speakers of both splits, instead of a share. */
  speakers?: { train: readonly string[]; eval: readonly string[] } | undefined;
}

/**
 * Splits utterances by speaker: speakers sorted, permuted as `numpy.random.default_rng(seed)` permutes,
 * the first of them train. Held out are the first of the train utterances, permuted by a generator of the
 * same seed.
 *
 * @throws {RangeError} If train or eval are left without speakers.
 */
export function splitSpeakers(
  utterances: readonly Utterance[],
  { seed, trainShare, holdout, speakers }: SplitOptions,
): Splits {
  const all = [...new Set(utterances.map(({ speaker }) => speaker))].sort();
  const drawn = new Pcg64(seed).shuffle(all.slice());
  const count = Math.floor(trainShare * all.length);
  const train = new Set(speakers?.train ?? drawn.slice(0, count));
  const evaluation = new Set(speakers?.eval ?? drawn.slice(count));
  const unknown = [...train, ...evaluation].find((speaker) => !all.includes(speaker));
  if (unknown !== undefined) {
    throw new RangeError(`Cannot split speakers: there is no utterance of "${unknown}"`);
  }
  if (train.size === 0 || evaluation.size === 0) {
    throw new RangeError(
      `Cannot split speakers: of ${all.length} speakers ${train.size} are train and ` +
        `${evaluation.size} eval, wanted at least one of each`,
    );
  }
  const own = utterances.filter(({ speaker }) => train.has(speaker));
  const order = new Pcg64(seed).shuffle([...own.keys()]);
  const held = new Set(order.slice(0, Math.floor(holdout * own.length)));
  return {
    train: own.filter((_, i) => !held.has(i)),
    holdout: own.filter((_, i) => held.has(i)),
    eval: utterances.filter(({ speaker }) => evaluation.has(speaker)),
  };
}
