import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import type { BudgetError } from "../../src/errors.ts";
import { openGpu } from "../../src/gpu/device.ts";
import type { NumericArray } from "../../src/types.ts";
import type { HostBatchOptions } from "../../src/windows/batches.ts";
import type { Windows } from "../../src/windows/windows.ts";
import { windows } from "../../src/windows/windows.ts";
import { useGpu } from "../support/gpu.ts";
import { framesOf, hidden, keepHost, someFrames } from "../support/window_frames.ts";

const gpu = useGpu({ budget: "4 MiB" });

const [FRAMES, FEATURES] = [60, 7];

/** Frames of which one element is another from the second epoch on. */
function changing(
  values: Float32Array,
  features: number,
): ChunkedArray & { change(at: number): void } {
  const own = values.slice();
  const base = hidden(framesOf(own, features));
  return {
    ...base,
    read: async (...range) => (await base.read(...range)).slice(),
    change: (at) => own[at] = own[at]! === 0 ? 1 : -own[at]!,
  };
}

describe("frames that change", () => {
  it("are noticed in every element, when they are read again", async () => {
    const values = someFrames(FRAMES, FEATURES);
    const options: HostBatchOptions = { size: 2, epochs: 2, framesIn: "disk", shuffle: false };
    for (let feature = 0; feature < FEATURES; feature++) {
      // beyond what is read ahead
      for (const frame of [45, 59]) {
        const frames = changing(values, FEATURES);
        const view = windows(frames, { size: 3 });
        const batches = view.batches({ ...options, budget: smallest(view, options) });
        const run = async () => {
          for await (const { epoch, isLast } of batches) {
            if (epoch === 0 && isLast) frames.change(frame * FEATURES + feature);
          }
        };
        await expect(run()).rejects.toThrow(`frame ${frame} changed since it was read before`);
      }
    }
  });
});

/** The smallest budget, with which as little as may be is read ahead. */
function smallest(view: Windows, options: HostBatchOptions): number {
  try {
    view.batches({ ...options, budget: 1 });
  } catch (error) {
    return (error as BudgetError).smallestBudgetBytes;
  }
  throw new Error("one byte is enough");
}

describe("frames whose memory goes away", () => {
  const handOn = (values: NumericArray) =>
    structuredClone(values, { transfer: [values.buffer as ArrayBuffer] });

  it("are missed at the next batch, in words", async () => {
    const kinds: (HostBatchOptions & { on?: "gpu" })[] = [
      { framesIn: "host" },
      { framesIn: "disk" },
      { framesIn: "host", on: "gpu" },
      { framesIn: "disk", on: "gpu" },
    ];
    for (const { on, ...kind } of kinds) {
      const values = someFrames(FRAMES, FEATURES);
      const view = windows(framesOf(values, FEATURES), { size: 3 });
      const options = { size: 2, prefetch: 0, ...kind, epochs: 5 };
      const run = async () => {
        let seen = 0;
        const batches = on ? view.batches(gpu(), options) : view.batches(options);
        for await (const _ of batches) if (++seen === 3) handOn(values);
      };
      await expect(run(), JSON.stringify({ on, ...kind })).rejects
        .toThrow(
          /frames .* have 0 elements, wanted \d+; memory that is transferred|memory was transferred/,
        );
      await expect(keepHost(view.batches({ size: 2 }))).rejects
        .toThrow(/memory was transferred/);
    }
  });

  it("are missed in labels, too, which would be 0 otherwise", async () => {
    const labels = new Float32Array(FRAMES).fill(3);
    const view = windows(framesOf(someFrames(FRAMES, FEATURES), FEATURES), { size: 3, labels });
    const run = async () => {
      for await (const _ of view.batches({ size: 2, prefetch: 0 })) {
        if (labels.length > 0) handOn(labels);
      }
    };
    await expect(run()).rejects.toThrow(/labels have 0 elements, wanted 60/);
  });
});

