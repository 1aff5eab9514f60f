/**
 * Decodes a simulated session and writes docs/posterior.svg, the picture at the top of the README.
 *
 *   node tools/run.mjs picture            (or: deno run -A examples/readme_picture.ts)
 */

import { writeFile } from "node:fs/promises";
import process from "node:process";
import { decoder, formatBytes, openGpu, view } from "sluice";
import { readTimes, truePath } from "./decoded.ts";
import { positionChart, stateChart } from "./posterior_charts.ts";

const OUT = "docs/posterior.svg";
/** What is drawn, s. */
const SHOWN = { low: 30, high: 55 };
/** While spikes are dealt to neurons at random, s: no path is left in them. */
const SHUFFLED = { low: 45.5, high: 48.5 };
const UNITS = 150;
/** Narrow enough to be read on a telephone, px. */
const WIDTH = 480;

const session = decoder.simulateSession({
  seed: 7,
  seconds: 240,
  positionRate: 60,
  units: UNITS,
  arena: [100, 100],
});
const random = seeded(7);
const { times: spikeTimes, units } = session.spikes;
const spikes = {
  times: spikeTimes,
  units: units.map((unit, spike) =>
    isWithin(spikeTimes[spike]!, SHUFFLED) ? Math.floor(UNITS * random()) : unit
  ),
};
const model = decoder.sortedSpikes({
  position: session.position,
  spikes,
  states: decoder.contFrag({ movementVar: 12 }),
  binSize: 2.5,
  positionStd: 6,
  minSpeed: 4,
});

const gpu = await openGpu({ budget: "128 MiB" });
const out = "memory:readme_picture";
const result = await model.smooth(gpu, { time: { step: 0.02 }, out }).run();
const times = await readTimes(result);
const truth = truePath(session, times);
const first = times.findIndex((time) => isWithin(time, SHOWN));
const shown = times.filter((time) => isWithin(time, SHOWN)).length;
const stretch = { first, shown, times };
const states = await stateChart(result, stretch, ["continuous", "fragmented"]);
const shuffled = view.boxes({
  boxes: [{ x: SHUFFLED, y: { low: 0, high: 1 } }],
  name: "spikes shuffled",
  color: "soft",
  opacity: 0.25,
});
const charts = [
  await positionChart(
    result,
    truth,
    stretch,
    1,
    `Where is the rat? Decoded from ${UNITS} simulated neurons`,
  ),
  { ...states, marks: [shuffled, ...states.marks] },
];
const picture = view.svgFile(view.drawCharts(charts, WIDTH));
await writeFile(OUT, picture);
await result.close();
gpu.close();
console.log(`${OUT}, ${formatBytes(new TextEncoder().encode(picture).length)}`);
process.exit(0);

/** Numbers from 0 to 1 that are the same every time (mulberry32). */
function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function isWithin(time: number, { low, high }: view.Range): boolean {
  return low <= time && time < high;
}
