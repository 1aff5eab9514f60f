/**
 * Pooled activations of a layer, computed when it is their turn.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { closingWith } from "../chunked_array.ts";
import type { Gpu } from "../gpu/device.ts";
import { digestOf } from "../math/digest.ts";
import type { Plan } from "../stream/plan.ts";
import { bytesOf } from "../stream/task.ts";
import { Acts } from "./acts.ts";
import { ActsTask, identityOf } from "./acts_task.ts";
import { planWork } from "./compute.ts";
import { openActsSource } from "./stored.ts";

/** Rows `[samples, hidden]` that a plan stores, as sweeps of probes take them. */
export function featuresLater(acts: Acts) {
  const work = acts.work("pool activations");
  const { source, graph } = work;
  if (acts.dims !== "bh") {
    throw new RangeError(
      `Cannot make features: dims are ${acts.dims}, wanted bh: one layer, and a pool of its tokens`,
    );
  }
  const told = { place: "memory:later", overwrite: false, adapter: "" };
  const [array] = new ActsTask(work, told).output.streamed;
  return {
    shape: [graph.samples.length, acts.hidden] as const,
    // brain floats are read so
    dtype: acts.dtype === "bfloat16" ? "float32" : acts.dtype,
    chunkRows: array!.chunkShape[0]!,
    places: source.places,
    plan: (gpu: Gpu, out: string): Plan<unknown> =>
      planWork(gpu, work, { place: out, overwrite: false }).plan,
    async open(made: string): Promise<ChunkedArray> {
      const stored = new Acts(await openActsSource(made));
      return closingWith(stored.features(), () => stored.close());
    },
    async fingerprint(options: ReadOptions): Promise<string> {
      const { facts, arrays = [] } = identityOf(work);
      const print = await source.fingerprint(options);
      return await digestOf([JSON.stringify(facts), ...arrays.map(bytesOf), print]);
    },
  };
}