describe("a GPU that is closed under batches", () => {
  it("says so, wherever frames are kept", async () => {
    for (const framesIn of ["device", "host", "disk"] as const) {
      const own = await openGpu({ budget: "4 MiB" });
      const view = windows(framesOf(someFrames(FRAMES, FEATURES), FEATURES), { size: 3 });
      const run = async () => {
        for await (const _ of view.batches(own, { size: 2, framesIn, epochs: 3 })) own.close();
      };
      await expect(run(), framesIn).rejects.toThrow(
        "Cannot use the GPU: it was closed, open it again",
      );
    }
  });
});

describe("frames that are wider than they are held", () => {
  const run = (values: NumericArray, options: HostBatchOptions = {}) =>
    keepHost(
      windows(hidden(fromTypedArray(values, [values.length, 1])), { size: 1 }).batches({
        ...{ size: 8, shuffle: false },
        ...options,
      }),
    );

  it("are rounded, but never become infinite or other whole numbers", async () => {
    const doubles = Float64Array.of(0.1, -1e-50, NaN, Infinity, 2 ** 24, 1e300 / 1e290);
    const [batch] = await run(doubles);
    expect([...batch!.values]).toEqual([...doubles].map(Math.fround));
    for (
      const [bad, options, wanted] of [
        [
          Float64Array.of(1, 1e300),
          {},
          /hold frame 1 as float32: it has 1e\+300, wanted at most 3.4e38/,
        ],
        [Float64Array.of(0, 0, -1e39), {}, /frame 2 as float32: it has -1e\+39/],
        [
          Float64Array.of(2 ** 24 + 1),
          {},
          /has 16777217, a whole number that float32 does not hold/,
        ],
        [Int32Array.of(5, -(2 ** 24) - 1), {}, /frame 1 .* has -16777217, a whole number/],
        [Uint32Array.of(2 ** 32 - 1), {}, /has 4294967295/],
        [
          Float32Array.of(1, 65520),
          { hold: "float16" },
          /frame 1 as float16: it has 65520, wanted at most 65504/,
        ],
        [Float64Array.of(-1e5), { hold: "float16" }, /as float16: it has -100000/],
        [
          Int16Array.of(2049),
          { hold: "float16" },
          /has 2049, a whole number that float16 does not/,
        ],
        [Float64Array.of(1, 1e300), { eager: true }, /frame 1 as float32/],
        [Float64Array.of(1, 1e300), { framesIn: "disk" }, /frame 1 as float32/],
      ] as [NumericArray, HostBatchOptions, RegExp][]
    ) {
      await expect(run(bad, options)).rejects.toThrow(wanted);
    }
    const kept = await run(Int16Array.of(2048, -7, 0), { hold: "float16" });
    expect([...kept[0]!.values]).toEqual([2048, -7, 0]);
    const halves = await run(Float32Array.of(65519, 2049.5), { hold: "float16" });
    expect([...halves[0]!.values]).toEqual([65504, 2050]);
  });

  it("is true of weights as well", async () => {
    const frames = framesOf(someFrames(3, 1), 1);
    for (const bad of [1e300, NaN]) {
      const view = windows(frames, { size: 1, weights: [1, bad, 1] });
      await expect(keepHost(view.batches())).rejects
        .toThrow(`the weight of frame 1 is ${bad}, wanted a number`);
    }
  });
});

describe("options that cannot be", () => {
  it("are refused in sentences", () => {
    const frames = framesOf(someFrames(6, 1), 1);
    expect(() => windows(frames, { size: 1, segments: [] }))
      .toThrow("Cannot make windows: segments is empty, wanted the first frame of each, from 0");
    const view = windows(frames, { size: 1 });
    expect(() => view.batches(gpu(), { framesIn: "gpu" as "device" })).toThrow(
      /framesIn is "?gpu"?.* device, host/,
    );
  });
});
