/**
 * Batches of windows for other programs: a stream of arrays in numpy's format.
 *
 * @module
 */

import { once } from "node:events";
import process from "node:process";
import { encodeNpy } from "../array/npy.ts";
import type { NumericArray } from "../types.ts";
import type { HostBatchOptions } from "../windows/batch_options.ts";
import type { HostBatch } from "../windows/window_batch.ts";
import type { Windows } from "../windows/windows.ts";

/** An array of a batch, and what a reader calls it. */
interface Sent {
  name: string;
  values: NumericArray;
  shape: readonly number[];
}

/**
 * Writes batches to stdout until whoever reads them has enough: first the names of arrays, as bytes of JSON,
 * then of each batch these arrays in order, each a whole `.npy` file.
 */
export async function streamBatches(view: Windows, options: HostBatchOptions): Promise<void> {
  let begun = false;
  const { stdout } = process;
  // Node forgets at once that stdout failed
  let isRead = true;
  for (const event of ["error", "close"]) stdout.once(event, () => isRead = false);
  /** Tells whether anybody reads on. */
  const write = async (bytes: Uint8Array): Promise<boolean> => {
    if (isRead && !stdout.write(bytes)) {
      // what cannot be written any more never drains
      await Promise.race(["drain", "close"].map((event) => once(stdout, event))).catch(() => {});
    }
    return isRead;
  };
  for await (const batch of view.batches(options)) {
    const sent = arraysOf(batch);
    if (!begun) {
      const header = JSON.stringify({ format: 1, arrays: sent.map(({ name }) => name) });
      const bytes = new TextEncoder().encode(header);
      if (!await write(encodeNpy(bytes))) return;
    }
    begun = true;
    for (const { values, shape } of sent) {
      if (!await write(encodeNpy(values, shape))) return;
    }
  }
}

function arraysOf(batch: HostBatch): Sent[] {
  const { windows, frames, shape, mask, epoch, keys = {} } = batch;
  const count = windows.length;
  return [
    { name: "epoch", values: Uint32Array.of(epoch), shape: [1] },
    { name: "windows", values: windows, shape: [count] },
    { name: "frames", values: frames, shape },
    ...mask ? [{ name: "mask", values: mask, shape: shape.slice(0, 2) }] : [],
    ...Object.entries(keys).flatMap(([name, { values, shape, mask }]) => [
      { name, values, shape },
      { name: `${name}_mask`, values: mask, shape: shape.slice(0, 2) },
    ]),
  ];
}
