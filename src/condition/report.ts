/**
 * Results as files: JSON, tables, and a page to look at.
 *
 * @module
 */

import { reportPage } from "./page.ts";
import type { ConditionReport } from "./results.ts";
import type { Id } from "./rows.ts";
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
