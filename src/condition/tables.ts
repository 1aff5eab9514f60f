/**
 * Results as tables.
 *
 * @module
 */

import type { Diagnosis, SpeakerNumbers } from "./diagnose.ts";
import type { ClusterStatistics } from "./moments.ts";
import type { ConditionReport, ConditionResult } from "./results.ts";

/** Splits that a result has, by name. */
export function splitsOf(
  { train, holdout, eval: evaluation }: ConditionResult,
): [string, Diagnosis][] {
  return [["train", train], ...holdout ? [["holdout", holdout] as [string, Diagnosis]] : [], [
    "eval",
    evaluation,
  ]];
}

const STATISTICS = [
  "rows",
  "clusters",
  "ratio",
  "expectedRatio",
  "entropy",
  "conditionalEntropy",
  "reductionNats",
  "reduction",
] as const;
/** As columns are named in Python. */
const COLUMNS = STATISTICS.map((name) =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
);

/** Of every speaker that counts once; empty where there are none to tell of. */
const SPEAKER_COLUMNS = ["speakers", "speaker_mean", "speaker_std", "speaker_low", "speaker_high"];

/** `tables.csv`: every slice of every split. */
export function sliceTable(results: readonly ConditionResult[]): string {
  const rows = results.flatMap((result) =>
    splitsOf(result).flatMap(([split, diagnosis]) =>
      slicesOf(diagnosis).map(({ slice, statistics, numbers }) => {
        const ratio = numbers?.acrossSpeakers.ratio;
        return [
          result.lag,
          result.condition,
          split,
          slice,
          ...STATISTICS.map((name) => statistics[name]),
          ...ratio
            ? [ratio.count, ratio.mean, ratio.std, ratio.low, ratio.high]
            : Array(5).fill(""),
        ];
      })
    )
  );
  const columns = ["lag", "condition", "split", "slice", ...COLUMNS, ...SPEAKER_COLUMNS];
  return csv([columns, ...rows]);
}

/** Slices of a split with their speakers, and the control, which has none. */
export function slicesOf({ slices, control, speakerSlices, ...all }: Diagnosis): {
  slice: string;
  statistics: ClusterStatistics;
  numbers: SpeakerNumbers | undefined;
}[] {
  const own = Object.entries(slices).map(([slice, statistics]) => ({
    slice,
    statistics,
    numbers: slice === "all" ? all : speakerSlices[slice],
  }));
  return [...own, { slice: "permuted", statistics: control, numbers: undefined }];
}

/** `speakers.csv`: every speaker of every slice. */
export function speakerTable(results: readonly ConditionResult[]): string {
  const rows = results.flatMap((result) =>
    splitsOf(result).flatMap(([split, diagnosis]) =>
      slicesOf(diagnosis).flatMap(({ slice, numbers }) =>
        (numbers?.speakers ?? []).map(({ speaker, ...statistics }) => [
          result.lag,
          result.condition,
          split,
          slice,
          speaker,
          ...STATISTICS.map((name) => statistics[name]),
        ])
      )
    )
  );
  return csv([["lag", "condition", "split", "slice", "speaker", ...COLUMNS], ...rows]);
}

function csv(rows: readonly (readonly (string | number)[])[]): string {
  const field = (value: string | number) => {
    // spreadsheets run what looks like a formula; a name that begins with the mark gets a second one
    const isText = typeof value === "string" && /^['=+\-@\t\r]/.test(value);
    const text = isText ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(field).join(",")}\n`).join("");
}

/** What was left out, if anything: `, less 3 without frames and 2 that are too short`. */
export function describeSkipped({ empty, short }: ConditionReport["skipped"]): string {
  const parts = [
    ...empty > 0 ? [`${empty} without frames`] : [],
    ...short > 0 ? [`${short} that are too short`] : [],
  ];
  return parts.length > 0 ? `, less ${parts.join(" and ")}` : "";
}
