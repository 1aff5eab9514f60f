/**
 * Streams batches of windows from frames in a zarr store, under a budget of a few MiB, is interrupted,
 * and goes on from the last cursor. Needs no GPU.
 *
 *   deno run -A examples/windows_stream.ts
 */

import { writeFile } from "node:fs/promises";
import { balanced, createArray, openArray, windows } from "sluice";
import type { BatchCursor, HostBatchOptions } from "sluice";

const [GAMES, FRAMES, FEATURES] = [12, 4000, 64];
const OUT = "file:demo/frames.zarr";

// frames of a dozen games, one after the other, and a class for each
const written = await createArray(`${OUT}/embeddings`, {
  shape: [GAMES * FRAMES, FEATURES],
  dtype: "float32",
  dims: ["frame", "feature"],
  chunks: 256,
});
// after an interruption it goes on with the game that is not there yet
for (let game = written.rows / FRAMES; game < GAMES; game++) {
  const rows = Float32Array.from(
    { length: FRAMES * FEATURES },
    (_, i) => Math.sin(game + i / 1000) + (i % FEATURES) / FEATURES,
  );
  await written.append(rows);
}
await written.close();
const segments = Array.from({ length: GAMES }, (_, game) => game * FRAMES);
const labels = Int32Array.from({ length: GAMES * FRAMES }, (_, frame) => frame % 97 === 0 ? 1 : 0);

const frames = await openArray(`${OUT}/embeddings`);
const view = windows(frames, { size: 30, segments, labels });
const [train, held] = view.split(0.9, 1);
console.log(`${train.shape[0]} windows to train on, ${held.shape[0]} held out, of whole games`);

const options: HostBatchOptions = {
  size: 256,
  // blocks of 512 windows, 8 of them shuffled together: frames are read about once
  shuffle: { seed: 7, block: 512, pool: 8 },
  // the label is 1 in a hundredth of the windows, and in half of those that come
  sampler: balanced(train.atLabels(labels)),
  budget: "12 MiB",
  framesIn: "disk",
};
const batches = train.batches(options);
console.log(batches.explain());

let cursor: BatchCursor | undefined;
let [seen, ones] = [0, 0];
for await (const batch of batches) {
  // batch.frames [256, 30, 64] is where a training step would look
  ones += (batch.labels as Int32Array).reduce((sum, label) => sum + label, 0);
  seen += batch.windows.length;
  cursor = batch.cursor;
  if (seen >= 10_000) break;
}
await writeFile("demo/cursor.json", JSON.stringify(cursor));
console.log(`left off at window ${cursor!.position} of the epoch`);
for await (const batch of train.batches({ ...options, from: cursor! })) {
  ones += (batch.labels as Int32Array).reduce((sum, label) => sum + label, 0);
  seen += batch.windows.length;
}
console.log(`${seen} windows in all, ${(100 * ones / seen).toFixed(1)} % labelled 1`);
await frames.close();
