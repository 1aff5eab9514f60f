import { describe, expect, it } from "vitest";
import * as gather from "../../src/kernels/gather_windows.ts";
import type { PaddedEntry } from "../reference/gather_windows.ts";
import { gatherPadded, gatherWindows, widen, widenBrain } from "../reference/gather_windows.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

/** Frames, features, frames of a window, windows. */
const SIZES = [[1, 1, 1, 1], [7, 1, 3, 5], [40, 287, 30, 9], [33, 5, 4, 300], [9, 2048, 1, 4]];

type Entry = readonly [start: number, slot: number];

/** Windows anywhere, the first and the last possible among them, in slots of another order. */
function entriesOf(frames: number, size: number, windows: number): Entry[] {
  const random = seeded(frames + windows);
  const last = frames - size;
  return Array.from({ length: windows }, (_, i) => {
    const start = i === 0 ? 0 : i === 1 ? last : Math.floor(random() * (last + 1));
    return [start, windows - 1 - i] as const;
  });
}

async function run(
  format: keyof typeof gather.GATHER_FORMATS,
  table: Float32Array | Uint16Array,
  features: number,
  size: number,
  entries: readonly Entry[],
  skipped = 0,
) {
  const words = size * features / (format === "float16" ? 2 : 1);
  const { outputs } = await runKernel(gpu(), {
    spec: gather.gatherWindows,
    constants: gather.gatherWindowsConstants(format),
    buffers: {
      params: gather.gatherWindowsParams(skipped, words),
      window_table: Uint32Array.from(entries.flatMap(([start, slot]) => [start * features, slot])),
      frame_table: table,
      batch: 4 * words * entries.length,
    },
    workgroups: gather.gatherWindowsWorkgroups(entries.length - skipped, words),
    outputs: ["batch"],
  });
  return outputs.batch!.buffer;
}

describe("the twin of gather_windows", () => {
  it("equals slices of the frames, laid one after the other", () => {
    const frames = Float32Array.from({ length: 60 }, (_, i) => i);
    const entries = [[5, 1], [0, 0], [16, 2]] as const;
    const slices = [0, 5, 16].flatMap((start) => [...frames.slice(3 * start, 3 * (start + 4))]);
    expect([...gatherWindows(frames, 3, 4, entries)]).toEqual(slices);
  });
});

describe("gather_windows", () => {
  for (const [frames, features, size, windows] of SIZES as [number, number, number, number][]) {
    const entries = entriesOf(frames, size, windows);

    it(`copies ${windows} windows of ${size} x ${features} of any bits`, async () => {
      const random = seeded(features);
      const bits = Uint32Array.from({ length: frames * features }, () => random() * 2 ** 32);
      // NaN with a payload, a subnormal, minus zero
      bits.set([0x7fc12345, 1, 0x80000000].slice(0, bits.length));
      const table = new Float32Array(bits.buffer);
      const got = new Uint32Array(await run("float32", table, features, size, entries));
      // as integers: f32 registers of the CPU may change NaN
      const wanted = gatherWindows(bits as never, features, size, entries);
      expect(got).toEqual(wanted);
    });

    it(`widens ${windows} windows of ${size} x ${features} halves`, async () => {
      const random = seeded(features);
      const bits = Uint16Array.from({ length: frames * features }, () => random() * 2 ** 16);
      const got = new Float32Array(await run("widened", bits, features, size, entries));
      expect(got).toEqual(widen(gatherWindows(bits, features, size, entries)));
      // they lie as halves do
      if (features === 287) return;
      const brain = new Uint32Array(await run("widenedBrain", bits, features, size, entries));
      expect(brain).toEqual(widenBrain(gatherWindows(bits, features, size, entries)));
    });

    if (size * features % 2 === 1) continue;
    it(`copies ${windows} windows of ${size} x ${features} halves`, async () => {
      const random = seeded(features);
      const bits = Uint16Array.from({ length: frames * features }, () => random() * 2 ** 16);
      const got = new Uint16Array(await run("float16", bits, features, size, entries));
      expect(got).toEqual(gatherWindows(bits, features, size, entries));
    });
  }

  it("widens every half there is, to the bit", async () => {
    const bits = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
    const got = new Uint32Array(await run("widened", bits, 2 ** 10, 64, [[0, 0]]));
    const wanted = new Uint32Array(widen(bits).buffer);
    let wrong = 0;
    got.forEach((word, half) => {
      const isNaN = (half & 0x7fff) > 0x7c00;
      if (isNaN ? word !== 0x7fc00000 : word !== wanted[half]) wrong++;
    });
    expect(wrong).toBe(0);
  });

  it("begins at the entry it is told, and leaves other slots alone", async () => {
    const frames = Float32Array.from({ length: 20 }, (_, i) => i + 1);
    const entries = [[0, 0], [1, 1], [2, 2]] as const;
    const got = new Float32Array(await run("float32", frames, 2, 3, entries, 2));
    const wanted = gatherWindows(frames, 2, 3, entries);
    expect([...got]).toEqual([...wanted].map((value, i) => i < 12 ? 0 : value));
  });

  for (const padding of ["edge", "zero"] as const) {
    for (const [features, size, windows] of [[1, 4, 7], [3, 6, 300], [287, 30, 5]] as const) {
      it(`pads ${windows} windows of ${size} x ${features} by ${padding}`, async () => {
        const random = seeded(features);
        const whole = (end: number) => Math.floor(random() * end);
        const frames = 40;
        const entries = Array.from({ length: windows }, (_, i): PaddedEntry => {
          // all real, one real frame at either end, and others
          const lead = i === 0 ? 0 : i === 1 ? size - 1 : whole(size);
          const count = i === 0 ? size : i === 2 ? 1 : 1 + whole(size - lead);
          return { start: whole(frames - count + 1), lead, count };
        });
        const table = Uint32Array.from(
          entries.flatMap(({ start, lead, count }, slot) => [start * features, slot, lead, count]),
        );
        const halves = Uint16Array.from({ length: frames * features }, () => 1 + whole(0x7bff));
        const floats = widen(halves);
        for (const format of ["float32", "widened", "float16", "widenedBrain"] as const) {
          if (format === "float16" && size * features % 2 === 1) continue;
          if (format === "widenedBrain" && features === 287) continue;
          const words = size * features / (format === "float16" ? 2 : 1);
          const { outputs } = await runKernel(gpu(), {
            spec: gather.gatherWindows,
            constants: gather.gatherWindowsConstants(format, padding),
            buffers: {
              params: gather.gatherWindowsParams(0, words, features),
              window_table: table,
              frame_table: format === "float32" ? floats : halves,
              batch: 4 * words * windows,
            },
            workgroups: gather.gatherWindowsWorkgroups(windows, words),
            outputs: ["batch"],
          });
          const got = outputs.batch!.buffer;
          const wanted = gatherPadded(halves, features, size, entries, padding);
          if (format === "float16") expect(new Uint16Array(got)).toEqual(wanted);
          else if (format === "widenedBrain") {
            expect(new Uint32Array(got)).toEqual(widenBrain(wanted));
          } else expect(new Float32Array(got)).toEqual(widen(wanted));
        }
      });
    }
  }
});
