/**
 * Which tokens are it? A probe that learns from every token that counts, and judges every token.
 *
 *   deno run -A examples/probes/token_level.ts
 */

import { collect, metrics, MlpProbe, openGpu } from "sluice";
import { HIDDEN, simulateTexts } from "./texts.ts";

const TRAIN = 200;
const { offsets, layers, pointing } = simulateTexts(300, 3);
const gpu = await openGpu({ budget: "256 MiB" });

// the first tokens of every text are there, and do not count
const detectionMask = Uint8Array.from(pointing, () => 1);
for (let text = 0; text + 1 < offsets.length; text++) {
  detectionMask.fill(0, offsets[text], offsets[text]! + 2);
}
const acts = collect(layers, {
  dims: "blsh",
  shape: [offsets.at(-1)!, HIDDEN],
  offsets,
  detectionMask,
}).selectLayers(12);

const cut = offsets[TRAIN]!;
const probe = new MlpProbe({ hidden: 16, epochs: 3, batchSize: 64, learningRate: 0.005 });
await probe.fit(gpu, acts.sliceBatch(0, TRAIN).tokens(), pointing.subarray(0, cut), {
  labelsOf: "tokens",
}).run();
const { logits } = await probe.predictTokens(gpu, acts.sliceBatch(TRAIN).tokens()).run();

// those that do not count have logit 0
const counts = Array.from(logits.keys()).filter((token) => detectionMask[cut + token] === 1);
const truth = counts.map((token) => pointing[cut + token]!);
const auroc = metrics.auroc(truth, counts.map((token) => logits[token]!));
console.log(`${counts.length} tokens of ${logits.length} count: AUROC ${auroc!.toFixed(3)}`);
gpu.close();
