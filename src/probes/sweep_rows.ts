/**
 * What a sweep says of a probe: how well its logits rank samples that it has not seen, or why it cannot be said.
 *
 * @module
 */

import { auroc, averagePrecision, partialAuroc, recallAtFpr } from "../math/classification.ts";
import { formatTable } from "../math/format.ts";
import type { LabelColumn } from "./labels.ts";
import type { SweepJob } from "./sweep_jobs.ts";

/** A probe of a sweep. Metrics are of samples it has not seen, by logits; `null` where one class is missing. */
export interface SweepRow {
  layer: number | string;
  kind: string;
  /** As they were given. */
  options: Record<string, unknown>;
  label: string;
  auroc: number | null;
  averagePrecision: number | null;
  /** At a rate of false positives of 5 %. */
  recall: number | null;
  /** Up to a rate of false positives of 10 %: 0.5 for chance. */
  partialAuroc: number | null;
  /** Why there are no metrics, if there are none. */
  reason: string | null;
}

const NO_METRICS = { auroc: null, averagePrecision: null, recall: null, partialAuroc: null };

/**
 * Rows of all probes of a job, column by column.
 *
 * @param test Samples that were kept from the probes.
 * @param logits `[test, columns, members]`; none where no probe was fitted.
 */
export function rowsOf(
  layer: number | string,
  { kind, members }: Pick<SweepJob, "kind" | "members">,
  { columns, test, reasons, logits }: {
    columns: readonly LabelColumn[];
    test: Uint32Array;
    reasons: readonly (string | null)[];
    logits: Float32Array;
  },
): SweepRow[] {
  const probes = columns.length * members.length;
  return columns.flatMap(({ name, values }, column) => {
    const wanted = Uint8Array.from(test, (sample) => values[sample]!);
    return members.map((options, member): SweepRow => {
      const k = column * members.length + member;
      const scores = Float32Array.from(wanted, (_, i) => logits[i * probes + k] ?? NaN);
      const facts = { layer, kind, options, label: name };
      const reason = reasons[k] ?? missingClass(wanted) ?? lostLogit(scores, test);
      if (reason) return { ...facts, ...NO_METRICS, reason };
      return {
        ...facts,
        auroc: auroc(wanted, scores),
        averagePrecision: averagePrecision(wanted, scores),
        recall: recallAtFpr(wanted, scores),
        partialAuroc: partialAuroc(wanted, scores)?.mcclish ?? null,
        reason: null,
      };
    });
  });
}

function missingClass(labels: Uint8Array): string | null {
  const [first] = labels;
  return labels.some((label) => label !== first)
    ? null
    : `all ${labels.length} labels of the test are ${first}`;
}

function lostLogit(scores: Float32Array, test: Uint32Array): string | null {
  const lost = scores.findIndex((score) => !Number.isFinite(score));
  return lost < 0 ? null : `the logit of sample ${test[lost]} is beyond what f32 holds`;
}

/** A table of rows for people. */
export function formatSweep({ rows }: { rows: readonly SweepRow[] }): string {
  const show = (value: number | null) => value === null ? "" : value.toFixed(4);
  return formatTable([
    ["layer", "kind", "options", "label", "AUROC", "partial", "recall", "precision", "why not"],
    ...rows.map((row) => [
      String(row.layer),
      row.kind,
      Object.entries(row.options).map(([key, value]) => `${key} ${value}`).join(", "),
      row.label,
      ...[row.auroc, row.partialAuroc, row.recall, row.averagePrecision].map(show),
      row.reason ?? "",
    ]),
  ]);
}
