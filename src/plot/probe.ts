/**
 * Probes as pictures: how they were trained, or what they weigh.
 *
 * @module
 */

import { formatCount } from "../math/format.ts";
import type { StoredProbe } from "../probes/probes.ts";
import type { StoredTrainedProbe } from "../probes/trained_probe.ts";
import type { Chart, Figure, Page } from "../view/view.ts";
import { formatNumber } from "../view/ticks.ts";
import { bars, drawChart } from "../view/view.ts";
import { learningFigure } from "./curves.ts";

/** Weights that are drawn, the largest. */
const MOST_WEIGHTS = 25;
/** Of a feature in the chart, px. */
const NAME_HEIGHT = 18;

export function probePage(place: string, fit: StoredProbe | StoredTrainedProbe): Page {
  const { probes, reasons } = fit;
  const figures = "mean" in fit
    ? fit.probes.flatMap((probe) => probe ? [weightFigure(probe)] : [])
    : fit.probes.flatMap((probe) =>
      probe
        ? [
          learningFigure(`How the probe of "${probe.label}" learned`, [
            { name: "training", values: probe.trainingLoss.subarray(0, probe.epochs) },
            { name: "validation", values: probe.validationLoss.subarray(0, probe.epochs) },
          ], { best: probe.bestEpoch, unit: "nat" }),
        ]
        : []
    );
  const missing = reasons.flatMap((reason) => reason === null ? [] : [reason]);
  return {
    title: probes.length === 1 ? "A probe" : `${formatCount(probes.length)} probes`,
    sections: [
      {
        text: missing.map((reason) => `There is no probe where ${reason}.`),
        figures,
      },
      {
        heading: "What is drawn",
        facts: [["result", place], ["probes", formatCount(probes.length - missing.length)]],
      },
    ],
  };
}

/** The weights that count most. */
function weightFigure(
  { label, c, weights, distance }: {
    label: string;
    c: number;
    weights: Float64Array;
    distance: number;
  },
): Figure {
  const order = Array.from(weights, (_, i) => i)
    .sort((a, b) => Math.abs(weights[b]!) - Math.abs(weights[a]!)).slice(0, MOST_WEIGHTS);
  const upward = order.toReversed();
  const values = upward.map((feature) => weights[feature]!);
  // a little more, so that no bar ends at the frame
  const [low, high] = [1.04 * Math.min(0, ...values), 1.04 * Math.max(0, ...values)];
  const notes = [
    ...weights.length > order.length
      ? [
        `The ${order.length} of ${
          formatCount(weights.length)
        } features with the largest weights are drawn.`,
      ]
      : [],
    ...Number.isFinite(c) && Number.isFinite(distance)
      ? [
        `From the optimum it is ${formatNumber(distance, 2)} of its length away, ` +
        // without a penalty nothing bounds it
        `${c > 0 ? "at most" : "by an estimate"}.`,
      ]
      : [],
  ];
  const penalty = Number.isNaN(c) ? "" : `, c ${c}`;
  const chart: Chart = {
    title: `Weights of "${label}"${penalty}`,
    says: `The largest is ${weights[order[0]!]!.toPrecision(4)}, of feature ${order[0]}.`,
    x: { label: "weight of a standard deviation", unit: "nat", low, high },
    y: { label: "feature, by its number", names: upward.map(String) },
    height: Math.max(60, NAME_HEIGHT * order.length),
    note: notes.join(" "),
    marks: [bars({ values, name: "weight", color: 0, along: "y" })],
  };
  return {
    draw: (width) => drawChart(chart, width),
    table: {
      columns: ["feature", "weight"],
      rows: order.map((feature) => [feature, weights[feature]!.toPrecision(6)]),
    },
  };
}
