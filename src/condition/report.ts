/**
 * Results as files: JSON, tables, and a page to look at.
 *
 * @module
 */

import type { AnalysisSplits, Split } from "./analysis_splits.ts";
import type { Settings } from "./config.ts";
import type { Corpus } from "./inputs.ts";
import { reportPage } from "./page.ts";
import type { ConditionReport, ConditionResult, SplitSize } from "./results.ts";
import type { Id, IdKind, Utterance } from "./rows.ts";
import { countRows } from "./rows.ts";
import { sliceTable, speakerTable } from "./tables.ts";

/** JSON with the numbers it has no words for as texts, `"NaN"` and `"Infinity"`, as zarr writes them. */
export function stringifyNumbers(value: unknown): string {
  const replace = (_: string, item: unknown) =>
    typeof item === "number" && !Number.isFinite(item) ? String(item) : item;
  return JSON.stringify(value, replace, 2);
}

/** What {@link stringifyNumbers} wrote. */
export function parseNumbers(text: string): unknown {
  const isNumber = (key: string, item: unknown) =>
    key !== "speaker" && (item === "NaN" || item === "Infinity" || item === "-Infinity");
  return JSON.parse(text, (key, item) => isNumber(key, item) ? Number(item) : item);
}

/** Files that tell the results. */
export const RESULT_FILES = [
  "metrics.json",
  "tables.csv",
  "speakers.csv",
  "decision.json",
  "splits.json",
  "report.html",
] as const;

/** Contents of the files that tell the results, by name. */
export function describeResults(
  report: ConditionReport,
  splits: Record<string, Id[]>,
): Record<typeof RESULT_FILES[number], string> {
  const decision = {
    passed: report.passed,
    conditions: report.results.map(({ lag, condition, passed, checks }) => ({
      lag,
      condition,
      passed,
      checks,
    })),
  };
  return {
    "metrics.json": stringifyNumbers(report),
    "tables.csv": sliceTable(report.results),
    "speakers.csv": speakerTable(report.results),
    "decision.json": stringifyNumbers(decision),
    "splits.json": JSON.stringify(splits, undefined, 2),
    "report.html": reportPage(report),
  };
}

/** All results, with what they are of. */
export function reportOf(
  results: readonly ConditionResult[],
  settings: Settings,
  { frames, utterances, empty }: Corpus,
  { train, holdout, eval: evaluation, slices, short }: AnalysisSplits,
): ConditionReport {
  const size = ({ utterances, ...rows }: Split): SplitSize => ({
    speakers: new Set(utterances.map(({ speaker }) => speaker)).size,
    utterances: utterances.length,
    rows: countRows({ utterances, ...rows }),
  });
  // who is in which split is told by itself
  const { input: _, out: __, speakers: ___, holdout: held, ...told } = settings;
  const { window, lags, conditions, ...others } = told;
  return {
    passed: results.some(({ passed }) => passed),
    frames: frames.shape[0]!,
    features: frames.shape[1]!,
    utterances: utterances.length,
    skipped: { empty, short },
    splits: { train: size(train), holdout: size(holdout), eval: size(evaluation) },
    settings: {
      window,
      lags,
      conditions,
      slices,
      ...others,
      ...(typeof held === "number" && { holdout: held }),
    },
    results: [...results],
  };
}

/** Speakers of every split, and the utterances that are held out, as a configuration would name them. */
export function splitNames(
  { kinds: { speaker, utterance } }: Corpus,
  { train, holdout, eval: evaluation }: AnalysisSplits,
): Record<string, Id[]> {
  const own = (kind: IdKind, name: string) =>
    kind === "number" && Number.isSafeInteger(Number(name)) ? Number(name) : name;
  const speakers = (utterances: readonly Utterance[]) =>
    [...new Set(utterances.map(({ speaker }) => speaker))].sort()
      .map((name) => own(speaker, name));
  return {
    train_speakers: speakers([...train.utterances, ...holdout.utterances]),
    eval_speakers: speakers(evaluation.utterances),
    holdout_utterances: holdout.utterances.map(({ id }) => own(utterance, id)),
  };
}
