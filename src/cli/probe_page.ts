/**
 * The page of a sweep: which layer knows it, by which kind of probe.
 *
 * @module
 */

import type { SweepResult, SweepRow } from "../probes/sweep.ts";
import type { Color } from "../view/style.ts";
import { dots } from "../view/dots.ts";
import { drawChart } from "../view/chart.ts";
import { level, line } from "../view/lines.ts";
import type { Mark } from "../view/chart.ts";
import { drawPage } from "../view/page.ts";

const COLORS = 6;

/** @param source Where activations came from. */
export function drawSweep({ rows, test }: SweepResult, source: string): string {
  // a column without both classes has no numbers
  const known = rows.filter(({ auroc }) => auroc !== null);
  const labels = [...new Set(known.map(({ label }) => label))];
  const show = (value: number | null) => value === null ? "" : value.toFixed(4);
  return drawPage({
    title: "Which layer knows it?",
    sections: [
      {
        text: [
          `Probes of ${source}. Every number is of ${test.length} samples that no probe was fitted on, by logits: AUROC is the ` +
          "share of pairs that are ranked right, 0.5 for chance.",
        ],
        figures: labels.map((label) => ({
          caption: label === "label" ? "AUROC by layer" : `AUROC by layer: ${label}`,
          draw: (width) => drawChart(chartOf(known.filter((row) => row.label === label)), width),
        })),
      },
      {
        heading: "All probes",
        table: {
          columns: [
            "layer",
            "kind",
            "options",
            "label",
            "AUROC",
            "partial AUROC to 10 %",
            "recall at 5 %",
            "average precision",
            "why not",
          ],
          rows: rows.map((row) => [
            String(row.layer),
            row.kind,
            optionsOf(row),
            row.label,
            ...[row.auroc, row.partialAuroc, row.recall, row.averagePrecision].map(show),
            row.reason ?? "",
          ]),
        },
      },
    ],
  });
}

function chartOf(rows: readonly SweepRow[]) {
  const layers = [...new Set(rows.map(({ layer }) => String(layer)))];
  const series = new Map<string, SweepRow[]>();
  for (const row of rows) {
    const name = [row.kind, optionsOf(row)].filter((part) => part !== "").join(", ");
    series.set(name, [...series.get(name) ?? [], row]);
  }
  const marks = [...series].flatMap(([name, own], i): Mark[] => {
    const color = (i % COLORS + 1) as Color;
    const x = own.map(({ layer }) => layers.indexOf(String(layer)));
    const y = own.map(({ auroc }) => auroc!);
    const hints = own.map(({ layer, auroc }) => `layer ${layer}, ${name}: ${auroc!.toFixed(4)}`);
    return [line({ x, y, name, color }), dots({ x, y, name, color, hints, keyed: false })];
  });
  return {
    title: "",
    x: { label: "layer", names: layers },
    y: { label: "AUROC", high: 1 },
    marks: [...marks, level({ at: 0.5, name: "chance", color: "soft" })],
  };
}

function optionsOf({ options }: SweepRow): string {
  return Object.entries(options).map(([name, value]) => `${name} ${value}`).join(", ");
}
