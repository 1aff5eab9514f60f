/**
 * A logistic probe of the mean activation of a layer: fitted, judged on texts it has not seen, and stored.
 *
 *   deno run -A examples/probes/basic_training.ts
 */

import { collect, LogisticProbe, metrics, open, openGpu } from "sluice";
import { HIDDEN, simulateTexts } from "./texts.ts";

const TRAIN = 600;
const { labels, offsets, layers } = simulateTexts(800, 1);
const gpu = await openGpu({ budget: "256 MiB" });

// nothing has run yet: a source, and what is to be done with it
const acts = collect(layers, {
  dims: "blsh",
  shape: [offsets.at(-1)!, HIDDEN],
  offsets,
  producer: "a simulation",
}).selectLayers(12).maxPool();
console.log(acts.explain());

const pooled = (await acts.realize(gpu)).acts;
const probe = new LogisticProbe({ c: [0.01, 1] });
const fit = await probe.fit(gpu, pooled.sliceBatch(0, TRAIN).features(), labels.slice(0, TRAIN), {
  out: "demo/probe.zarr",
  overwrite: true,
}).run();
for (const one of fit.probes) {
  console.log(`c ${one!.c}: at most ${one!.distance.toExponential(1)} from the optimum`);
}

const stored = await open("demo/probe.zarr");
if (stored.kind !== "probe") throw new Error(`demo/probe.zarr holds ${stored.kind}`);
const { logits } = await stored.model.predict(gpu, pooled.sliceBatch(TRAIN).features()).run();
const seen = labels.subarray(TRAIN);
for (const k of [0, 1]) {
  const own = Float32Array.from(seen, (_, i) => logits[2 * i + k]!);
  const interval = metrics.bootstrap(seen, own, metrics.auroc, { resamples: 500, seed: 1 })!;
  console.log(
    `AUROC ${interval.value.toFixed(3)} (95 %: ${interval.low.toFixed(3)} to ${
      interval.high.toFixed(3)
    })`,
  );
}
await stored.close();
gpu.close();
