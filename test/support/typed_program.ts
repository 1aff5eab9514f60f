/** What a person would write: types alone, it is not run. */

import { decoder, fromTypedArray, KMeans, open, openArray, openGpu, readAll } from "sluice";
import { PCA, readNumbers, windows } from "sluice";

const gpu = await openGpu({ budget: "256 MiB" });
const model = decoder.sortedSpikes({
  position: { times: await readNumbers("pt.npy"), values: await readNumbers("p.npy") },
  spikes: { times: await readNumbers("t.npy"), units: await readNumbers("u.npy") },
  states: decoder.contFrag({ movementVar: 144 }),
  binSize: 6,
});
const controller = new AbortController();
const result = await model.smooth(gpu, { time: { rate: 50 }, out: "decode.zarr" }).run({
  onProgress: ({ fraction }) => console.log(fraction),
  signal: controller.signal,
});
export const posterior: Float32Array = await result.posterior.read(0, 1000);
export const times: Float64Array = await readAll(result.time);

const rows = await openArray("latents.npy");
const fit = await new KMeans({ k: 64 }).fit(gpu, rows, { out: "kmeans.zarr" }).run();
export const ids: Int32Array = await readAll(fit.ids);
export const { scores } = await new PCA({ components: 2 }).fit(gpu, rows).run();

const opened = await open("decode.zarr");
if (opened.kind === "decode") console.log((await opened.states.read(0, 1))[0]! + 1);

const frames = fromTypedArray(new Float32Array(6), [3, 2]);
for await (const { buffer } of windows(frames, { size: 2 }).batches(gpu, { size: 2 })) {
  console.log(buffer);
}
