import { describe, expect, it } from "vitest";
import { openArray } from "../../src/array/array.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { formatBytes } from "../../src/math/format.ts";
import type { Store } from "../../src/store/store.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { BatchStats } from "../../src/windows/batches.ts";
import type { Shuffle } from "../../src/feed/order.ts";
import { windows } from "../../src/windows/windows.ts";
import { runtime } from "../support/runtime.ts";
import { tryRandomWindows } from "../support/random_windows.ts";
import { npyHeader, readBackBeside } from "../support/window_frames.ts";

const [FRAMES, FEATURES, SIZE, BATCH] = [380_000, 287, 30, 256];
const MIB = 2 ** 20;

/** Element of the table, exact in f32. */
const element = (frame: number, feature: number) => (frame * 31 + feature * 7919) % 16_000_057;

/** OPFS in the browser, a temporary folder elsewhere. */
async function place(): Promise<string> {
  if (runtime === "chromium") return "opfs:windows-frames";
  const { mkdtemp } = await import("node:fs/promises");
  const { tmpdir } = await import("node:os");
  return `file:${await mkdtemp(`${tmpdir()}/sluice-`)}`;
}

describe("380,000 frames of 287 features on disk, under 128 MiB", () => {
  it("give every window once an epoch, whole and right, shuffled exactly or on two levels", async () => {
    const out = await place();
    const store = await openStore(out, { mode: "write" });
    const gpu = await openGpu({ budget: { gpu: 128 * MIB, host: 128 * MIB } });
    try {
      await writeFrames(store);
      const frames = await openArray(`${out}/frames.npy`);
      // 95 games
      const segments = Array.from({ length: 95 }, (_, i) => 4000 * i);
      const view = windows(frames, { size: SIZE, segments });
      const count = 95 * (4000 - SIZE + 1);
      expect(view.shape).toEqual([count, SIZE, FEATURES]);
      const eagerBytes = 4 * count * SIZE * FEATURES;

      for (const shuffle of [{ seed: 7 }, 7] as Shuffle[]) {
        const batches = view.batches(gpu, { size: BATCH, shuffle });
        if (typeof shuffle === "number") console.log(batches.explain());
        expect(batches.framesIn).toBe("disk");
        expect(batches.projected.gpu).toBeLessThanOrEqual(128 * MIB);
        expect(batches.projected.host).toBeLessThanOrEqual(128 * MIB);
        const seen = new Uint8Array(count);
        let number = 0;
        const began = performance.now();
        for await (const { windows: own, buffer, shape } of batches) {
          for (const window of own) seen[window]!++;
          // a batch now and then in full, and the last
          if (number++ % 200 === 0 || own.length < BATCH) {
            const elements = shape.reduce((product, size) => product * size, 1);
            const values = new Float32Array(await readBackBeside(gpu, buffer, 0, 4 * elements));
            let wrong = 0;
            own.forEach((window, i) => {
              const start = view.startOf(window);
              for (let j = 0; j < SIZE * FEATURES; j++) {
                const wanted = element(start + Math.floor(j / FEATURES), j % FEATURES);
                if (values[i * SIZE * FEATURES + j] !== wanted) wrong++;
              }
            });
            expect(wrong).toBe(0);
          }
        }
        report(JSON.stringify(shuffle), (performance.now() - began) / 1000, batches.stats);
        expect(seen.every((times) => times === 1)).toBe(true);
        expect(batches.stats.peakBytes.gpu).toBeLessThanOrEqual(batches.projected.gpu);
        expect(batches.stats.peakBytes.host).toBeLessThanOrEqual(batches.projected.host);
        const { gpu: device, host } = batches.stats.peakBytes;
        expect(device + host).toBeLessThanOrEqual(eagerBytes / SIZE);
      }
      await frames.close();
    } finally {
      gpu.close();
      await store.deleteAll();
      await store.close();
    }
  });
});

describe("random windows", () => {
  it("are slices that are cut by hand, in 100,000 cases", async () => {
    const gpu = await openGpu({ budget: "16 MiB" });
    let looked = 0;
    try {
      for (let number = 0; number < 100_000; number++) {
        // one in a hundred on the device
        looked += await tryRandomWindows(2e6 + number, number % 100 === 0 ? gpu : undefined);
      }
    } finally {
      gpu.close();
    }
    console.log(`${runtime}: ${looked} windows of 100,000 cases`);
    expect(looked).toBeGreaterThan(1e6);
  });
});

/** A .npy file, a few rows at a time. */
async function writeFrames(store: Store): Promise<void> {
  const file = await store.append("/frames.npy");
  await file.append(npyHeader("<f4", [FRAMES, FEATURES]));
  for (let start = 0; start < FRAMES; start += 4000) {
    const rows = new Float32Array(4000 * FEATURES);
    for (let i = 0; i < rows.length; i++) {
      rows[i] = element(start + Math.floor(i / FEATURES), i % FEATURES);
    }
    await file.append(new Uint8Array(rows.buffer));
  }
  await file.finish();
}

function report(order: string, seconds: number, stats: BatchStats): void {
  const { batches, rounds, reads, bytesRead, readSeconds, waitSeconds, peakBytes } = stats;
  console.log(
    `${runtime}, shuffle ${order}: ${batches} batches in ${
      seconds.toFixed(1)
    } s, ${rounds} sweeps, ` +
      `${reads} reads of ${formatBytes(bytesRead)} in ${readSeconds.toFixed(1)} s, waited ` +
      `${waitSeconds.toFixed(1)} s, GPU peak ${formatBytes(peakBytes.gpu)}, host ` +
      formatBytes(peakBytes.host),
  );
}
