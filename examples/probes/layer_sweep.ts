/**
 * Which layer knows it? Layers x kinds of probes x penalties, from a cache of pooled activations that is found again.
 *
 *   deno run -A examples/probes/layer_sweep.ts
 */

import { collect, formatSweep, openGpu, ProbeSweep } from "sluice";
import { HIDDEN, LAYERS, simulateTexts } from "./texts.ts";

const { labels, offsets, layers } = simulateTexts(600, 2);
const gpu = await openGpu({ budget: "256 MiB" });
const acts = collect(layers, { dims: "blsh", shape: [offsets.at(-1)!, HIDDEN], offsets });

// one layer after the other is read, pooled and stored; the second time it is there at once
const pooled = await acts.maxPool().cache(gpu, "demo/caches");
const sweep = new ProbeSweep(gpu, {
  layers: LAYERS.map((layer) => ({
    layer,
    features: pooled.selectLayers(layer).features(),
    tokens: acts.selectLayers(layer).tokens(),
  })),
  // a column without both classes has no probe, and says why
  labels: { pointing: labels, nothing: new Uint8Array(labels.length) },
  probes: [
    { kind: "logistic", options: { c: [0.01, 1] } },
    { kind: "mass_mean" },
    { kind: "multimax", options: { hidden: 16, heads: 4, epochs: 5 } },
  ],
}, { out: "demo/sweep" });
console.log(formatSweep(await sweep.run()));
await pooled.close();
gpu.close();
