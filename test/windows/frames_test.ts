import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import type { BudgetError } from "../../src/errors.ts";
import { openGpu } from "../../src/gpu/device.ts";
import type { FrameValues } from "../../src/feed/frame_table.ts";
import type { NumericArray } from "../../src/types.ts";
import type { HostBatchOptions } from "../../src/windows/batches.ts";
import type { Windows } from "../../src/windows/windows.ts";
import { windows } from "../../src/windows/windows.ts";
import { useGpu } from "../support/gpu.ts";
import { framesOf, hidden, keepDevice, keepHost, someFrames } from "../support/window_frames.ts";

const gpu = useGpu({ budget: "4 MiB" });

const [FRAMES, FEATURES] = [60, 11];

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

describe("a batch whose memory is handed on", () => {
  it("stays what it was with whoever has it, and later batches have other memory", async () => {
    const view = windows(framesOf(someFrames(40, 3), 3), { size: 4 });
    for (const framesIn of ["host", "disk"] as const) {
      const options = { size: 7, shuffle: 3, framesIn, epochs: 2 };
      const wanted = await keepHost(view.batches(options));
      const kept: FrameValues[] = [];
      for await (const { frames } of view.batches(options)) {
        // every other one, as to a worker
        kept.push(
          kept.length % 2 === 0
            ? structuredClone(frames, { transfer: [frames.buffer as ArrayBuffer] })
            : frames.slice(),
        );
      }
      expect(kept.map((frames) => [...frames])).toEqual(wanted.map(({ values }) => [...values]));
    }
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
        [
          Float32Array.of(3.4e38),
          { hold: "bfloat16" },
          /frame 0 as bfloat16: it has 3\.3\d+e\+38, wanted at most 3.38e38/,
        ],
        [
          Uint16Array.of(256, 257),
          { hold: "bfloat16" },
          /frame 1 as bfloat16: it has 257, a whole/,
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
    const brain = await run(
      Float32Array.of(3.38e38, 257, 259, -0, NaN, -Infinity, 2 ** -133, 2 ** -135),
      { hold: "bfloat16" },
    );
    // ties to even
    const wanted = [0x7f7e * 2 ** 16, 256, 260, -0, NaN, -Infinity, 2 ** -133, 0];
    wanted[0] = new Float32Array(Uint32Array.of(wanted[0]!).buffer)[0]!;
    expect([...brain[0]!.values]).toEqual(wanted);
    expect([...(await run(Int16Array.of(256, -7), { hold: "bfloat16" }))[0]!.values])
      .toEqual([256, -7]);
  });

  it("are held as the bits that are stored, where those are bfloat16: half the memory, and exact", async () => {
    // subnormals, the largest and the smallest, of both signs
    const bits = Uint16Array.from({ length: 40 * 3 }, (_, i) => (i * 547 + 0x0001) & 0xff7f);
    const values = new Float32Array(Uint32Array.from(bits, (half) => half * 2 ** 16).buffer);
    let decoded = 0;
    const base: ChunkedArray = {
      ...hidden(framesOf(values, 3)),
      read: (start, end) => {
        decoded += end - start;
        return Promise.resolve(values.slice(3 * start, 3 * end));
      },
      readBrainBits: (start, end) => Promise.resolve(bits.slice(3 * start, 3 * end)),
    };
    const grid = { size: 4, pad: { before: 2 } };
    const view = windows(base, grid);
    const plain = windows(hidden(framesOf(values, 3)), grid);
    const wanted = await keepHost(plain.batches({ size: 9 }));
    const inFull = plain.batches({ size: 9, prefetch: 0 }).projected.host;
    expect(inFull - view.batches({ size: 9, prefetch: 0 }).projected.host).toBe(2 * values.length);
    for (const framesIn of ["host", "disk"] as const) {
      decoded = 0;
      expect(await keepHost(view.batches({ size: 9, framesIn }))).toEqual(wanted);
      // the checksum of cursors looks at four
      expect(decoded).toBe(4);
    }
    expect(await keepHost(view.batches({ size: 9, eager: true }))).toEqual(wanted);
    for (const framesIn of ["device", "host", "disk"] as const) {
      for (const eager of framesIn === "disk" ? [false] : [false, true]) {
        const batches = view.batches(gpu(), { size: 9, framesIn, eager });
        expect(await keepDevice(gpu(), batches)).toEqual(wanted);
      }
    }
    expect(() => view.batches({ dtype: "float16", hold: "bfloat16" }))
      .toThrow(/float16 want frames held as float16, they are held as bfloat16/);
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
