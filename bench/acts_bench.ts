/**
 * A sweep over the layers of activations: means over tokens of each, one layer after the other, lazily, from
 * a cache, and as an eager user has it, who loads all of it first. SLUICE_ACTS_SAMPLES=2000 is the size that
 * is promised for, 4.2 GB; fewer by default.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Acts } from "../src/acts/acts.ts";
import { collect } from "../src/acts/collect.ts";
import { load } from "../src/acts/load.ts";
import type { ChunkedArray } from "../src/chunked_array.ts";
import { peakResidentBytes } from "../src/cli/resident.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import type { ResultRow } from "./results.ts";

const [LAYERS, TOKENS, HIDDEN] = [16, 128, 512];
const SAMPLES = Number(process.env.SLUICE_ACTS_SAMPLES ?? 250);

/** Bits of bfloat16 from 0.5 to 2, by layer, token and channel. */
const bitsOf = (layer: number, token: number, channel: number) =>
  0x3f00 + (Math.imul(layer * 7919 + token, 2654435761) + Math.imul(channel, 40503) >>> 20 & 0xff);

/** Tokens of a layer that are made when they are read. */
function madeLayer(layer: number): ChunkedArray {
  return {
    ...{ shape: [SAMPLES * TOKENS, HIDDEN], dtype: "uint16", dims: undefined, chunkRows: 1024 },
    read(start, end) {
      const values = new Uint16Array((end - start) * HIDDEN);
      for (let row = start, at = 0; row < end; row++) {
        for (let channel = 0; channel < HIDDEN; channel++) {
          values[at++] = bitsOf(layer, row, channel);
        }
      }
      return Promise.resolve(values);
    },
    close: () => Promise.resolve(),
  };
}

/** Means as an eager user takes them of what is in memory. */
function meansOf(bits: Uint16Array): Float32Array {
  const word = new Uint32Array(1);
  const float = new Float32Array(word.buffer);
  const means = new Float32Array(SAMPLES * HIDDEN);
  for (let sample = 0; sample < SAMPLES; sample++) {
    const sums = new Float64Array(HIDDEN);
    for (let token = 0; token < TOKENS; token++) {
      const at = (sample * TOKENS + token) * HIDDEN;
      for (let channel = 0; channel < HIDDEN; channel++) {
        word[0] = bits[at + channel]! << 16;
        sums[channel]! += float[0]!;
      }
    }
    means.set(sums.map((sum) => sum / TOKENS), sample * HIDDEN);
  }
  return means;
}

export async function runActsBench(gpu: Gpu): Promise<ResultRow[]> {
  const folder = await mkdtemp(
    join(process.env.SLUICE_BENCH_FOLDER ?? tmpdir(), "sluice-acts-bench-"),
  );
  try {
    const place = join(folder, "acts.zarr");
    const layers = Array.from({ length: LAYERS }, (_, layer) => layer);
    const offsets = Array.from({ length: SAMPLES + 1 }, (_, i) => i * TOKENS);
    await collect(Object.fromEntries(layers.map((layer) => [layer, madeLayer(layer)])), {
      ...{ dims: "blsh", dtype: "bfloat16", offsets },
    }).save(gpu, place);
    const sums = new Map<string, number>();
    const sweep = async (acts: Acts) => {
      let sum = 0;
      let peak = 0;
      for (const { acts: one } of acts.iterLayers()) {
        const { values, peakBytes } = await one.realize(gpu);
        for (const value of values) sum += value;
        peak = Math.max(peak, peakBytes.gpu + peakBytes.host);
      }
      return { sum, peak };
    };
    // the eager one last: what a process once held stays its peak
    const ways: Record<string, () => Promise<{ sum: number; peak: number; bytesRead: number }>> = {
      async lazy() {
        const acts = await load(place);
        const done = await sweep(acts.meanPool());
        await acts.close();
        return { ...done, bytesRead: acts.bytesRead };
      },
      async "lazy, into the cache"() {
        const acts = await load(place);
        const pooled = await acts.meanPool().cache(gpu, folder);
        const done = await sweep(pooled);
        await Promise.all([acts.close(), pooled.close()]);
        return { ...done, bytesRead: acts.bytesRead + pooled.bytesRead };
      },
      async "lazy, from the cache"() {
        const acts = await load(place);
        const pooled = await acts.meanPool().cache(gpu, folder);
        const done = await sweep(pooled);
        await Promise.all([acts.close(), pooled.close()]);
        return { ...done, bytesRead: acts.bytesRead + pooled.bytesRead };
      },
      async eager() {
        const acts = await load(place);
        const all: Uint16Array[] = [];
        for (const { acts: one } of acts.iterLayers()) {
          const { rows } = one.tokens();
          all.push(await rows.readBrainBits!(0, rows.shape[0]!));
        }
        let sum = 0;
        for (const bits of all) for (const value of meansOf(bits)) sum += value;
        await acts.close();
        return { sum, peak: 2 * LAYERS * SAMPLES * TOKENS * HIDDEN, bytesRead: acts.bytesRead };
      },
    };
    const needed = 2 * LAYERS * SAMPLES * TOKENS * HIDDEN;
    const table = [["sweep", "seconds", "held at most", "process grew by", "bytes read / all"]];
    const rows: ResultRow[] = [];
    const before = process.memoryUsage().rss;
    for (const [what, run] of Object.entries(ways)) {
      const began = performance.now();
      const { sum, peak, bytesRead } = await run();
      const seconds = (performance.now() - began) / 1000;
      sums.set(what, sum);
      const grew = Math.max(0, peakResidentBytes() - before);
      table.push([
        what,
        seconds.toFixed(2),
        formatBytes(peak),
        formatBytes(grew),
        (bytesRead / needed).toFixed(3),
      ]);
      rows.push({
        bench: "acts_layer_sweep",
        case: `${what}, ${LAYERS} x ${SAMPLES} x ${TOKENS} x ${HIDDEN} bfloat16`,
        ...{ seconds, peakBytes: peak, grewBytes: grew, bytesRead, neededBytes: needed },
      });
    }
    const eager = sums.get("eager")!;
    for (const [what, sum] of sums) {
      // sums of f32 means that agree to 1e-6 each
      if (!(Math.abs(sum / eager - 1) < 1e-6)) {
        throw new Error(`"${what}" gives means that add up to ${sum}, eager ones to ${eager}`);
      }
    }
    console.log(
      `means of ${LAYERS} layers x ${SAMPLES} samples x ${TOKENS} tokens x ${HIDDEN} bfloat16, ` +
        `${formatBytes(needed)}, on ${gpu.adapter.name}\n${formatTable(table)}\n`,
    );
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
