/**
 * Simulates a rat foraging in a box, decodes its position out of core, and writes a page to look at.
 *
 *   npm run demo            (or: deno task demo)
 *
 * The posterior is more than four times the GPU memory allowed.
 */

import { mkdir, writeFile } from "node:fs/promises";
import process from "node:process";
import { decoder, formatBytes, openGpu } from "sluice";
import { renderPage } from "./demo_page.ts";

const BUDGET = 12 * 2 ** 20;
const OUT = "demo/decode.zarr";
const PAGE = "demo/decode.html";

const session = decoder.simulateSession({
  seed: 7,
  seconds: 420,
  positionRate: 60,
  units: 60,
  arena: [100, 100],
});
const model = decoder.sortedSpikes({
  position: session.position,
  spikes: session.spikes,
  states: decoder.contFrag({ movementVar: 12 }),
  binSize: 5,
  positionStd: 6,
  minSpeed: 4,
});

const gpu = await openGpu({ budget: BUDGET });
console.log(`adapter: ${gpu.adapter.name}${gpu.adapter.driver ? ` (${gpu.adapter.driver})` : ""}`);
const plan = model.smooth(gpu, {
  time: { step: 0.02 },
  out: OUT,
  overwrite: true,
});
console.log(plan.explain());

let percent = -1;
const onProgress = ({ pass, fraction }: { pass: string; fraction: number }) => {
  if (Math.floor(100 * fraction) === percent) return;
  percent = Math.floor(100 * fraction);
  const words = `${pass} ${percent} %`;
  process.stderr.write(process.stderr.isTTY ? `\r${words}`.padEnd(40) : `${words}\n`);
};
const cancel = new AbortController();
process.once("SIGINT", () => cancel.abort());
const result = await plan.run({ onProgress, signal: cancel.signal });
if (process.stderr.isTTY) process.stderr.write("\n");
gpu.close();

const [rows, bins] = result.posterior.shape as [number, number];
const posteriorBytes = 4 * rows * bins;
const page = await renderPage(session, result);
await mkdir("demo", { recursive: true });
await writeFile(PAGE, page.html);
await result.close();

const { projectedBytes, peakBytes } = result;
console.log(
  `posterior ${rows} rows x ${bins} state bins, ${formatBytes(posteriorBytes)}: ` +
    `${(posteriorBytes / BUDGET).toFixed(1)} times the budget of ${formatBytes(BUDGET)}`,
);
for (const kind of ["gpu", "host", "disk"] as const) {
  console.log(
    `${kind.padEnd(5)} promised ${formatBytes(projectedBytes[kind]).padStart(9)}, ` +
      `peak ${formatBytes(peakBytes[kind]).padStart(9)}`,
  );
}
console.log(`decoding error, median while running: ${page.medianError.toFixed(1)} cm`);
console.log(`marginal log-likelihood ${result.marginalLogLikelihood.toFixed(2)} nats`);
console.log(`${OUT} opens in xarray; open ${PAGE} in a browser to look at it`);
process.exit(0);
