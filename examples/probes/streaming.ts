/**
 * Activations of a model while it runs: blocks come one by one, are pooled and stored in parts, and a run that was
 * killed goes on with the texts that are missing.
 *
 *   deno run -A examples/probes/streaming.ts
 */

import { collectLive, openGpu } from "sluice";
import { HIDDEN, LAYERS, simulateTexts } from "./texts.ts";

const OUT = "demo/streamed.acts";
const { offsets, layers } = simulateTexts(200, 4);
const gpu = await openGpu({ budget: "256 MiB" });

let asked = 0;
/** A model: all of a prompt at once, then single tokens. */
async function* generate(texts: Iterable<number>, fails: boolean) {
  for (const text of texts) {
    if (fails && asked === 90) throw new Error("the machine went away");
    asked++;
    const [start, end] = [offsets[text]!, offsets[text + 1]!];
    const block = (from: number, to: number) =>
      Object.fromEntries(
        LAYERS.map((layer) => [layer, layers[layer]!.subarray(from * HIDDEN, to * HIDDEN)]),
      );
    // the prompt is there, and does not count
    yield { id: `text ${text}`, layers: block(start, start + 8), detected: false };
    for (let token = start + 8; token < end; token++) {
      yield { id: `text ${text}`, layers: block(token, token + 1) };
    }
    await Promise.resolve();
  }
}

const run = async (fails: boolean) => {
  const acts = collectLive(
    ({ done }) =>
      generate(
        Array.from({ length: 200 }, (_, text) => text).filter((text) => !done.has(`text ${text}`)),
        fails,
      ),
    { layers: LAYERS, hidden: HIDDEN, producer: "a simulation", partBytes: "64 KiB" },
  );
  return await acts.meanPool().save(gpu, OUT, { overwrite: fails });
};

await run(true).catch((error) => console.log(`after ${asked} texts: ${error.message}`));
asked = 0;
const stored = await run(false);
console.log(
  `${asked} texts were still to come: ${stored.samples} samples, ${stored.dims}, in ${OUT}`,
);
await stored.close();
gpu.close();
