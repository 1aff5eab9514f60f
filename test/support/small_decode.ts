/** A small decode of several tiles and shards, for tests that interrupt it. */

import type { Gpu } from "../../src/gpu/device.ts";
import type { DecodeOptions } from "../../src/hmm/decoder.ts";
import { contFrag, sortedSpikes } from "../../src/hmm/decoder.ts";
import { openStore } from "../../src/store/open_store.ts";
import { smallRecording } from "./recordings.ts";

const decoder = sortedSpikes({
  ...smallRecording(),
  states: contFrag({ movementVar: 4 }),
  binSize: 3,
  positionStd: 3,
});

const OPTIONS = { time: { step: 0.02 }, causal: true, chunkRows: 16, shardChunks: 4, tileRows: 48 };

export function smallPlan(gpu: Gpu, out: string, options: Partial<DecodeOptions> = {}) {
  return decoder.smooth(gpu, { ...OPTIONS, out, ...options });
}

/** SHA-256 of every file of a store, by key. */
export async function contents(place: string): Promise<Record<string, string>> {
  const store = await openStore(place);
  const files: Record<string, string> = {};
  for (const key of await store.list("/")) {
    const hash = await crypto.subtle.digest("SHA-256", (await store.get(key))! as BufferSource);
    files[key] = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join(
      "",
    );
  }
  await store.close();
  return files;
}

/**
 * Decodes, and destroys the device before its `at`-th submit. Tells how many submits the first device
 * was given.
 */
export async function decodeLosing(gpu: Gpu, out: string, at: number): Promise<number> {
  const { device } = gpu;
  const { queue } = device;
  const submit = queue.submit.bind(queue);
  let count = 0;
  queue.submit = (commands) => {
    if (++count === at) device.destroy();
    return submit(commands);
  };
  const result = await smallPlan(gpu, out).run();
  await result.close();
  if (gpu.device === device) queue.submit = submit;
  return count;
}
