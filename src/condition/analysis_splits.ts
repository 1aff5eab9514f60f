/**
 * The rows of an analysis by split: those that all lags have, and which slices they are looked at in.
 *
 * @module
 */

import type { ReadOptions } from "../array/array.ts";
import type { Settings, SliceName } from "./config.ts";
import type { Slices } from "./diagnose.ts";
import { mostRowsOfSpeaker } from "./diagnose.ts";
import type { AnalysisSizes } from "./host_memory.ts";
import type { Corpus } from "./inputs.ts";
import type { Rows, Utterance } from "./rows.ts";
import { countFrames, countRows } from "./rows.ts";
import { medianEnergy, sliceRows } from "./slices.ts";
import { splitSpeakers } from "./splits.ts";

export const SPLIT_NAMES = ["train", "holdout", "eval"] as const;
export type SplitName = typeof SPLIT_NAMES[number];

/** A split as the models and the diagnostics want it. */
export interface Split extends Rows {
  utterances: Utterance[];
}

export interface AnalysisSplits {
  train: Split;
  holdout: Split;
  eval: Split;
  /** Those that have rows. */
  present: readonly SplitName[];
  slices: readonly SliceName[];
  /** Utterances that are too short. */
  short: number;
}

/** @throws {RangeError} If there is nothing to analyse. */
export function splitCorpus(settings: Settings, corpus: Corpus): AnalysisSplits {
  const { window, lags, minSeconds, frameRate = 1 } = settings;
  const { energy, frames, kinds } = corpus;
  if (settings.slices?.includes("high_energy") && !energy) {
    throw new RangeError(
      "Cannot slice by energy: the input has none, wanted energy of every frame",
    );
  }
  const mostLag = Math.max(...lags);
  // the same rows for all lags
  const firstTarget = Math.max(window - 1 + mostLag, 1);
  const utterances = corpus.utterances.filter(({ start, end }) =>
    (end - start) / frameRate >= minSeconds
  );
  const short = corpus.utterances.length - utterances.length;
  if (utterances.length === 0) {
    throw new RangeError(
      `Cannot analyse: all ${short} utterances are shorter than ${minSeconds} s at ${frameRate} frames ` +
        "a second",
    );
  }
  const { seed, shuffle, trainShare, holdout, speakers } = settings;
  const own = splitSpeakers(utterances, {
    ...{ seed, shuffle, trainShare, holdout, kinds },
    ...(speakers && { speakers }),
  });
  const split = (name: SplitName): Split => ({ frames, utterances: own[name], firstTarget });
  const splits = { train: split("train"), holdout: split("holdout"), eval: split("eval") };
  for (const name of ["train", "eval"] as const) {
    if (countRows(splits[name]) > 0) continue;
    throw new RangeError(
      `Cannot analyse ${name}: none of its ${own[name].length} utterances has more than ` +
        `${firstTarget} frames, wanted ${window} of context and ${mostLag} of lag before a target`,
    );
  }
  return {
    ...splits,
    present: SPLIT_NAMES.filter((name) => countRows(splits[name]) > 0),
    slices: settings.slices ?? ["all", ...energy ? ["high_energy" as const] : [], "medial"],
    short,
  };
}

/** What memory follows of. */
export function sizesOf(splits: AnalysisSplits, settings: Settings): AnalysisSizes {
  const present = splits.present.map((name) => splits[name]);
  const most = (counts: number[]) => Math.max(...counts);
  const isHigh = splits.slices.includes("high_energy");
  return {
    allRows: present.reduce((sum, split) => sum + countRows(split), 0),
    rows: most(present.map(countRows)),
    trainRows: countRows(splits.train),
    speakerRows: most(present.map(mostRowsOfSpeaker)),
    dims: splits.train.frames.shape[1]!,
    slices: splits.slices.filter((name) => name !== "all").length,
    energies: isHigh
      ? most([...present.map(countRows), countFrames(medianRows(splits, settings).utterances)])
      : 0,
    minClusterSize: settings.minClusterSize,
  };
}

/** Slices of every split that has rows. */
export async function sliceSplits(
  splits: AnalysisSplits,
  settings: Settings,
  { energy }: Pick<Corpus, "energy">,
  options: ReadOptions,
): Promise<Partial<Record<SplitName, Slices>>> {
  const over = settings.energyMedian;
  const high = splits.slices.includes("high_energy")
    ? {
      array: energy!,
      median: await medianEnergy(
        { ...medianRows(splits, settings), frames: energy! },
        over,
        options,
      ),
    }
    : undefined;
  const found: Partial<Record<SplitName, Slices>> = {};
  for (const name of splits.present) {
    found[name] = await sliceRows(splits[name], splits.slices, high, options);
  }
  return found;
}

/** Whose median energy is taken: held out or not, they are frames of train speakers. */
function medianRows({ train, holdout }: AnalysisSplits, { energyMedian }: Settings): Split {
  return energyMedian === "rows"
    ? train
    : { ...train, utterances: [...train.utterances, ...holdout.utterances] };
}
