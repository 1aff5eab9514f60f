/**
 * Draws a decode as one self-contained HTML page: the posterior along x and y over time with the
 * true path on top, and the probability of each discrete state below.
 */

import { decoder, formatBytes, view } from "sluice";
import {
  busiestStretch,
  medianError,
  readTimes,
  type Result,
  type Session,
  truePath,
} from "./decoded.ts";
import { positionChart, stateChart } from "./posterior_charts.ts";

/** Part of the recording that is drawn: long enough for a lap or two, short enough to see bins. */
const SHOWN_SECONDS = 60;

export async function renderPage(
  session: Session,
  result: Result,
): Promise<{ html: string; medianError: number }> {
  const times = await readTimes(result);
  const truth = truePath(session, times);
  const error = medianError(times, truth, await decoder.posteriorMean(result));

  const step = times[1]! - times[0]!;
  const shown = Math.min(times.length, Math.round(SHOWN_SECONDS / step));
  const stretch = { first: busiestStretch(truth, shown), shown, times };
  const charts = [
    await positionChart(result, truth, stretch, 0),
    await positionChart(result, truth, stretch, 1),
    await stateChart(result, stretch, ["continuous", "fragmented"]),
  ];
  const [rows, bins] = result.posterior.shape as [number, number];
  const html = view.drawPage({
    title: "Where was the rat? Decoded from spikes alone",
    sections: [
      {
        text: [
          `${rows.toLocaleString("en")} rows of ${
            (1000 * step).toFixed(0)
          } ms over ${bins} state bins; ` +
          `${
            (shown * step).toFixed(0)
          } seconds are shown, those in which the rat covers most ground. ` +
          `Median error while running: ${error.toFixed(1)} cm.`,
        ],
        figures: [{ draw: (width) => view.drawCharts(charts, width) }],
      },
      {
        heading: "Memory",
        table: {
          columns: ["", "promised", "peak"],
          rows: (["gpu", "host", "disk"] as const).map((kind) => [
            kind,
            formatBytes(result.projectedBytes[kind]),
            formatBytes(result.peakBytes[kind]),
          ]),
        },
      },
    ],
  });
  return { html, medianError: error };
}
